"""``org.tidegate.Agent1``: what people and tools may ask of the agent.

Root may ask for everything; anybody else for what polkit allows them. Every request is logged with its caller.
"""

from __future__ import annotations

import logging
import pwd
from collections.abc import Awaitable, Callable, Iterable

from tidegate.dbus.agent_client import AGENT
from tidegate.dbus.bus import Bus
from tidegate.dbus.interface import Caller, Interface, Method, Property
from tidegate.dbus.polkit import check_authorization
from tidegate.errors import ErrorKind, TidegateError
from tidegate.machine.events import ApplyAsked, CheckAsked, Event, StageAsked
from tidegate.machine.state import State
from tidegate.snapshot import public_state, summary

ACTION_PREFIX = "org.tidegate.agent1."
"""Of the polkit actions: ``check``, ``stage`` and ``apply``."""

MAX_REASON_CHARS = 500
"""A reason is a sentence; it is kept in the history and shown in `status`."""

_log = logging.getLogger(__name__)

Ask = Callable[[Callable[[int], Event]], Awaitable[str]]


async def serve_agent(bus: Bus, ask: Ask, state: Callable[[], State]) -> None:
    """Serve the interface and take the name.

    Raises:
        TidegateError: another agent has the name, or the bus is gone.
    """
    bus.export(AGENT.path, _Service(bus, ask).interface(state))
    await bus.request_name(AGENT.destination)


class _Service:
    def __init__(self, bus: Bus, ask: Ask) -> None:
        self._bus = bus
        self._ask = ask

    def interface(self, state: Callable[[], State]) -> Interface:
        answer = {"answer": "s"}
        return Interface(
            AGENT.interface,
            methods=(
                Method("Check", self._check, returns=answer),
                Method("Stage", self._stage, returns=answer),
                Method("Apply", self._apply, takes={"reason": "s"}, returns=answer),
            ),
            properties=(
                Property("State", "s", lambda: public_state(state())),
                Property("Summary", "s", lambda: summary(state())),
            ),
        )

    async def _check(self, caller: Caller) -> tuple[str]:
        await self._authorise(caller, "check")
        return (await self._ask(CheckAsked),)

    async def _stage(self, caller: Caller) -> tuple[str]:
        await self._authorise(caller, "stage")
        return (await self._ask(StageAsked),)

    async def _apply(self, caller: Caller, reason: str) -> tuple[str]:
        await self._authorise(caller, "apply")
        told = f"{one_line(reason)} (asked for by {name_of(caller.uid)})"
        return (await self._ask(lambda request: ApplyAsked(request, told)),)

    async def _authorise(self, caller: Caller, verb: str) -> None:
        who = f"{name_of(caller.uid)} (uid {caller.uid}, pid {caller.pid})"
        if caller.uid != 0 and not await check_authorization(self._bus, caller, ACTION_PREFIX + verb):
            _log.warning("refused %s to %s", verb, who)
            raise TidegateError(
                ErrorKind.AGENT_NOT_AUTHORISED,
                f"{name_of(caller.uid)} may not {verb}",
                f"run it as root, or allow the polkit action {ACTION_PREFIX}{verb}",
            )
        _log.info("%s asked for by %s", verb, who)


def name_of(uid: int) -> str:
    """The user's name, or the number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def one_line(text: str) -> str:
    """A text from outside as it may be logged and shown: one line, printable, not endless.

    Raises:
        TidegateError: nothing is left of it.
    """
    words = " ".join(_printable(text).split())[:MAX_REASON_CHARS]
    if not words:
        raise TidegateError(ErrorKind.AGENT_BAD_REQUEST, "the reason is empty", "say why: --reason TEXT")
    return words


def _printable(text: Iterable[str]) -> str:
    return "".join(char if char.isprintable() else " " for char in text)
