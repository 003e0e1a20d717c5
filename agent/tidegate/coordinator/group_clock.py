"""The time in a group, made monotonic over several coordinators whose clocks may be wrong."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from tidegate.clock import Clock

MAX_LAG_SECS = 10.0
"""How far this host's clock may lag the recorded time before its times count as unknown. Clocks that NTP keeps differ
by milliseconds."""


@dataclass(frozen=True, slots=True)
class GroupTime:
    """An instant (UTC) of the group's time.

    Not ``sure``: this host's clock lags by more than ``MAX_LAG_SECS``, so that the instant is only a lower bound; a
    grant recorded with it would look older than it is, and expire too early.
    """

    at: datetime
    sure: bool = True


class GroupClock:
    """The time in one group, as one coordinator sees it.

    It never runs back, neither behind an earlier reading nor behind the latest time in the group's record, and advances
    with the boot clock. So after a clock was set back (or was ahead when it wrote), delays are never shortened; at
    worst they last longer by the time before this coordinator first read the record.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._floor: datetime | None = None
        self._floor_boot_secs = 0.0

    def now(self, recorded: datetime | None) -> GroupTime:
        """The current time; ``recorded`` is the latest time in the group's record, None without one."""
        now = self._clock.now()
        passed = timedelta(seconds=max(0.0, now.boot_secs - self._floor_boot_secs))
        floors = [instant for instant in (recorded, self._floor and self._floor + passed) if instant is not None]
        self._floor, self._floor_boot_secs = max([now.wall, *floors]), now.boot_secs
        return GroupTime(self._floor, (self._floor - now.wall).total_seconds() <= MAX_LAG_SECS)
