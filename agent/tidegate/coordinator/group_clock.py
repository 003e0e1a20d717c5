"""The time in a group: several coordinators write it down, and none of their clocks is beyond doubt."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from tidegate.clock import Clock

MAX_LAG_SECS = 10.0
"""How far a clock may be behind what is written down before its times count as unknown. Clocks that NTP keeps differ by
milliseconds."""


@dataclass(frozen=True, slots=True)
class GroupTime:
    """An instant (UTC) by the group's time. Not ``sure``: the clock is known to be behind, by more than can be passed
    over, so that the instant is a lower bound: what was recorded with it would look older than it is, and expire too
    early."""

    at: datetime
    sure: bool = True


class GroupClock:
    """The time in one group, as one coordinator sees it: never behind what it said before, nor behind what is written
    down, and from there on at the pace of the boot clock.

    So after a clock was set back (or was ahead when it wrote), delays last no shorter than they should: at worst longer
    by what passed before this coordinator first read the record. They do end.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._floor: datetime | None = None
        self._floor_boot_secs = 0.0

    def now(self, written: datetime | None) -> GroupTime:
        """This instant; ``written`` is the latest time in the group's record."""
        now = self._clock.now()
        passed = timedelta(seconds=max(0.0, now.boot_secs - self._floor_boot_secs))
        floors = [instant for instant in (written, self._floor and self._floor + passed) if instant is not None]
        self._floor, self._floor_boot_secs = max([now.wall, *floors]), now.boot_secs
        return GroupTime(self._floor, (self._floor - now.wall).total_seconds() <= MAX_LAG_SECS)
