"""The helper's service in front of an engine, in the process of a test."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tidegate.engines.wire import ENGINE
from tidegate.helper.main import Terms, serve
from tidegate.system.sd_notify import Notifier

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tidegate.bus.bus import Bus
    from tidegate.engines.base import Engine

US = frozenset({os.getuid()})
FOR_EVER = 1000.0


@asynccontextmanager
async def serving(
    bus: Bus, engine: Engine, *, uids: frozenset[int] = US, idle_secs: float = FOR_EVER
) -> AsyncGenerator[asyncio.Task[None]]:
    """Serve ``engine`` on ``bus`` to ``uids`` while the context lasts."""

    async def choose() -> Engine:
        return engine

    task = asyncio.create_task(serve(bus, choose, Terms(uids, idle_secs, Notifier({}))))
    while not await bus.has_owner(ENGINE.destination):
        await asyncio.sleep(0)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
