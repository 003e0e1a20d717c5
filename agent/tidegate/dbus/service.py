"""``org.tidegate.Agent1``: what people and tools may ask of the agent.

Root may ask for everything; anybody else for what polkit allows them. Every request is logged with its caller.
"""

from __future__ import annotations

import json
import logging
import pwd
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from tidegate.dbus.agent_client import AGENT
from tidegate.dbus.bus import Bus
from tidegate.dbus.interface import Caller, Interface, Method, Property
from tidegate.dbus.polkit import check_authorization
from tidegate.errors import ErrorKind, TidegateError
from tidegate.machine.events import ApplyAsked, CheckAsked, Event, ForgetLockAsked, StageAsked
from tidegate.machine.state import State
from tidegate.printable import one_line
from tidegate.purpose import Purpose
from tidegate.summary import public_state, summary

ACTION_PREFIX = "org.tidegate.agent1."
"""Of the polkit actions: ``check``, ``stage``, ``apply`` and ``forget-lock``."""

MAX_REASON_CHARS = 500
"""A reason is a sentence; it is kept in the history and shown in `status`."""

MAX_OVERRIDES = 32
"""There are not as many gates."""

MAX_NAME_CHARS = 64
"""Of a gate's name that is not one, in the answer to whoever asked for it."""

_log = logging.getLogger(__name__)


class Agent(Protocol):
    """What the service needs of the agent."""

    @property
    def state(self) -> State:
        """The state that was reached last."""
        ...

    async def ask(self, request: Callable[[int], Event]) -> str:
        """Bring a person's request and wait for the answer; raises TidegateError for a no."""
        ...

    async def explain(self) -> dict[str, object]:
        """Ask every gate, without a consequence."""
        ...

    def overridable(self) -> Mapping[str, bool]:
        """The gates in force by name, and whether a person may pass each over."""
        ...


async def serve_agent(bus: Bus, agent: Agent) -> None:
    """Serve the interface and take the name.

    Raises:
        TidegateError: another agent has the name, or the bus is gone.
    """
    bus.export(AGENT.path, _Service(bus, agent).interface())
    await bus.request_name(AGENT.destination)


class _Service:
    def __init__(self, bus: Bus, agent: Agent) -> None:
        self._bus = bus
        self._agent = agent

    def interface(self) -> Interface:
        answer = {"answer": "s"}
        return Interface(
            AGENT.interface,
            methods=(
                Method("Check", self._check, returns=answer),
                Method("Stage", self._stage, returns=answer),
                Method("Apply", self._apply, takes={"reason": "s", "now": "b", "overrides": "as"}, returns=answer),
                Method("ForgetLock", self._forget_lock, takes={"reason": "s"}, returns=answer),
                Method("Explain", self._explain, returns={"document": "s"}),
            ),
            properties=(
                Property("State", "s", lambda: public_state(self._agent.state)),
                Property("Summary", "s", lambda: summary(self._agent.state)),
            ),
        )

    async def _check(self, caller: Caller) -> tuple[str]:
        await self._authorise(caller, "check")
        return (await self._agent.ask(CheckAsked),)

    async def _stage(self, caller: Caller) -> tuple[str]:
        await self._authorise(caller, "stage")
        return (await self._agent.ask(StageAsked),)

    async def _apply(self, caller: Caller, reason: str, now: bool, overrides: list[str]) -> tuple[str]:  # noqa: FBT001 - as D-Bus has it
        await self._authorise(caller, "apply")
        passed_over = checked_overrides(overrides, self._agent.overridable())
        told = f"{reason_in(reason)} (asked for by {name_of(caller.uid)}{_passing_over(passed_over)})"
        purpose = Purpose.MANUAL if now else Purpose.UPDATE
        _log.info("to apply: %s", told)
        return (await self._agent.ask(lambda request: ApplyAsked(request, told, purpose, passed_over)),)

    async def _forget_lock(self, caller: Caller, reason: str) -> tuple[str]:
        await self._authorise(caller, "forget-lock")
        told = f"{reason_in(reason)} (asked for by {name_of(caller.uid)})"
        return (await self._agent.ask(lambda request: ForgetLockAsked(request, told)),)

    async def _explain(self, caller: Caller) -> tuple[str]:  # noqa: ARG002 - what the snapshot says is for everybody, too
        return (json.dumps(await self._agent.explain()),)

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


def checked_overrides(names: Sequence[str], overridable: Mapping[str, bool]) -> frozenset[str]:
    """The gates that are to be passed over.

    Raises:
        TidegateError: one of them is not in force, or nobody may pass it over. Whoever asks for it believes otherwise.
    """
    if len(names) > MAX_OVERRIDES:
        message = f"{len(names)} gates to be passed over, and there are not as many"
        raise TidegateError(ErrorKind.AGENT_BAD_REQUEST, message, "see tidegate explain")
    for name in names:
        if not overridable.get(name, False):
            raise _not_overridable(name, overridable)
    return frozenset(names)


def _not_overridable(name: str, overridable: Mapping[str, bool]) -> TidegateError:
    known = ", ".join(sorted(gate for gate, may in overridable.items() if may)) or "none"
    remedy = f"these can be: {known}; see tidegate explain"
    gate = f"the gate {one_line(name, MAX_NAME_CHARS) or '(no name)'}"
    if name in overridable:
        return TidegateError(ErrorKind.REBOOT_REFUSED, f"{gate} cannot be passed over", remedy)
    return TidegateError(ErrorKind.AGENT_BAD_REQUEST, f"{gate} is not in force", remedy)


def _passing_over(gates: frozenset[str]) -> str:
    return f", passing over {', '.join(sorted(gates))}" if gates else ""


def name_of(uid: int) -> str:
    """The user's name, or the number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def reason_in(text: str) -> str:
    """A person's reason as it may be logged and shown: one line, printable, not endless.

    Raises:
        TidegateError: nothing is left of it.
    """
    words = one_line(text, MAX_REASON_CHARS)
    if not words:
        raise TidegateError(ErrorKind.AGENT_BAD_REQUEST, "the reason is empty", "say why: --reason TEXT")
    return words
