"""The rules of a semaphore: which host gets a slot. Pure.

- Commands are carried out in the order of their arrival: a lock request that its client gave up waiting for, and the
  unlock request that it sent afterwards, must not be swapped.
- A denial costs no write.
- An unlock by a host that holds no slot is written, although it changes nobody's slot: it is a fence. A lock request of
  that host may be under way still, in another coordinator or a frozen member of etcd, decided on the state of before;
  over a newer state its swap fails. A fence writes what is there already, so that nothing grows with their number.
- The number of slots is that of the rules, not that of the record; where there are more holders than slots, none is
  evicted.
- A holder expires ``lock_ttl_secs`` after its last lock request, and its slot is freed once another host needs it. A
  host that comes back before that still holds its slot.
- Another host with the id of a holder (:mod:`.rivals`) gets no slot, and frees none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
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
from tidegate.coordinator.rivals import rival_boot_id
from tidegate.fleetlock.protocol import UpdateParams, Verb

MAX_EXPIRED = 30
"""Holders that expire at once: half of the changes of a decision, so that it can grant as many of their slots."""

FULL_RETRY_SECS = 60
"""When to ask again for a slot of a full group: a reboot takes minutes."""

NOT_WRITTEN = 0
"""The revision of a grant until it is in the store."""

_NAMED = 3
_SORTED_AT_MOST = 100
"""Holders that are sorted to name the oldest in a denial; of more, any are named."""


def expires_at(holder: Holder, rules: Rules) -> datetime | None:
    """When the holder's slot may be granted to another host; None: never, for want of a limit or of a known time."""
    if rules.lock_ttl_secs is None or holder.since is None:
        return None
    return (holder.last_seen or holder.since) + timedelta(seconds=rules.lock_ttl_secs)


class SemaphoreEditor:
    """A semaphore while commands are carried out on it. ``changes`` counts the changes of holders."""

    def __init__(self, before: Semaphore, rules: Rules, now: GroupTime, group: str) -> None:
        """``group`` is its name, for messages."""
        self._before, self._rules, self._now, self._group = before, rules, now, group
        self._holders: Mapping[str, Holder] = before.holders
        self._copy: dict[str, Holder] | None = None
        self._freed = [instant for instant in before.freed if self._secs_left(instant, rules.release_delay_secs) > 0]
        self._granted_at = before.granted_at
        self._sync_requested = self._none_overdue = self._fence_needed = False
        self._denied: Denied | None = None
        self.audit_events: list[AuditEvent] = []
        self.touched: set[str] = set()
        self.changes = 0

    def serve(self, command: Command, room: int) -> Answer | None:
        """Carry out ``command`` with at most ``room`` changes (1 or more); None, without effect, if it takes more."""
        match command:
            case Call():
                return self._lock(command, room) if command.verb is Verb.PRE_REBOOT else self._unlock(command)
            case ForceRelease(id=holder_id, by=by, reason=reason):
                return self._free(holder_id, "taken", by, reason)
            case SyncSlots():
                self._sync_requested = True
                return Released(held=False)
            case _:
                assert_never(command)

    @property
    def is_changed(self) -> bool:
        """Whether the result has to be written."""
        return (
            bool(self.touched)
            or self._fence_needed
            or (self._sync_requested and self._before.slots != self._rules.slots)
        )

    def result(self) -> Semaphore:
        """The semaphore after the commands."""
        before = self._before
        as_of = self._now.at if before.as_of is None else max(before.as_of, self._now.at)
        return Semaphore(self._rules.slots, self._holders, tuple(self._freed), self._granted_at, as_of)

    def _lock(self, call: Call, room: int) -> Answer | None:
        holder = self._holders.get(call.client.id)
        if holder is not None:
            return self._flag_rival(holder, call) or self._renew(holder, call)
        if not self._expire_if_full(room - 1):  # one change is for the grant
            return None
        if self._denied is None:
            self._denied = self._denial()
        return self._denied or self._grant(call)

    def _grant(self, call: Call) -> Answer:
        now, holder_id = self._now, call.client.id
        holder = Holder(holder_id, now.at if now.sure else None, now.at, call.address, _lasting(call.update))
        self._granted_at = now.at
        self._put(holder_id, holder)
        self._note(holder_id, "granted", call.address, _versions(call.update))
        return Granted(renewed=False, revision=NOT_WRITTEN)

    def _renew(self, holder: Holder, call: Call) -> Answer:
        """Keep the caller's slot, whatever the rules are by now."""
        update = _lasting(call.update) or holder.update
        self._put(holder.id, replace(holder, last_seen=self._now.at, address=call.address, update=update))
        return Granted(renewed=True, revision=NOT_WRITTEN)

    def _flag_rival(self, holder: Holder, call: Call) -> Denied | None:
        """Flag the holder and refuse the caller, if that is another host with the same id."""
        rival = rival_boot_id(holder, call, self._now)
        if rival is None:
            return None
        if rival != holder.conflicting_boot_id:
            self._put(holder.id, replace(holder, conflicting_boot_id=rival))
            self._note(holder.id, "rival", call.address, f"{call.verb} by boot {rival}, which does not hold the slot")
        why = f"another host has this id and holds a slot of group {self._group}; give each host an id of its own"
        return Denied(DenialKind.ID_CONFLICT, why, FULL_RETRY_SECS)

    def _unlock(self, call: Call) -> Answer:
        holder = self._holders.get(call.client.id)
        if holder is not None and self._flag_rival(holder, call):
            self._fence_needed = True
            return Released(held=False)
        return self._free(call.client.id, "released", call.address, "")

    def _free(self, holder_id: str, what: str, by: str, detail: str) -> Answer:
        holder = self._holders.get(holder_id)
        if holder is None:
            self._fence_needed = True
            return Released(held=False)
        if self._rules.release_delay_secs:
            self._freed.append(self._now.at)
        self._put(holder_id, None)
        self._note(holder_id, what, by, "; ".join(filter(None, (detail, _held_since(holder)))))
        return Released(held=True)

    def _expire_if_full(self, room: int) -> bool:
        """Free the slots of overdue holders, if all slots are held; False if there are some but no ``room``."""
        if self._none_overdue or self._rules.lock_ttl_secs is None or len(self._holders) < self._rules.slots:
            return True
        limit = min(MAX_EXPIRED, room)
        overdue = nsmallest(limit + 1, self._overdue(), key=_last_seen)
        if overdue and not limit:
            return False
        self._none_overdue = len(overdue) <= limit
        for holder in overdue[:limit]:
            self._free(holder.id, "expired", f"lock_ttl_secs = {self._rules.lock_ttl_secs}", "")
        return True

    def _overdue(self) -> Iterator[Holder]:
        for holder in self._holders.values():
            end = expires_at(holder, self._rules)
            if end is not None and end <= self._now.at:
                yield holder

    def _denial(self) -> Denied | None:
        """Why no host gets a slot now; None if a host may get one."""
        rules, held = self._rules, len(self._holders)
        if held >= rules.slots:
            return Denied(DenialKind.SEMAPHORE_FULL, self._full_text(), FULL_RETRY_SECS)
        if held + len(self._freed) >= rules.slots:
            left = self._secs_left(min(self._freed), rules.release_delay_secs)
            why = f"a released slot of group {self._group} is not granted again for {rules.release_delay_secs} s"
            return Denied(DenialKind.SLOT_COOLING, why, math.ceil(left))
        left = 0.0 if self._granted_at is None else self._secs_left(self._granted_at, rules.min_gap_secs)
        if left > 0:
            why = f"group {self._group} grants one slot every {rules.min_gap_secs} s at most"
            return Denied(DenialKind.SLOT_COOLING, why, math.ceil(left))
        return None

    def _full_text(self) -> str:
        held, slots = len(self._holders), self._rules.slots
        if not slots:
            return f"group {self._group} has no slots: none of its hosts may reboot"
        holders = self._holders.values()
        named = nsmallest(_NAMED, holders, key=_last_seen) if held <= _SORTED_AT_MOST else [*islice(holders, _NAMED)]
        more = f" and {held - len(named)} more" if held > len(named) else ""
        return f"{held} of {slots} slots of group {self._group} are held: {', '.join(map(_name, named))}{more}"

    def _secs_left(self, since: datetime, secs: int) -> float:
        return secs - (self._now.at - since).total_seconds() if secs else 0.0

    def _put(self, holder_id: str, holder: Holder | None) -> None:
        """Copy the mapping before the first change: the caller's must not change."""
        if self._copy is None:
            self._holders = self._copy = dict(self._holders)
        if holder is None:
            del self._copy[holder_id]
        else:
            self._copy[holder_id] = holder
        self.touched.add(holder_id)
        self._denied = None
        self.changes += 1

    def _note(self, holder_id: str, what: str, by: str, detail: str) -> None:
        self.audit_events.append(AuditEvent(self._now.at, self._group, holder_id, what, by, detail))


def _last_seen(holder: Holder) -> tuple[float, str]:
    """A sort key: the holder that was seen the longest ago comes first."""
    seen = holder.last_seen or holder.since
    return (seen.timestamp() if seen else 0.0, holder.id)


def _name(holder: Holder) -> str:
    return f"{holder.id} ({_held_since(holder)})"


def _held_since(holder: Holder) -> str:
    return "since an unknown time" if holder.since is None else f"since {rfc3339(holder.since)}"


def _lasting(update: UpdateParams | None) -> UpdateParams | None:
    """The parameters without the one that is true at the time of the request only."""
    return None if update is None else replace(update, uptime_secs=None)


def _versions(update: UpdateParams | None) -> str:
    """The versions that the host moves from and to, as far as it sent them."""
    if update is None or update.target is None:
        return ""
    origin = f"from {update.current.version} " if update.current else ""
    return f"{origin}to {update.target.version}"
