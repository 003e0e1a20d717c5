"""The methods of ``org.tidegate.Agent1``: requests of people and tools to the agent.

Root may call every method; other users those that polkit allows them, each under an action of its own. Every request is
logged with its caller.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from tidegate.agent_api.client import AGENT
from tidegate.agent_api.properties import AgentProperties
from tidegate.agent_api.requests import checked_overrides, name_of, overriding, reason_in, release_in
from tidegate.bus.bus import Bus
from tidegate.bus.call_limits import ROOT
from tidegate.bus.caller_disconnect import while_connected
from tidegate.bus.interface import Caller, Interface, Method
from tidegate.bus.single_flight import SingleFlight
from tidegate.errors import ErrorKind, TidegateError
from tidegate.machine.events import (
    AllowAsked,
    ApplyAsked,
    CheckAsked,
    DenyAsked,
    Event,
    ForgetLockAsked,
    ResumeAsked,
    RollbackAsked,
    StageAsked,
)
from tidegate.release import Purpose
from tidegate.services.polkit import check_authorization

ACTION_PREFIX = "org.tidegate.agent1."
"""Prefix of the polkit actions, one for each verb, such as ``check`` and ``forget-lock``."""

_log = logging.getLogger(__name__)

Verb = Callable[..., Awaitable[str]]
"""Called with the caller's name and the arguments; returns the answer for people."""


class Agent(Protocol):
    """The agent, as far as the service uses it."""

    async def ask(self, request: Callable[[int], Event]) -> str:
        """Submit a request and return its answer; raise TidegateError for a refusal."""
        ...

    async def explain(self) -> dict[str, object]:
        """Return the verdicts of every gate, without any effect."""
        ...

    def reload(self) -> str:
        """Reload the configuration and return the answer; raise TidegateError for one that was rejected."""
        ...

    def overridable(self) -> Mapping[str, bool]:
        """Return the gates in force by name, and whether each may be overridden."""
        ...


async def serve_agent(bus: Bus, agent: Agent, properties: AgentProperties) -> None:
    """Export the interface and request the agent's bus name.

    Raises:
        TidegateError: another process owns the name, or the bus is lost.
    """
    bus.export(AGENT.path, agent_interface(bus, agent, properties))
    await bus.request_name(AGENT.destination)


def agent_interface(bus: Bus, agent: Agent, properties: AgentProperties) -> Interface:
    """Return the whole interface ``org.tidegate.Agent1``."""
    return replace(properties.interface, methods=_Service(bus, agent).methods())


class _Service:
    def __init__(self, bus: Bus, agent: Agent) -> None:
        self._bus = bus
        self._agent = agent
        self._explanations = SingleFlight(agent.explain)

    def methods(self) -> tuple[Method, ...]:
        return (
            self._guarded("Check", "check", self._check),
            self._guarded("Stage", "stage", self._stage),
            self._guarded("Apply", "apply", self._apply, reason="s", now="b", overrides="as"),
            self._guarded("Resume", "resume", self._resume, reason="s"),
            self._guarded("Rollback", "rollback", self._rollback, reason="s", overrides="as"),
            self._guarded("Allow", "allow", self._allow, release="s", reason="s"),
            self._guarded("Deny", "deny", self._deny, release="s", reason="s"),
            self._guarded("ForgetLock", "forget-lock", self._forget_lock, reason="s"),
            self._guarded("Reload", "reload", self._reload),
            Method("Explain", self._explain, returns={"document": "s"}),
        )

    def _guarded(self, member: str, verb: str, act: Verb, **takes: str) -> Method:
        """Return a method that requires authorisation, and is cancelled when its caller disconnects."""

        async def handle(caller: Caller, *arguments: object) -> tuple[object, ...]:
            await self._authorise(caller, verb)
            async with while_connected(self._bus, caller):
                return (await act(name_of(caller.uid), *arguments),)

        return Method(member, handle, takes, {"answer": "s"})

    async def _authorise(self, caller: Caller, verb: str) -> None:
        """Return for root and for callers whom polkit allows ``verb``; raise for others."""
        who = f"{name_of(caller.uid)} (uid {caller.uid}, pid {caller.pid})"
        if caller.uid == ROOT or await check_authorization(self._bus, caller, ACTION_PREFIX + verb):
            _log.info("%s asked for by %s", verb, who)
            return
        _log.warning("refused %s to %s", verb, who)
        raise TidegateError(
            ErrorKind.AGENT_NOT_AUTHORISED,
            f"{name_of(caller.uid)} may not {verb}",
            f"run it as root, or allow the polkit action {ACTION_PREFIX}{verb}",
        )

    async def _check(self, _who: str) -> str:
        return await self._agent.ask(CheckAsked)

    async def _stage(self, _who: str) -> str:
        return await self._agent.ask(StageAsked)

    async def _apply(self, who: str, reason: str, now: bool, overrides: Sequence[str]) -> str:  # noqa: FBT001 - as D-Bus has it
        overridden = checked_overrides(overrides, self._agent.overridable())
        why = _logged_reason("apply", reason, who, overriding(overridden))
        purpose = Purpose.MANUAL if now else Purpose.UPDATE
        return await self._agent.ask(lambda request: ApplyAsked(request, why, purpose, overridden))

    async def _resume(self, who: str, reason: str) -> str:
        why = _logged_reason("resume", reason, who)
        return await self._agent.ask(lambda request: ResumeAsked(request, why))

    async def _rollback(self, who: str, reason: str, overrides: Sequence[str]) -> str:
        overridden = checked_overrides(overrides, self._agent.overridable())
        why = _logged_reason("roll back", reason, who, overriding(overridden))
        return await self._agent.ask(lambda request: RollbackAsked(request, why, overridden))

    async def _allow(self, who: str, release: str, reason: str) -> str:
        wanted = release_in(release)
        why = _logged_reason(f"allow {wanted}", reason, who)
        return await self._agent.ask(lambda request: AllowAsked(request, wanted, why))

    async def _deny(self, who: str, release: str, reason: str) -> str:
        unwanted = release_in(release)
        why = _logged_reason(f"deny {unwanted}", reason, who)
        return await self._agent.ask(lambda request: DenyAsked(request, unwanted, why))

    async def _forget_lock(self, who: str, reason: str) -> str:
        why = _logged_reason("forget the lock", reason, who)
        return await self._agent.ask(lambda request: ForgetLockAsked(request, why))

    async def _reload(self, _who: str) -> str:
        return self._agent.reload()

    async def _explain(self, caller: Caller) -> tuple[str]:
        """Without authorisation: the status is public too."""
        async with while_connected(self._bus, caller):
            return (json.dumps(await self._explanations.ask()),)


def _logged_reason(what: str, reason: str, who: str, addition: str = "") -> str:
    """Return the reason with its author, as the history has it; log it before anything is done."""
    author = ", ".join(filter(None, (f"asked for by {who}", addition)))
    why = f"{reason_in(reason)} ({author})"
    _log.info("to %s: %s", what, why)
    return why
