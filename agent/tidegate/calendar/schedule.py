"""When the host may reboot: the wall calendar in a zone, and the host's own moment in each window.

Instants are aware and in UTC. The clock of the zone is obeyed: an hour that it skips opens nothing, an hour that it
shows twice opens twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Protocol

from tidegate.calendar import zones
from tidegate.calendar.exclusions import Exclusion, Exclusions
from tidegate.calendar.spec import WindowSpec
from tidegate.calendar.weekly import WallCalendar
from tidegate.errors import ErrorKind, TidegateError

# What does not change for so long is called unchanging: windows recur weekly, and no blackout that is meant to end is
# longer.
HORIZON = timedelta(days=2 * 366)

# A window (a week at most, unless windows touch) and the host's moment in it (a week at most) both fit.
_LOOK_BACK = timedelta(days=15)

# More than any clock was ever put forward or back at once (Samoa and Kiribati skipped a day).
_MAX_CLOCK_CHANGE = timedelta(hours=26)
_ONE_SECOND = timedelta(seconds=1)


class ScheduleSettings(Protocol):
    """The settings of a schedule, as ``[updates.periodic]`` has them."""

    @property
    def time_zone(self) -> str:
        """The name of the zone whose wall clock the windows follow."""
        ...

    @property
    def windows(self) -> tuple[WindowSpec, ...]:
        """The weekly windows."""
        ...

    @property
    def exclude(self) -> tuple[Exclusion, ...]:
        """Dates without windows."""
        ...

    @property
    def spread_minutes(self) -> int:
        """How far the hosts of a fleet are spread over each window."""
        ...


@dataclass(frozen=True, slots=True)
class Opening:
    """A time that is in a window throughout, half-open; windows that touch make one.

    ``opens`` is this host's own moment to begin: ``start``, or later where the starts are spread. ``end`` is None for a
    time that goes on for longer than :data:`HORIZON`. A start more than two weeks before the instant that was asked
    about may be cut there.
    """

    start: datetime
    opens: datetime
    end: datetime | None

    @property
    def length_minutes(self) -> int | None:
        """The real length of the window, clock changes included, in whole minutes."""
        return None if self.end is None else (self.end - self.start) // timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class State:
    """Whether this host is in a window, and ``until`` when that holds; None is for longer than :data:`HORIZON`."""

    is_open: bool
    until: datetime | None


@dataclass(frozen=True, slots=True)
class ClockChange:
    """The zone's clock jumps, at ``at``, from ``shown_before`` to ``shown_after``, and windows are touched.

    ``window_minutes`` in windows fall away where the clock is put forward, and come twice where it is put back.
    """

    at: datetime
    shown_before: datetime
    shown_after: datetime
    window_minutes: int

    @property
    def is_forward(self) -> bool:
        """Whether the clock skips a time, rather than showing one twice."""
        return self.shown_after > self.shown_before


class Schedule:
    """All questions about windows."""

    def __init__(self, wall: WallCalendar, zone: tzinfo, spread: timedelta = timedelta(), host_id: str = "") -> None:
        self._wall = wall
        self._spread = spread
        self._share = _share_of(host_id) if spread else 0.0
        self.zone = zone

    @classmethod
    def of(cls, periodic: ScheduleSettings, host_id: str) -> Schedule:
        """The schedule that ``[updates.periodic]`` describes, for the host ``host_id``.

        Raises:
            TidegateError: the zone, known when the configuration was read, is gone.
        """
        try:
            zone = zones.load_zone(periodic.time_zone)
        except zones.UnknownZoneError as error:
            remedy = "install the zone database, or set updates.periodic.time_zone to UTC"
            raise TidegateError(ErrorKind.CONFIG_INVALID, str(error), remedy) from error
        wall = WallCalendar(periodic.windows, Exclusions(periodic.exclude))
        return cls(wall, zone, timedelta(minutes=periodic.spread_minutes), host_id)

    @property
    def weekly_minutes(self) -> int:
        """How many minutes an ordinary week has in windows."""
        return self._wall.weekly_minutes

    def is_open(self, at: datetime) -> bool:
        """Whether this host may begin at ``at``."""
        if self._share:
            return self.state(at).is_open
        return self._wall.covers(zones.to_wall(self.zone, at))

    def state(self, at: datetime) -> State:
        """Whether this host may begin at ``at``, and when that changes next."""
        first = next(self.openings(at), None)
        if first is None:
            return State(is_open=False, until=None)
        is_open = first.opens <= at
        return State(is_open, first.end if is_open else first.opens)

    def openings(self, at: datetime) -> Iterator[Opening]:
        """The times in windows that end after ``at``, in order; the first may have begun before."""
        for start, end in self._runs(self._run_start(at)):
            if end is None or end > at:
                yield Opening(start, self._own_moment(start, end), end)

    def clock_changes(self, start: datetime, end: datetime) -> Iterator[ClockChange]:
        """The changes of the zone's clock between two instants that touch windows."""
        offset = zones.offset_at(self.zone, start)
        for piece in zones.pieces(self.zone, start):
            if piece.start >= end:
                return
            if piece.offset != offset:
                before, after = _shown(piece.start, offset), _shown(piece.start, piece.offset)
                touched = self._wall.spans(min(before, after), max(before, after))
                minutes = sum(((high - low) for low, high in touched), timedelta()) // timedelta(minutes=1)
                if minutes:
                    yield ClockChange(piece.start, before, after, minutes)
            offset = piece.offset

    def _own_moment(self, start: datetime, end: datetime | None) -> datetime:
        """A share of the spread after the start, the same in every window; all of it lies in the window."""
        spread = self._spread if end is None else min(self._spread, end - start)
        return start + timedelta(seconds=int(spread.total_seconds() * self._share))

    def _runs(self, start: datetime) -> Iterator[tuple[datetime, datetime | None]]:
        """Times in windows from ``start`` on, touching ones made one; those longer than the horizon have no end."""
        begun = ended = start
        for low, high in self._parts(start):
            if low > ended:
                if ended > begun:
                    yield begun, ended
                begun = low
            ended = high
            if ended - begun > HORIZON:
                yield begun, None
                return
        if ended > begun:
            yield begun, ended

    def _parts(self, start: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Times in windows from ``start`` on, cut anyhow, until there is none for the length of the horizon."""
        last = start
        for piece in zones.pieces(self.zone, start):
            if piece.start - last > HORIZON:
                return
            for low, high in self._wall.spans(_shown(piece.start, piece.offset), _shown(piece.end, piece.offset)):
                last = _instant(high, piece.offset)
                yield _instant(low, piece.offset), last

    def _run_start(self, at: datetime) -> datetime:
        """An instant at or before the start of the window that holds ``at``; ``at`` itself outside of windows.

        Where the clock does not change meanwhile it is that start.
        """
        wall = zones.to_wall(self.zone, at)
        if not self._wall.covers(wall):
            return at
        start = at - (wall - self._wall.start_of(wall, _LOOK_BACK))
        if zones.offset_at(self.zone, start - _ONE_SECOND) == zones.offset_at(self.zone, at):
            return start
        return start - _MAX_CLOCK_CHANGE


def _share_of(host_id: str) -> float:
    """A number from 0 to (not including) 1 that spreads hosts evenly, and stays the same for each."""
    import hashlib  # noqa: PLC0415 - OpenSSL, for hosts whose starts are spread

    return int.from_bytes(hashlib.sha256(host_id.encode()).digest()[:6], "big") / 2**48


def _shown(at: datetime, offset: timedelta) -> datetime:
    return (at + offset).replace(tzinfo=None)


def _instant(shown: datetime, offset: timedelta) -> datetime:
    return (shown - offset).replace(tzinfo=UTC)
