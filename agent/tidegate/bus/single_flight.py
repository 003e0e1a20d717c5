"""One answer for everybody who asks at the same time: what is costly is done once, and never twice at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Does ``work`` in turns. Whoever asks while it is being done gets the answer of the next turn.

    The one under way may have begun before what they want to know of happened.
    """

    def __init__(self, work: Callable[[], Awaitable[T]]) -> None:
        self._work = work
        self._one_at_a_time = asyncio.Lock()
        self._next: asyncio.Task[T] | None = None

    async def ask(self) -> T:
        """The answer of a turn that begins from now on; whoever stops waiting takes it from nobody else."""
        if self._next is None:
            self._next = asyncio.create_task(self._turn(), name="a turn")
            self._next.add_done_callback(_looked_at)
        return await asyncio.shield(self._next)

    async def _turn(self) -> T:
        async with self._one_at_a_time:
            self._next = None
            return await self._work()


def _looked_at(turn: asyncio.Task[T]) -> None:
    """Where everybody has stopped waiting, asyncio would report the error as never retrieved."""
    if not turn.cancelled():
        turn.exception()
