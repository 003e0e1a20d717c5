"""The locks of a coordinator in memory: enough of their manners to test what is around them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tests.fakes.clock import FakeClock
from tidegate.clock import Clock
from tidegate.coordinator.model import (
    Answer,
    AuditEvent,
    Call,
    DenialKind,
    Denied,
    Granted,
    GroupView,
    Holder,
    Released,
    Rules,
)
from tidegate.errors import ErrorKind, TidegateError
from tidegate.fleetlock.protocol import Verb


@dataclass
class MemoryLocks:
    """A :class:`~tidegate.coordinator.service.Locks`. ``away``: the store does not answer. ``gate``: calls wait for it.
    ``defect``: what a call raises."""

    rules: dict[str, Rules] = field(default_factory=lambda: {"default": Rules(slots=1), "workers": Rules(slots=2)})
    clock: Clock = field(default_factory=FakeClock)
    away: bool = False
    gate: asyncio.Event | None = None
    defect: Exception | None = None
    default_group: str | None = None
    calls: list[Call] = field(default_factory=list[Call])
    held: dict[str, dict[str, Holder]] = field(default_factory=dict[str, dict[str, Holder]])
    refused: dict[str, dict[str, Denied]] = field(default_factory=dict[str, dict[str, Denied]])
    happened: list[AuditEvent] = field(default_factory=list[AuditEvent])

    def configure(self, groups: Mapping[str, Rules], default_group: str | None) -> None:
        """Other rules, from now on."""
        self.rules, self.default_group = dict(groups), default_group

    async def call(self, call: Call) -> Answer:
        """A client's request."""
        await self.check()
        if self.gate is not None:
            await self.gate.wait()
        self.calls.append(call)
        group = call.client.group if call.client.group in self.rules else self.default_group
        if group is None:
            return Denied(DenialKind.UNKNOWN_GROUP, f"there is no group {call.client.group}")
        held = self.held.setdefault(group, {})
        if call.verb is Verb.STEADY_STATE:
            return Released(held.pop(call.client.id, None) is not None)
        return self._pre_reboot(call, group, held)

    def _pre_reboot(self, call: Call, group: str, held: dict[str, Holder]) -> Answer:
        now = self.clock.now().wall
        if call.client.id in held:
            held[call.client.id] = replace(held[call.client.id], last_seen=now)
            return Granted(renewed=True, revision=len(self.calls))
        if len(held) >= self.rules[group].slots:
            denied = Denied(DenialKind.SEMAPHORE_FULL, f"all {self.rules[group].slots} slots are held", 30)
            self.refused.setdefault(group, {})[call.client.id] = denied
            return denied
        held[call.client.id] = Holder(call.client.id, now, now, call.address, call.update)
        self.happened.append(AuditEvent(now, group, call.client.id, "granted", call.address))
        return Granted(renewed=False, revision=len(self.calls))

    async def groups(self) -> tuple[GroupView, ...]:
        """Every group."""
        await self.check()
        return tuple(
            GroupView(name, rules, tuple(self.held.get(name, {}).values()), self.refused.get(name, {}))
            for name, rules in self.rules.items()
        )

    async def force_release(self, group: str | None, holder_id: str, by: str, reason: str) -> tuple[str, ...]:
        """Free a slot."""
        await self.check()
        if group is not None and group not in self.rules:
            raise TidegateError(ErrorKind.COORDINATOR_UNKNOWN_GROUP, f"there is no group {group}")
        places = [name for name, held in self.held.items() if group in {None, name} and holder_id in held]
        if not places:
            raise TidegateError(ErrorKind.COORDINATOR_NO_HOLDER, f"{holder_id} holds no slot")
        for name in places:
            del self.held[name][holder_id]
        now = self.clock.now().wall
        self.happened += [AuditEvent(now, name, holder_id, "taken", by, reason) for name in places]
        return tuple(places)

    async def history(self, group: str | None, limit: int) -> tuple[AuditEvent, ...]:
        """Newest first."""
        await self.check()
        return tuple([one for one in reversed(self.happened) if group in {None, one.group}][:limit])

    async def check(self) -> None:
        """Whether the store answers."""
        if self.defect is not None:
            raise self.defect
        if self.away:
            raise TidegateError(ErrorKind.COORDINATOR_STORE_UNAVAILABLE, "etcd does not answer", "look at etcd")
