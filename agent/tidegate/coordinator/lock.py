"""Who gets a slot. Pure: a semaphore, orders, rules and an instant make another semaphore and answers.

- Orders are carried out as they came in: a lock that its client gave up waiting for, and the unlock that it sent after
  it, must not change places.
- What changes nothing is no change: a denial, or an unlock by a host that holds nothing, costs the store no write.
- The rules count, not the number of slots in the record; where there are more holders than slots, nobody is thrown out.
- A holder's slot may be taken for another once its time is over (``lock_ttl_secs``, since it was last told that it may
  reboot), and is when another needs it. A host that comes back before that still has it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from heapq import nsmallest
from itertools import islice
from typing import assert_never

from tidegate.clock import rfc3339
from tidegate.coordinator.group_clock import GroupTime
from tidegate.coordinator.model import (
    Answer,
    AuditEvent,
    Call,
    Change,
    Command,
    DenialKind,
    Denied,
    ForceRelease,
    Granted,
    Holder,
    Released,
    Rules,
    Semaphore,
    SyncSlots,
)
from tidegate.fleetlock.protocol import UpdateParams, Verb

MAX_CHANGES = 60
"""In one decision. A transaction of etcd takes 128 operations (3.4, ``--max-txn-ops``); each change is one of them."""

MAX_EXPIRED = 30
"""In one decision, for the same reason; the next one goes on."""

FULL_RETRY_SECS = 60
"""When to ask again for a slot of a full group: a reboot takes minutes."""

NOT_WRITTEN = 0
"""The revision of a grant until it is in the store."""

_NAMED = 3
_SORTED_AT_MOST = 100
"""Holders that are put in order to name the oldest in a denial; of more, the first at hand are named."""


@dataclass(frozen=True, slots=True)
class Decision:
    """``answers`` belong to the first orders; there are fewer than orders where ``MAX_CHANGES`` is reached. They hold
    once ``change`` is written, or with None as long as the semaphore is still the one that was decided upon."""

    change: Change | None
    answers: tuple[Answer, ...]


def decide(semaphore: Semaphore, commands: Sequence[Command], rules: Rules, now: GroupTime, group: str) -> Decision:
    """Answer ``orders`` one after the other. ``group`` is its name, for people."""
    editor = _SemaphoreEditor(semaphore, rules, now, group)
    answers: list[Answer] = []
    for command in commands:
        if editor.changes >= MAX_CHANGES:
            break
        answers.append(editor.serve(command))
    return Decision(editor.change(), tuple(answers))


def expires_at(holder: Holder, rules: Rules) -> datetime | None:
    """From when on the slot may be taken for another; None: never, as there is no limit or no time to count from."""
    if rules.lock_ttl_secs is None or holder.since is None:
        return None
    return (holder.last_seen or holder.since) + timedelta(seconds=rules.lock_ttl_secs)


class _SemaphoreEditor:
    """The semaphore while orders are carried out on it."""

    def __init__(self, before: Semaphore, rules: Rules, now: GroupTime, group: str) -> None:
        self._before, self._rules, self._now, self._group = before, rules, now, group
        self._holders: Mapping[str, Holder] = before.holders
        self._copy: dict[str, Holder] | None = None
        self._freed = [instant for instant in before.freed if self._secs_left(instant, rules.release_delay_secs) > 0]
        self._granted_at = before.granted_at
        self._audit_events: list[AuditEvent] = []
        self._touched: set[str] = set()
        self._aligned = self._expired = False
        self._denied: Denied | None = None
        self.changes = 0

    def serve(self, command: Command) -> Answer:
        match command:
            case Call():
                return self._lock(command) if command.verb is Verb.PRE_REBOOT else self._unlock(command)
            case ForceRelease(id=holder_id, by=by, reason=reason):
                return self._free(holder_id, "taken", by, reason)
            case SyncSlots():
                self._aligned = True
                return Released(held=False)
            case _:
                assert_never(command)

    def change(self) -> Change | None:
        """What is to be written, if anything is."""
        rules, before = self._rules, self._before
        if not self._touched and (not self._aligned or before.slots == rules.slots):
            return None
        as_of = self._now.at if before.as_of is None else max(before.as_of, self._now.at)
        after = Semaphore(rules.slots, self._holders, tuple(self._freed), self._granted_at, as_of)
        return Change(after, frozenset(self._touched), tuple(self._audit_events))

    def _lock(self, call: Call) -> Answer:
        holder = self._holders.get(call.client.id)
        if holder is not None:
            return self._renew(holder, call)
        self._expire_if_full()
        if self._denied is None:
            self._denied = self._denial()
        return self._denied or self._grant(call)

    def _grant(self, call: Call) -> Answer:
        now, holder_id = self._now, call.client.id
        holder = Holder(holder_id, now.at if now.sure else None, now.at, call.address, call.update)
        self._granted_at = now.at
        self._put(holder_id, holder)
        self._note(holder_id, "granted", call.address, _journey(call.update))
        return Granted(renewed=False, revision=NOT_WRITTEN)

    def _renew(self, holder: Holder, call: Call) -> Answer:
        """It has a slot and keeps it, whatever the rules say by now. The protocol goes by ids, so that another host of
        the same id has it too; that is told to people."""
        mine, theirs = _boot_id(holder.update), _boot_id(call.update)
        rival = theirs if mine and theirs and mine != theirs else None
        if rival and rival != holder.conflicting_boot_id:
            self._note(holder.id, "rival", call.address, f"boot {rival} asks, boot {mine} holds")
        renewed = replace(
            holder,
            last_seen=self._now.at,
            address=holder.address if rival else call.address,
            update=holder.update if rival else call.update or holder.update,
            conflicting_boot_id=rival or holder.conflicting_boot_id,
        )
        self._put(holder.id, renewed)
        return Granted(renewed=True, revision=NOT_WRITTEN)

    def _unlock(self, call: Call) -> Answer:
        return self._free(call.client.id, "released", call.address, "")

    def _free(self, holder_id: str, what: str, by: str, detail: str) -> Answer:
        holder = self._holders.get(holder_id)
        if holder is None:
            return Released(held=False)
        if self._rules.release_delay_secs:
            self._freed.append(self._now.at)
        self._put(holder_id, None)
        self._note(holder_id, what, by, "; ".join(filter(None, (detail, _held_since(holder)))))
        return Released(held=True)

    def _expire_if_full(self) -> None:
        """Once a decision: by its end no more time has passed."""
        if self._expired or self._rules.lock_ttl_secs is None or len(self._holders) < self._rules.slots:
            return
        self._expired = True
        for holder in nsmallest(MAX_EXPIRED, self._overdue(), key=_seen):
            self._free(holder.id, "expired", f"lock_ttl_secs = {self._rules.lock_ttl_secs}", "")

    def _overdue(self) -> Iterator[Holder]:
        for holder in self._holders.values():
            end = expires_at(holder, self._rules)
            if end is not None and end <= self._now.at:
                yield holder

    def _denial(self) -> Denied | None:
        """Why nobody gets a slot now; None where somebody does."""
        rules, held = self._rules, len(self._holders)
        if held >= rules.slots:
            return Denied(DenialKind.SEMAPHORE_FULL, self._who_holds(), FULL_RETRY_SECS)
        if held + len(self._freed) >= rules.slots:
            left = self._secs_left(min(self._freed), rules.release_delay_secs)
            why = f"a slot of group {self._group} that was given back rests for {rules.release_delay_secs} s"
            return Denied(DenialKind.SLOT_COOLING, why, math.ceil(left))
        left = 0.0 if self._granted_at is None else self._secs_left(self._granted_at, rules.min_gap_secs)
        if left > 0:
            why = f"group {self._group} lets one host go every {rules.min_gap_secs} s"
            return Denied(DenialKind.SLOT_COOLING, why, math.ceil(left))
        return None

    def _who_holds(self) -> str:
        held, slots = len(self._holders), self._rules.slots
        if not slots:
            return f"group {self._group} has no slots: none of its hosts may reboot"
        first = self._holders.values()
        named = nsmallest(_NAMED, first, key=_seen) if held <= _SORTED_AT_MOST else [*islice(first, _NAMED)]
        more = f" and {held - len(named)} more" if held > len(named) else ""
        return f"{held} of {slots} slots of group {self._group} are held: {', '.join(map(_named, named))}{more}"

    def _secs_left(self, since: datetime, secs: int) -> float:
        return secs - (self._now.at - since).total_seconds() if secs else 0.0

    def _put(self, holder_id: str, holder: Holder | None) -> None:
        """The mapping that came in belongs to others: it is copied before the first change."""
        if self._copy is None:
            self._holders = self._copy = dict(self._holders)
        if holder is None:
            del self._copy[holder_id]
        else:
            self._copy[holder_id] = holder
        self._touched.add(holder_id)
        self._denied = None
        self.changes += 1

    def _note(self, holder_id: str, what: str, by: str, detail: str) -> None:
        self._audit_events.append(AuditEvent(self._now.at, self._group, holder_id, what, by, detail))


def _seen(holder: Holder) -> tuple[float, str]:
    """By when it was last heard of, the longest ago first."""
    seen = holder.last_seen or holder.since
    return (seen.timestamp() if seen else 0.0, holder.id)


def _named(holder: Holder) -> str:
    return f"{holder.id} ({_held_since(holder)})"


def _held_since(holder: Holder) -> str:
    return "since an unknown time" if holder.since is None else f"since {rfc3339(holder.since)}"


def _boot_id(update: UpdateParams | None) -> str | None:
    return None if update is None else update.boot_id


def _journey(update: UpdateParams | None) -> str:
    """From which version to which, as far as it was said."""
    if update is None or update.target is None:
        return ""
    origin = f"from {update.current.version} " if update.current else ""
    return f"{origin}to {update.target.version}"
