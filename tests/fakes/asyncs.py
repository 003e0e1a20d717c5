"""Running a scenario that is a coroutine: with a deadline, and with nothing left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

SCENARIO_SECS = 60.0
"""Scenarios take milliseconds, far more on a busy machine; one that hangs fails instead of holding the suite."""


def run(scenario: Coroutine[object, object, None], deadline_secs: float = SCENARIO_SECS) -> None:
    """Run ``scenario`` to its end; a task that it leaves running is a failure."""

    async def bounded() -> None:
        async with asyncio.timeout(deadline_secs):
            await scenario
        for _round in range(3):  # what has just been cancelled or closed ends within a few rounds of the loop
            await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"left running: {[task.get_name() for task in left]}"

    asyncio.run(bounded())


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until ``condition`` holds; the scenario's deadline bounds it."""
    while not condition():  # what is waited for happens in other processes
        await asyncio.sleep(0)
