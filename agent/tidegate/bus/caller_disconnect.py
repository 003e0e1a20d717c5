"""Cancel work for one caller when that caller disconnects from the bus."""

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
    """Cancel what runs in the context when ``caller`` disconnects, since there is no one to answer.

    Raises:
        ErrorReply: the caller had disconnected before.
        TidegateError: the bus daemon cannot be asked.
    """
    task = cast("asyncio.Task[object]", asyncio.current_task())

    def cancel(_old: str, _new: str) -> None:
        task.cancel()

    stop = await bus.watch_owner(caller.unique_name, cancel)
    try:
        if not await bus.has_owner(caller.unique_name):  # it disconnected before the watch began
            raise ErrorReply(NO_REPLY, "the caller has disconnected")
        yield
    finally:
        stop()
