"""The agent's D-Bus service with nothing behind it but notes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType

from tests.fakes.private_bus import connected
from tidegate.agent_api.properties import AgentProperties
from tidegate.agent_api.service import serve_agent
from tidegate.bus.bus import Bus
from tidegate.errors import TidegateError
from tidegate.machine.events import Event

GATES = MappingProxyType({"fleet_lock": True, "inhibitors": False, "periodic": True, "sessions": True})
EXPLANATION: dict[str, object] = {"schema": 1, "verdict": "wait", "gates": []}
DOCUMENT: dict[str, object] = {
    "schema": 1,
    "state": "staged",
    "since": "2026-03-02T10:00:00Z",
    "summary": "2 is staged and waits: periodic: the window is shut",
    "booted": {"version": "1", "payload": "aa"},
    "staged": {"version": "2", "payload": "bb", "locked": True},
    "rollback": None,
    "next_check": "2026-03-02T10:05:00Z",
    "next_opening": None,
    "blocked_by": ["periodic"],
    "progress": None,
    "last_error": None,
}

FIRST_REQUEST = 7


class FakeAgent:
    """What is behind the service. ``answer`` may be an error. Without ``open`` nothing is answered until it is set."""

    def __init__(self, answer: str | Exception = "on it") -> None:
        self.answer = answer
        self.asked: list[Event] = []
        self.explaining = 0
        """Explanations under way."""
        self.explained = 0
        self.open = asyncio.Event()
        self.open.set()
        self.waiting = 0

    async def ask(self, request: Callable[[int], Event]) -> str:
        """Note the request."""
        self.asked.append(request(FIRST_REQUEST))
        self.waiting += 1
        try:
            await self.open.wait()
        finally:
            self.waiting -= 1
        return self._answer()

    def reload(self) -> str:
        """As the answer says."""
        return self._answer()

    def _answer(self) -> str:
        if isinstance(self.answer, TidegateError):
            raise TidegateError(self.answer.kind, self.answer.message, self.answer.remedy)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def explain(self) -> dict[str, object]:
        """The same explanation, always."""
        self.explaining += 1
        assert self.explaining == 1, "never two at once"
        try:
            await self.open.wait()
        finally:
            self.explaining -= 1
        self.explained += 1
        self._answer()
        return EXPLANATION

    def overridable(self) -> Mapping[str, bool]:
        """The gates in force."""
        return GATES


@asynccontextmanager
async def agent(address: str, behind: FakeAgent) -> AsyncGenerator[AgentProperties]:
    """``behind`` on the bus at ``address``, and the face that it shows."""
    async with connected(address) as bus:
        yield await served(bus, behind)


async def served(bus: Bus, behind: FakeAgent) -> AgentProperties:
    """Serve ``behind`` on ``bus``; it shows :data:`DOCUMENT`."""
    face = AgentProperties(bus, "1.2.3")
    face.show(DOCUMENT)
    await serve_agent(bus, behind, face)
    return face
