"""Preview a schedule: its state at an instant, the next windows, and what exclusions take away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice, takewhile

from tidegate.calendar.schedule import ClockChange, Opening, Schedule, State

LONGEST_LOOK = timedelta(days=366)
"""How far to look for excluded times where there are fewer windows than were asked for."""


@dataclass(frozen=True, slots=True)
class Excluded:
    """A time that would be in a window if there were no exclusions."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Preview:
    """The state at ``at``, the next windows of this host, and what affects them: clock changes, excluded times."""

    at: datetime
    state: State
    upcoming: tuple[Opening, ...]
    clock_changes: tuple[ClockChange, ...]
    excluded: tuple[Excluded, ...] = ()


def preview(schedule: Schedule, at: datetime, count: int, unrestricted: Schedule | None = None) -> Preview:
    """Preview at most ``count`` windows that open for this host after ``at``.

    ``unrestricted`` is the same schedule without exclusions; at most ``count`` excluded times are listed.
    """
    later = (opening for opening in schedule.openings(at) if opening.opens > at)
    upcoming = tuple(islice(later, count))
    ends = (opening.end or opening.start for opening in upcoming)
    last = max(ends, default=at)
    changes = schedule.clock_changes(at, last)
    look_until = last if len(upcoming) == count else max(last, at + LONGEST_LOOK)
    excluded = islice(_excluded(schedule, unrestricted or schedule, at, look_until), count)
    return Preview(at, schedule.state(at), upcoming, tuple(changes), tuple(excluded))


def _excluded(schedule: Schedule, unrestricted: Schedule, at: datetime, until: datetime) -> Iterator[Excluded]:
    """The times from ``at`` to ``until`` that are in a window of ``unrestricted`` and in none of ``schedule``."""
    kept = [*_times(schedule, at, until)]
    for start, end in _times(unrestricted, at, until):
        yield from (Excluded(low, high) for low, high in _gaps(start, end, kept))


def _times(schedule: Schedule, at: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    for opening in takewhile(lambda opening: opening.start < until, schedule.openings(at)):
        yield max(opening.start, at), min(opening.end or until, until)


def _gaps(
    start: datetime, end: datetime, taken: Sequence[tuple[datetime, datetime]]
) -> Iterator[tuple[datetime, datetime]]:
    """The parts of ``[start, end)`` that are in none of ``taken``, which are in order."""
    for low, high in taken:
        if low >= end:
            break
        if low > start:
            yield start, low
        start = max(start, high)
    if start < end:
        yield start, end
