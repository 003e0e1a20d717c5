"""The state of a group, and decisions on it. Pure.

A group's state is its semaphore, its rollout and its hosts in flight. They are decided as one, and every decision is
written by one compare-and-swap, so that a rollout which stops takes effect at once: no grant can slip in between.

There are no rollouts yet, but their place is settled: a rollout is an opaque document; while a group has one, a host is
in flight from its grant until it reports that it is back, and each of its reports is recorded. When other hosts were
last seen is not part of the state: it is to be recorded outside of the compare set, at most every 10 minutes for each,
since a denial must not cost a write.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from tidegate.coordinator.group_clock import GroupTime
from tidegate.coordinator.lock import SemaphoreEditor
from tidegate.coordinator.model import Answer, AuditEvent, Call, Command, ForceRelease, Granted, Rules, Semaphore
from tidegate.fleetlock.protocol import Verb

MAX_CHANGES = 60
"""Changed documents of holders and hosts in one decision; the next decision goes on with the rest. With the group's own
documents and with those that are cleaned up, a swap stays below the 128 operations that etcd takes."""

Rollout: TypeAlias = Mapping[str, object]
"""A rollout's document. Nothing reads it yet."""


@dataclass(frozen=True, slots=True)
class HostInFlight:
    """A host that is on its way to a rollout's release: when it was granted its slot, and when it last reported."""

    since: datetime
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class GroupState:
    """The state of one group. ``rollout`` None: there is none. ``in_flight`` has the hosts by their ids."""

    semaphore: Semaphore = field(default_factory=Semaphore)
    rollout: Rollout | None = None
    in_flight: Mapping[str, HostInFlight] = field(default_factory=dict[str, HostInFlight])


@dataclass(frozen=True, slots=True)
class Change:
    """A state to be written in place of the one before it.

    ``touched`` and ``touched_hosts`` are the ids whose holder or host in flight differs from the state before, or is
    removed; ``audit_events`` are added to the history in the same swap.
    """

    state: GroupState
    touched: frozenset[str] = frozenset()
    touched_hosts: frozenset[str] = frozenset()
    rollout_changed: bool = False
    audit_events: tuple[AuditEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """The answers to the first commands; to fewer than all where ``MAX_CHANGES`` is reached.

    They are valid once ``change`` is written. If it is None, they are valid while the state is still the one that was
    decided on.
    """

    change: Change | None
    answers: tuple[Answer, ...]


def decide(state: GroupState, commands: Sequence[Command], rules: Rules, now: GroupTime, group: str) -> Decision:
    """Carry out ``commands`` one after the other. ``group`` is its name, for messages."""
    semaphore = SemaphoreEditor(state.semaphore, rules, now, group)
    hosts = _HostsEditor(state, now)
    answers: list[Answer] = []
    for command in commands:
        room = MAX_CHANGES - semaphore.changes - hosts.changes - hosts.reserve
        answer = semaphore.serve(command, room) if room > 0 else None
        if answer is None:
            break
        hosts.follow(command, answer)
        answers.append(answer)
    if not semaphore.is_changed and not hosts.changes:
        return Decision(None, tuple(answers))
    after = GroupState(semaphore.result(), state.rollout, hosts.in_flight)
    events = tuple(semaphore.audit_events)
    change = Change(after, frozenset(semaphore.touched), frozenset(hosts.touched), audit_events=events)
    return Decision(change, tuple(answers))


class _HostsEditor:
    """The hosts in flight while commands are carried out."""

    def __init__(self, before: GroupState, now: GroupTime) -> None:
        self._now = now
        self._has_rollout = before.rollout is not None
        self.in_flight: Mapping[str, HostInFlight] = before.in_flight
        self._copy: dict[str, HostInFlight] | None = None
        self.touched: set[str] = set()
        self.changes = 0
        self.reserve = int(self._has_rollout or bool(before.in_flight))
        """Changes that one command may make here."""

    def follow(self, command: Command, answer: Answer) -> None:
        """Update the host of a command that was carried out."""
        match command:
            case Call(verb=Verb.PRE_REBOOT, client=client) if isinstance(answer, Granted):
                self._report(client.id)
            case Call(verb=Verb.STEADY_STATE, client=client):
                self._remove(client.id)
            case ForceRelease(id=host_id):
                self._remove(host_id)
            case _:
                pass

    def _report(self, host_id: str) -> None:
        before = self.in_flight.get(host_id)
        if before is not None or self._has_rollout:
            since = self._now.at if before is None else before.since
            self._put(host_id, HostInFlight(since, self._now.at))

    def _remove(self, host_id: str) -> None:
        if host_id in self.in_flight:
            self._put(host_id, None)

    def _put(self, host_id: str, host: HostInFlight | None) -> None:
        """Copy the mapping before the first change: the caller's must not change."""
        if self._copy is None:
            self.in_flight = self._copy = dict(self.in_flight)
        if host is None:
            del self._copy[host_id]
        else:
            self._copy[host_id] = host
        self.touched.add(host_id)
        self.changes += 1
