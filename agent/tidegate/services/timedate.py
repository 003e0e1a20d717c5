"""A client of systemd-timedated: whether the clock is synchronised.

timedated reports the state of adjtimex(2), whichever daemon disciplines the clock, and is started by the bus on demand.
The agent cannot ask the kernel itself: its sandbox (ProtectClock) forbids adjtimex, and Python does not have it.
"""

from __future__ import annotations

from tidegate.bus.bus import Bus
from tidegate.bus.message import Endpoint

TIMEDATE = Endpoint("org.freedesktop.timedate1", "/org/freedesktop/timedate1", "org.freedesktop.timedate1")


class Timedate:
    """Read-only calls to timedated."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def synchronized(self) -> bool:
        """Whether the kernel's clock is synchronised: its maximum error is below 16 s, for hours after the last server.

        Raises:
            TidegateError: timedated cannot be asked.
        """
        return bool(await self._bus.get_property(TIMEDATE, "NTPSynchronized", "b"))
