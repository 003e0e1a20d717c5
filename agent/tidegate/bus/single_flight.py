"""Single-flight: concurrent requests for the same costly work share one run of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Runs ``work``, one run at a time. A request during a run gets the result of the next run.

    The current run may have read its data before the change that the request is about.
    """

    def __init__(self, work: Callable[[], Awaitable[T]]) -> None:
        self._work = work
        self._one_at_a_time = asyncio.Lock()
        self._next: asyncio.Task[T] | None = None

    async def ask(self) -> T:
        """Return the result of a run that has not started yet; raise as ``work`` does.

        A caller that is cancelled does not cancel the run for the others.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._run(), name="single-flight")
            self._next.add_done_callback(_retrieve)
        return await asyncio.shield(self._next)

    async def _run(self) -> T:
        async with self._one_at_a_time:
            self._next = None
            return await self._work()


def _retrieve(run: asyncio.Task[T]) -> None:
    """Retrieve the error, which asyncio would report as never retrieved where every caller was cancelled."""
    if not run.cancelled():
        run.exception()
