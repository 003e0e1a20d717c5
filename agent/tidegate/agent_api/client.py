"""Asking the agent on the bus, from the command line."""

from __future__ import annotations

import asyncio
from typing import Self

from tidegate.bus.bus import Bus
from tidegate.bus.errors import ABSENT, ACCESS_DENIED, INTERNAL, LIMITS_EXCEEDED, CallFailed
from tidegate.bus.message import Emission, Endpoint, Match
from tidegate.bus.server import PROPERTIES
from tidegate.errors import ErrorKind, TidegateError

AGENT = Endpoint("org.tidegate.Agent1", "/org/tidegate/Agent1", "org.tidegate.Agent1")


async def ask_agent(member: str, timeout_secs: float, signature: str = "", *arguments: object) -> str:
    """Call a method that answers with a string.

    Raises:
        TidegateError: what the agent answered; ``agent.unreachable`` where none does; ``bus.lost`` where the bus went
            away over the question, as it does when the host goes down.
    """
    bus = await Bus.connect()
    try:
        values = await bus.call(AGENT, member, signature, *arguments, returns="s", timeout_secs=timeout_secs)
    except TidegateError as err:
        raise _explained(err) from err
    finally:
        await bus.close()
    return str(values[0])


def _explained(error: TidegateError) -> TidegateError:
    if error.kind is ErrorKind.BUS_UNREACHABLE:
        return TidegateError(ErrorKind.BUS_LOST, "the bus went away before the agent answered", "tidegate status")
    if not isinstance(error, CallFailed):
        return error
    if error.error_name in ABSENT:
        return TidegateError(ErrorKind.AGENT_UNREACHABLE, "the agent does not run", "systemctl start tidegate.service")
    if error.error_name == INTERNAL:
        return TidegateError(ErrorKind.AGENT_INTERNAL, error.text, "journalctl -u tidegate.service says more")
    if error.error_name == LIMITS_EXCEEDED:
        return TidegateError(ErrorKind.AGENT_BUSY, error.text, "try again in a moment")
    if error.error_name == ACCESS_DENIED:
        return TidegateError(ErrorKind.AGENT_NOT_AUTHORISED, error.message, "run it as root")
    return error


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
