"""The schedule of a host: weekly windows in a time zone, and the host's moment to open in each of them.

All instants are aware and in UTC. Windows follow the wall clock of the zone: an hour that it skips opens nothing, and
an hour that it repeats opens twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Protocol

from tidegate.calendar import zones
from tidegate.calendar.exclusions import Exclusion, Exclusions
from tidegate.calendar.spec import WindowSpec
from tidegate.calendar.weekly import WallCalendar
from tidegate.errors import ErrorKind, TidegateError

HORIZON = timedelta(days=2 * 366)
"""A state that lasts longer is reported as permanent. Windows recur weekly, and no planned blackout is this long."""

# Longer than a window (a week, unless windows touch) plus the spread in it (a week).
_LOOK_BACK = timedelta(days=15)

# More than any change of a clock so far: Samoa and Kiribati skipped a day.
_MAX_CLOCK_CHANGE = timedelta(hours=26)
_ONE_SECOND = timedelta(seconds=1)


class ScheduleSettings(Protocol):
    """The settings of a schedule; ``[updates.periodic]`` implements it."""

    @property
    def time_zone(self) -> str:
        """The name of the time zone of the windows."""
        ...

    @property
    def windows(self) -> tuple[WindowSpec, ...]:
        """The weekly windows."""
        ...

    @property
    def exclude(self) -> tuple[Exclusion, ...]:
        """The dates on which no window opens."""
        ...

    @property
    def spread_minutes(self) -> int:
        """Minutes from the start of a window over which the hosts of a fleet are spread."""
        ...


@dataclass(frozen=True, slots=True)
class Opening:
    """A contiguous time in windows, half-open; windows that overlap or touch are merged.

    ``opens`` is this host's moment: ``start``, or later with a spread. ``end`` is None where the time lasts longer than
    :data:`HORIZON`. A ``start`` more than two weeks before the instant of the query may be cut off there.
    """

    start: datetime
    opens: datetime
    end: datetime | None

    @property
    def length_minutes(self) -> int | None:
        """The elapsed length of the window, clock changes included, in whole minutes; None without an end."""
        return None if self.end is None else (self.end - self.start) // timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class State:
    """Whether this host is in a window, and ``until`` when; None where that lasts longer than :data:`HORIZON`."""

    is_open: bool
    until: datetime | None


@dataclass(frozen=True, slots=True)
class ClockChange:
    """The zone's wall clock jumps, at ``at``, from ``shown_before`` to ``shown_after``, within windows.

    ``window_minutes`` minutes in windows are skipped where the clock is put forward, and repeated where it is put back.
    """

    at: datetime
    shown_before: datetime
    shown_after: datetime
    window_minutes: int

    @property
    def is_forward(self) -> bool:
        """Whether the clock skips a time; otherwise it repeats one."""
        return self.shown_after > self.shown_before


class Schedule:
    """The windows of one host.

    ``spread`` and ``host_id`` determine the host's moment in each window.
    """

    def __init__(self, wall: WallCalendar, zone: tzinfo, spread: timedelta = timedelta(), host_id: str = "") -> None:
        self._wall = wall
        self._spread = spread
        self._fraction = _fraction_of(host_id) if spread else 0.0
        self.zone = zone

    @classmethod
    def of(cls, periodic: ScheduleSettings, host_id: str, localtime_file: Path = zones.LOCALTIME_FILE) -> Schedule:
        """The schedule of ``[updates.periodic]`` for the host ``host_id``.

        Raises:
            TidegateError: ``config.invalid``: the zone is no longer known, though it was when the settings were read.
        """
        try:
            zone = zones.load_zone(periodic.time_zone, localtime_file)
        except zones.UnknownZoneError as error:
            remedy = (
                "set it with timedatectl set-timezone"
                if periodic.time_zone == zones.LOCALTIME
                else "install the zone database, or set updates.periodic.time_zone to UTC"
            )
            raise TidegateError(ErrorKind.CONFIG_INVALID, str(error), remedy) from error
        wall = WallCalendar(periodic.windows, Exclusions(periodic.exclude))
        return cls(wall, zone, timedelta(minutes=periodic.spread_minutes), host_id)

    @property
    def weekly_minutes(self) -> int:
        """The minutes in windows of a week without clock changes and excluded dates."""
        return self._wall.weekly_minutes

    def is_open(self, at: datetime) -> bool:
        """Whether a window is open for this host at ``at``."""
        if self._fraction:
            return self.state(at).is_open
        return self._wall.covers(zones.to_wall(self.zone, at))

    def state(self, at: datetime) -> State:
        """Whether a window is open for this host at ``at``, and when that changes."""
        first = next(self.openings(at), None)
        if first is None:
            return State(is_open=False, until=None)
        is_open = first.opens <= at
        return State(is_open, first.end if is_open else first.opens)

    def openings(self, at: datetime) -> Iterator[Opening]:
        """The times in windows that end after ``at``, in order; the first may have started before it."""
        for start, end in self._runs(self._run_start(at)):
            if end is None or end > at:
                yield Opening(start, self._host_moment(start, end), end)

    def clock_changes(self, start: datetime, end: datetime) -> Iterator[ClockChange]:
        """The changes of the zone's clock from ``start`` to ``end`` that are within windows."""
        offset = zones.offset_at(self.zone, start)
        for piece in zones.pieces(self.zone, start):
            if piece.start >= end:
                return
            if piece.offset != offset:
                before, after = _shown(piece.start, offset), _shown(piece.start, piece.offset)
                affected = self._wall.spans(min(before, after), max(before, after))
                minutes = sum(((high - low) for low, high in affected), timedelta()) // timedelta(minutes=1)
                if minutes:
                    yield ClockChange(piece.start, before, after, minutes)
            offset = piece.offset

    def _host_moment(self, start: datetime, end: datetime | None) -> datetime:
        """The start plus the host's fraction of the spread, which is limited to the length of the window."""
        spread = self._spread if end is None else min(self._spread, end - start)
        return start + timedelta(seconds=int(spread.total_seconds() * self._fraction))

    def _runs(self, start: datetime) -> Iterator[tuple[datetime, datetime | None]]:
        """The times in windows from ``start`` on, merged where they touch; one longer than the horizon has no end."""
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
        """The times in windows from ``start`` on, in pieces, until there is none for the length of the horizon."""
        last = start
        for piece in zones.pieces(self.zone, start):
            if piece.start - last > HORIZON:
                return
            for low, high in self._wall.spans(_shown(piece.start, piece.offset), _shown(piece.end, piece.offset)):
                last = _instant(high, piece.offset)
                yield _instant(low, piece.offset), last

    def _run_start(self, at: datetime) -> datetime:
        """An instant at or before the start of the window around ``at``; ``at`` itself outside of windows.

        It is exactly that start unless the clock changes in between.
        """
        wall = zones.to_wall(self.zone, at)
        if not self._wall.covers(wall):
            return at
        start = at - (wall - self._wall.start_of(wall, _LOOK_BACK))
        if zones.offset_at(self.zone, start - _ONE_SECOND) == zones.offset_at(self.zone, at):
            return start
        return start - _MAX_CLOCK_CHANGE


def _fraction_of(host_id: str) -> float:
    """A hash of the host's id, from 0 inclusive to 1 exclusive: evenly distributed over hosts, and stable for each."""
    import hashlib  # noqa: PLC0415 - loads OpenSSL, which only a spread needs

    return int.from_bytes(hashlib.sha256(host_id.encode()).digest()[:6], "big") / 2**48


def _shown(at: datetime, offset: timedelta) -> datetime:
    return (at + offset).replace(tzinfo=None)


def _instant(shown: datetime, offset: timedelta) -> datetime:
    return (shown - offset).replace(tzinfo=UTC)
