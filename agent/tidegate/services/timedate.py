"""systemd-timedated: whether the clock is right.

It reads what adjtimex(2) says of the kernel's clock, whichever daemon disciplines it, and is started by the bus for
the question. The agent cannot ask the kernel itself: neither its sandbox (ProtectClock) nor Python has adjtimex.
"""

from __future__ import annotations

from tidegate.bus.bus import Bus
from tidegate.bus.message import Endpoint

TIMEDATE = Endpoint("org.freedesktop.timedate1", "/org/freedesktop/timedate1", "org.freedesktop.timedate1")


class Timedate:
    """Questions to timedated; reading only."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def synchronized(self) -> bool:
        """Whether the kernel's clock is synchronised: known to within 16 s, which lasts some hours without a server.

        Raises:
            TidegateError: timedated cannot be asked.
        """
        return bool(await self._bus.get_property(TIMEDATE, "NTPSynchronized", "b"))
