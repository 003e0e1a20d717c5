"""What a schedule will do, for people and scripts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from tidegate.calendar.schedule import ClockChange, Opening, Schedule, State


@dataclass(frozen=True, slots=True)
class Preview:
    """The state at ``at``, the windows that this host enters after it, and the clock changes that touch them."""

    at: datetime
    state: State
    upcoming: tuple[Opening, ...]
    clock_changes: tuple[ClockChange, ...]


def preview(schedule: Schedule, at: datetime, count: int) -> Preview:
    """Look ahead from ``at``, over at most ``count`` windows that are still to come."""
    to_come = (opening for opening in schedule.openings(at) if opening.opens > at)
    upcoming = tuple(islice(to_come, count))
    ends = (opening.end or opening.start for opening in upcoming)
    changes = schedule.clock_changes(at, max(ends, default=at))
    return Preview(at, schedule.state(at), upcoming, tuple(changes))
