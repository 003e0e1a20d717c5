"""Following the agent from outside: when there is something new to be read, and whether anybody is there."""

from __future__ import annotations

import asyncio
from typing import Self

from tidegate.agent_api.client import AGENT
from tidegate.bus.bus import Bus
from tidegate.bus.exports import PROPERTIES
from tidegate.bus.match import Emission, Endpoint, Match

_CHANGES = Match(
    Endpoint(AGENT.destination, AGENT.path, PROPERTIES), "PropertiesChanged", "sa{sv}as", arg0=AGENT.interface
)


class Following:
    """News of the agent; those that come while nobody waits are one."""

    def __init__(self, bus: Bus) -> None:
        self.is_there = False
        """Whether somebody has the agent's name."""
        self._bus = bus
        self._news = asyncio.Event()

    @classmethod
    async def begin(cls, bus: Bus) -> Self:
        """Follow the agent for as long as ``bus`` is connected; anybody may.

        Raises:
            TidegateError: the bus is gone.
        """
        following = cls(bus)
        await bus.watch_owner(AGENT.destination, following._changed_hands)
        await bus.subscribe(_CHANGES, following._changed)
        following.is_there = await bus.has_owner(AGENT.destination)
        return following

    async def news(self, timeout_secs: float | None = None) -> bool:
        """Wait until the agent changes, goes or comes, or the bus ends; whether any of that happened in time."""
        waits = [asyncio.ensure_future(wait) for wait in (self._news.wait(), self._bus.closed.wait())]
        try:
            done, _ = await asyncio.wait(waits, timeout=timeout_secs, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        self._news.clear()
        return bool(done)

    def _changed(self, _emission: Emission) -> None:
        self._news.set()

    def _changed_hands(self, _old: str, new: str) -> None:
        self.is_there = bool(new)
        self._news.set()
