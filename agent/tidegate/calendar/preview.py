"""Preview a schedule: its state at an instant, and the next windows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from tidegate.calendar.schedule import ClockChange, Opening, Schedule, State


@dataclass(frozen=True, slots=True)
class Preview:
    """The state at ``at``, the next windows of this host, and the clock changes that affect them."""

    at: datetime
    state: State
    upcoming: tuple[Opening, ...]
    clock_changes: tuple[ClockChange, ...]


def preview(schedule: Schedule, at: datetime, count: int) -> Preview:
    """Preview at most ``count`` windows that open for this host after ``at``."""
    later = (opening for opening in schedule.openings(at) if opening.opens > at)
    upcoming = tuple(islice(later, count))
    ends = (opening.end or opening.start for opening in upcoming)
    changes = schedule.clock_changes(at, max(ends, default=at))
    return Preview(at, schedule.state(at), upcoming, tuple(changes))
