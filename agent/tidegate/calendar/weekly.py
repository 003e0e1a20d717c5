"""Windows on wall-clock dates: which minutes of a date are in a window. Pure arithmetic, without time zones."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from tidegate.calendar.exclusions import Exclusions
from tidegate.calendar.spec import MINUTES_A_DAY, WindowSpec

_ONE_DAY = timedelta(days=1)
_ONE_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Spans:
    """Half-open spans of minutes, sorted, which neither overlap nor touch."""

    starts: tuple[int, ...]
    ends: tuple[int, ...]

    def covers(self, minute: int) -> bool:
        """Whether ``minute`` is in a span."""
        before = bisect_right(self.starts, minute)
        return before > 0 and minute < self.ends[before - 1]

    def start_of(self, minute: int) -> int:
        """The start of the span around ``minute``, which must be in one."""
        return self.starts[bisect_right(self.starts, minute) - 1]

    def between(self, low: int, high: int) -> Iterator[tuple[int, int]]:
        """The intersection of the spans with ``low`` to ``high`` (half-open)."""
        for at in range(bisect_right(self.ends, low), bisect_left(self.starts, high)):
            yield max(low, self.starts[at]), min(high, self.ends[at])


def merged(spans: Iterable[tuple[int, int]]) -> Spans:
    """Sort ``spans``, and merge those that overlap or touch."""
    starts: list[int] = []
    ends: list[int] = []
    for start, end in sorted(spans):
        if ends and start <= ends[-1]:
            ends[-1] = max(ends[-1], end)
        else:
            starts.append(start)
            ends.append(end)
    return Spans(tuple(starts), tuple(ends))


class WallCalendar:
    """Windows minus exclusions, on dates and clock times without a zone.

    A window belongs to the date on which it starts. On an excluded date no window starts, and one from an earlier date
    ends at midnight.
    """

    def __init__(self, windows: Iterable[WindowSpec], exclusions: Exclusions) -> None:
        listed = tuple(windows)
        self._starting = tuple(merged(_starting_on(day, listed)) for day in range(7))
        last_minute = max((day.ends[-1] - 1 for day in self._starting if day.ends), default=0)
        self._reach_days = last_minute // MINUTES_A_DAY
        self._plain = tuple(self._spans_of(day, range(self._reach_days + 1)) for day in range(7))
        self._exclusions = exclusions

    @property
    def weekly_minutes(self) -> int:
        """The minutes in windows of a week without exclusions."""
        return sum(sum(day.ends) - sum(day.starts) for day in self._plain)

    def covers(self, wall: datetime) -> bool:
        """Whether the clock time ``wall`` (naive) is in a window."""
        return self._on(wall.date()).covers(wall.hour * 60 + wall.minute)

    def spans(self, low: datetime, high: datetime) -> Iterator[tuple[datetime, datetime]]:
        """The clock times in windows from ``low`` to ``high`` (half-open); spans that touch at midnight stay apart."""
        day = low.date()
        while (midnight := datetime.combine(day, time())) < high:
            first = max(0, (low - midnight) // _ONE_MINUTE)
            last = min(MINUTES_A_DAY, -((midnight - high) // _ONE_MINUTE))
            for start, end in self._on(day).between(first, last):
                yield max(low, midnight + timedelta(minutes=start)), min(high, midnight + timedelta(minutes=end))
            day += _ONE_DAY

    def start_of(self, wall: datetime, limit: timedelta) -> datetime:
        """The clock time at which the window around ``wall`` began, but at most ``limit`` before ``wall``."""
        minute = wall.hour * 60 + wall.minute
        day = wall.date()
        earliest = wall - limit
        while True:
            start = self._on(day).start_of(minute)
            begun = datetime.combine(day, time()) + timedelta(minutes=start)
            if start > 0 or begun <= earliest or not self._on(day - _ONE_DAY).covers(MINUTES_A_DAY - 1):
                return max(begun, earliest)
            day, minute = day - _ONE_DAY, MINUTES_A_DAY - 1

    def _on(self, day: date) -> Spans:
        """The spans of one date, in minutes after midnight."""
        if not self._exclusions:
            return self._plain[day.weekday()]
        everything = range(self._reach_days + 1)
        back = [days for days in everything if not self._exclusions.contains(day - timedelta(days=days))]
        if len(back) == len(everything):
            return self._plain[day.weekday()]
        return self._spans_of(day.weekday(), back if 0 in back else ())

    def _spans_of(self, weekday: int, days_back: Iterable[int]) -> Spans:
        """The spans, in a day, of the windows that started the given numbers of days before it."""
        return merged(
            (start - days * MINUTES_A_DAY, end - days * MINUTES_A_DAY)
            for days in days_back
            for start, end in self._starting[(weekday - days) % 7].between(
                days * MINUTES_A_DAY, (days + 1) * MINUTES_A_DAY
            )
        )


def _starting_on(day: int, windows: tuple[WindowSpec, ...]) -> Iterator[tuple[int, int]]:
    return ((one.start_minute, one.start_minute + one.length_minutes) for one in windows if day in one.days)
