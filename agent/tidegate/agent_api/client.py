"""A client of ``org.tidegate.Agent1`` for the command line: call a method, follow changes."""

from __future__ import annotations

import asyncio
from typing import Self

from tidegate.bus.bus import Bus
from tidegate.bus.errors import ABSENT, ACCESS_DENIED, INTERNAL, LIMITS_EXCEEDED, CallFailed
from tidegate.bus.message import Emission, Endpoint, Match
from tidegate.bus.server import PROPERTIES
from tidegate.errors import ErrorKind, TidegateError

AGENT = Endpoint("org.tidegate.Agent1", "/org/tidegate/Agent1", "org.tidegate.Agent1")


async def ask_agent(
    member: str, timeout_secs: float, signature: str = "", *arguments: object, may_interact: bool = False
) -> str:
    """Call a method that returns a string. ``may_interact``: polkit may prompt the user.

    Raises:
        TidegateError: the agent's error; ``agent.unreachable`` where no agent runs; ``bus.lost`` where the bus was lost
            during the call, as happens when the host goes down.
    """
    bus = await Bus.connect()
    try:
        values = await bus.call(
            AGENT,
            member,
            signature,
            *arguments,
            returns="s",
            timeout_secs=timeout_secs,
            may_interact=may_interact,
        )
    except TidegateError as err:
        raise _explained(err) from err
    finally:
        await bus.close()
    return str(values[0])


def _explained(error: TidegateError) -> TidegateError:
    if error.kind is ErrorKind.BUS_UNREACHABLE:
        return TidegateError(
            ErrorKind.BUS_LOST, "the connection to the bus was lost before the agent answered", "tidegate status"
        )
    if not isinstance(error, CallFailed):
        return error
    if error.error_name in ABSENT:
        return TidegateError(
            ErrorKind.AGENT_UNREACHABLE, "the agent is not running", "systemctl start tidegate.service"
        )
    if error.error_name == INTERNAL:
        return TidegateError(ErrorKind.AGENT_INTERNAL, error.text, "see journalctl -u tidegate.service")
    if error.error_name == LIMITS_EXCEEDED:
        return TidegateError(ErrorKind.AGENT_BUSY, error.text, "try again in a moment")
    if error.error_name == ACCESS_DENIED:
        return TidegateError(ErrorKind.AGENT_NOT_AUTHORISED, error.message, "run it as root")
    return error


_CHANGES = Match(
    Endpoint(AGENT.destination, AGENT.path, PROPERTIES), "PropertiesChanged", "sa{sv}as", arg0=AGENT.interface
)


class Following:
    """Changes of the agent. Those that occur while nothing waits for them are reported as one."""

    def __init__(self, bus: Bus) -> None:
        self.is_there = False
        """Whether the agent's bus name has an owner."""
        self._bus = bus
        self._news = asyncio.Event()

    @classmethod
    async def begin(cls, bus: Bus) -> Self:
        """Follow the agent for as long as ``bus`` is connected; no authorisation is needed.

        Raises:
            TidegateError: the bus is lost.
        """
        following = cls(bus)
        await bus.watch_owner(AGENT.destination, following._owner_changed)
        await bus.subscribe(_CHANGES, following._changed)
        following.is_there = await bus.has_owner(AGENT.destination)
        return following

    async def news(self, timeout_secs: float | None = None) -> bool:
        """Wait until the agent changes, starts or exits, or the bus is lost; return False after the timeout."""
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

    def _owner_changed(self, _old: str, new: str) -> None:
        self.is_there = bool(new)
        self._news.set()
