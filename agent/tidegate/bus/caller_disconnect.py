"""Work that is for one caller alone ends when that caller leaves the bus."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import cast

from tidegate.bus.bus import Bus
from tidegate.bus.errors import NO_REPLY, ErrorReply
from tidegate.bus.interface import Caller


@asynccontextmanager
async def while_connected(bus: Bus, caller: Caller) -> AsyncGenerator[None]:
    """Cancel what runs in the context when ``caller`` leaves the bus: nobody waits for its answer any more."""
    waiting = cast("asyncio.Task[object]", asyncio.current_task())

    def gone(_old: str, _new: str) -> None:
        waiting.cancel()

    stop = await bus.watch_owner(caller.unique_name, gone)
    try:
        if not await bus.has_owner(caller.unique_name):  # it left before anybody watched
            raise ErrorReply(NO_REPLY, "the caller is gone")
        yield
    finally:
        stop()
