"""Whether the host goes down, as logind says: by its signal, and read again where that may have been missed.

logind forgets a shutdown that is pending when it is started anew, as with the bus, and then sends no signal. So the
property is read when the name on the bus gets another owner, and from time to time while the host is said to go down.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from tidegate.bus.bus import Bus
from tidegate.errors import TidegateError
from tidegate.services.logind import MANAGER, Logind

AGAIN_SECS = 120.0
"""Between two looks while the host is said to go down: far less than the ten minutes that a shutdown is given."""

_log = logging.getLogger(__name__)


class ShutdownWatch:
    """Calls ``heard(True)`` when a shutdown begins, and ``heard(False)`` when there is none any more."""

    def __init__(self, bus: Bus, logind: Logind, heard: Callable[[bool], None]) -> None:
        self._bus = bus
        self._logind = logind
        self._heard = heard
        self._timer: asyncio.TimerHandle | None = None
        self._looks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to watch.

        Raises:
            TidegateError: the bus is lost.
        """
        await self._logind.on_prepare_for_shutdown(self.told)
        await self._bus.watch_owner(MANAGER.destination, self._owner_changed)

    def told(self, active: bool) -> None:  # noqa: FBT001 - logind's own argument
        """Take logind's word, and ask for it again in a while where it is that the host goes down."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._heard(active)
        if active:
            self._timer = asyncio.get_running_loop().call_later(AGAIN_SECS, self._look_soon)

    def _owner_changed(self, _old: str, new: str) -> None:
        if new:
            self._look_soon()

    def _look_soon(self) -> None:
        look = asyncio.ensure_future(self._look())
        self._looks.add(look)
        look.add_done_callback(self._looks.discard)

    async def _look(self) -> None:
        try:
            self.told(await self._logind.preparing_for_shutdown())
        except TidegateError as err:  # it goes down itself, late in a shutdown
            _log.info("whether the host goes down is not known: %s", err.message)
            self._timer = asyncio.get_running_loop().call_later(AGAIN_SECS, self._look_soon)
