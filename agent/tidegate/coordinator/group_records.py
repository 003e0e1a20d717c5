"""The layout of a group in a store: which documents it has, and how they are read and written. Pure.

The semaphore is airlock's own key with airlock's own JSON, byte for byte, so that a site can move from airlock and back
in place, and both may run at the same time. Everything else is below a prefix of this project in the group::

    com.coreos.airlock/groups/<group>/v1/semaphore                  {"total_slots": N, "holders": [sorted ids]}
    com.coreos.airlock/groups/<group>/tidegate/v1/state             times, and a count of what follows
    com.coreos.airlock/groups/<group>/tidegate/v1/rollout           the rollout, if there is one
    com.coreos.airlock/groups/<group>/tidegate/v1/holders/<id>      grants: since when, from and to which release, ...
    com.coreos.airlock/groups/<group>/tidegate/v1/in-flight/<id>    hosts in flight of the rollout
    com.coreos.airlock/groups/<group>/tidegate/v1/history/<n>       a ring: the audit events of one swap each

Every swap compares semaphore, state and rollout, and writes the first two. So a change of any document is a change of
these, the others need no comparison, and a swap writes only those of them that have changed.

The semaphore alone says who holds a slot. A holder without a document has no known time, and a document without a
holder is stale and removed by the next swap. As every swap of this server writes the semaphore and notes the count of
its writes in the state, that count tells how often other servers wrote in between: after one foreign write, every
present holder has held its slot all the time; after several, a host may have released its slot and taken it again, so
that documents of holders older than that are not used any more (``trusted_from``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar, cast
from urllib.parse import quote_plus, unquote_plus

from tidegate.coordinator.group_codec import (
    audit_event_document,
    dump,
    holder_document,
    host_document,
    parse,
    read_audit_event,
    read_holder,
    read_host,
    read_times,
    times_document,
)
from tidegate.coordinator.group_state import Change, GroupState, HostInFlight
from tidegate.coordinator.model import AuditEvent, Holder, Semaphore
from tidegate.coordinator.store.base import PREFIX, CompareSet, Delete, Document, Put, Range, Snapshot, Write, below
from tidegate.jsonread import Node, ShapeError

HISTORY_LENGTH = 256
"""The number of latest swaps of a group whose audit events are kept."""

GROUPS = f"{PREFIX}groups/"
"""The prefix of the keys of all groups."""

MAX_VALUE_BYTES = 256 * 1024
"""The largest document. The semaphore is exempt: its format is airlock's, and the 1.5 MiB that etcd takes in a request
limit its size."""

MAX_STALE = 30
"""Stale documents that one swap removes, to stay below etcd's limit of operations. If there are more, no document of a
holder is used any more, and the rest stays."""

T = TypeVar("T")


class RecordError(Exception):
    """A document cannot be parsed; it is left unchanged."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(f"{key}: {why}")
        self.key, self.why = key, why


class GroupKeys:
    """The keys of a group. Its name is escaped as by airlock: Go's ``url.QueryEscape`` is equal to ``quote_plus``."""

    def __init__(self, group: str) -> None:
        root = f"{GROUPS}{quote_plus(group)}/"
        self.semaphore = f"{root}v1/semaphore"
        self.state = f"{root}tidegate/v1/state"
        self.rollout = f"{root}tidegate/v1/rollout"
        self.holders = f"{root}tidegate/v1/holders/"
        self.in_flight = f"{root}tidegate/v1/in-flight/"
        self.history = f"{root}tidegate/v1/history/"

    def holder(self, holder_id: str) -> str:
        """The key of a holder's document."""
        return f"{self.holders}{quote_plus(holder_id)}"

    def host(self, host_id: str) -> str:
        """The key of a host in flight."""
        return f"{self.in_flight}{quote_plus(host_id)}"

    def audit_events(self, sequence: int) -> str:
        """The key, in the ring, of the audit events of the swap with this sequence number."""
        return f"{self.history}{sequence % HISTORY_LENGTH:03d}"

    @staticmethod
    def group_of(key: str) -> str | None:
        """The group whose semaphore ``key`` is; None for any other key."""
        name, _, rest = key.removeprefix(GROUPS).partition("/")
        return unquote_plus(name) if key.startswith(GROUPS) and rest == "v1/semaphore" else None

    @property
    def group_ranges(self) -> tuple[Range, ...]:
        """The ranges that :func:`read_group` needs, in its order."""
        single = Range(self.semaphore), Range(self.state), Range(self.rollout)
        return (*single, below(self.holders), below(self.in_flight))


@dataclass(frozen=True, slots=True)
class Ledger:
    """The facts about the documents that a swap needs besides the state.

    Revisions are those of the documents as read, 0 without one. ``sequence`` counts swaps with audit events. Documents
    of holders up to the revision ``trusted_from`` are not used; ``stale`` are the ids of those without a holder.
    """

    semaphore_revision: int = 0
    semaphore_version: int = 0
    state_revision: int = 0
    rollout_revision: int = 0
    sequence: int = 0
    trusted_from: int = 0
    stale: frozenset[str] = frozenset()

    def compare_set(self, keys: GroupKeys) -> CompareSet:
        """The comparisons which hold while the group has not been changed."""
        return {
            keys.semaphore: self.semaphore_revision,
            keys.state: self.state_revision,
            keys.rollout: self.rollout_revision,
        }


def read_group(keys: GroupKeys, snapshot: Snapshot) -> tuple[GroupState, Ledger]:
    """Parse a group from a snapshot of ``keys.group_ranges``.

    Raises:
        RecordError: a document cannot be parsed.
    """
    semaphore, state, rollout, details, in_flight = snapshot.ranges
    slots, ids = _read_single(semaphore, _read_semaphore) or (0, ())
    noted = _read_single(state, _read_state) or _State()
    by_id = {unquote_plus(one.key.removeprefix(keys.holders)): one for one in details}
    stale = _Stale.among(by_id, ids, noted.trusted_from)
    is_trusted = stale.is_harmless and _is_continuous(semaphore, state, noted)
    ledger = Ledger(
        semaphore_revision=_revision(semaphore),
        semaphore_version=semaphore[0].version if semaphore else 0,
        state_revision=_revision(state),
        rollout_revision=_revision(rollout),
        sequence=noted.sequence,
        trusted_from=noted.trusted_from if is_trusted else snapshot.revision,
        stale=stale.removed,
    )
    holders = {holder_id: _holder(holder_id, by_id.get(holder_id), ledger.trusted_from) for holder_id in ids}
    return (
        GroupState(
            replace(noted.times, slots=slots, holders=holders),
            _read_single(rollout, lambda node: node.fields),
            {unquote_plus(one.key.removeprefix(keys.in_flight)): _read(one, read_host) for one in in_flight},
        ),
        ledger,
    )


def write_group(keys: GroupKeys, ledger: Ledger, change: Change) -> tuple[Write, ...]:
    """The writes that replace the state that ``ledger`` was read with by that of ``change``."""
    after = change.state
    holders = after.semaphore.holders
    return (
        Put(keys.semaphore, dump({"total_slots": after.semaphore.slots, "holders": sorted(holders)})),
        Put(keys.state, dump(_state_document(ledger, change))),
        *_rollout_writes(keys, change),
        *(_holder_write(keys, holder_id, holders.get(holder_id)) for holder_id in sorted(change.touched)),
        *(_host_write(keys, host_id, after.in_flight.get(host_id)) for host_id in sorted(change.touched_hosts)),
        *(Delete(keys.holder(holder_id)) for holder_id in sorted(ledger.stale - change.touched)),
        *_history_writes(keys, ledger.sequence, change.audit_events),
    )


def after_write(ledger: Ledger, change: Change, revision: int) -> Ledger:
    """The ledger once :func:`write_group` has been carried out in ``revision``."""
    return Ledger(
        semaphore_revision=revision,
        semaphore_version=ledger.semaphore_version + 1,
        state_revision=revision,
        rollout_revision=_rollout_revision_after(ledger, change, revision),
        sequence=ledger.sequence + bool(change.audit_events),
        trusted_from=ledger.trusted_from,
    )


def read_history(group: str, documents: Iterable[Document]) -> tuple[AuditEvent, ...]:
    """Parse the ring, newest first.

    Raises:
        RecordError: a document cannot be parsed.
    """
    swaps = [_read(one, lambda node: _read_audit_events(group, node)) for one in documents]
    swaps.sort(key=lambda swap: swap[0], reverse=True)
    return tuple(event for _, audit_events in swaps for event in reversed(audit_events))


@dataclass(frozen=True, slots=True)
class _State:
    """The document ``state``; ``times`` is a semaphore without slots and holders."""

    times: Semaphore = field(default_factory=Semaphore)
    semaphore_version: int = 0
    sequence: int = 0
    trusted_from: int = 0


def _is_continuous(semaphore: Sequence[Document], state: Sequence[Document], noted: _State) -> bool:
    """Whether every present holder has held its slot since this server's last write."""
    if not semaphore or not state:
        return False
    exists_since = semaphore[0].created <= state[0].revision
    return exists_since and semaphore[0].version - noted.semaphore_version <= 1


@dataclass(frozen=True, slots=True)
class _Stale:
    """Documents without a holder. ``is_harmless``: once ``removed`` are, no other one would ever be used."""

    removed: frozenset[str]
    is_harmless: bool

    @classmethod
    def among(cls, by_id: Mapping[str, Document], holders: Iterable[str], trusted_from: int) -> _Stale:
        """Find them. The newest are removed first: these would be used if their host took a slot again."""
        found = sorted(by_id.keys() - set(holders), key=lambda holder_id: -by_id[holder_id].revision)
        rest = found[MAX_STALE:]
        return cls(frozenset(found[:MAX_STALE]), all(by_id[one].revision <= trusted_from for one in rest))


def _holder(holder_id: str, document: Document | None, trusted_from: int) -> Holder:
    if document is None or document.revision <= trusted_from:
        return Holder(holder_id, since=None)
    return _read(document, lambda node: read_holder(holder_id, node))


def _holder_write(keys: GroupKeys, holder_id: str, holder: Holder | None) -> Write:
    key = keys.holder(holder_id)
    return Delete(key) if holder is None else _bounded_put(key, holder_document(holder))


def _host_write(keys: GroupKeys, host_id: str, host: HostInFlight | None) -> Write:
    key = keys.host(host_id)
    return Delete(key) if host is None else _bounded_put(key, host_document(host))


def _rollout_writes(keys: GroupKeys, change: Change) -> tuple[Write, ...]:
    if not change.rollout_changed:
        return ()
    rollout = change.state.rollout
    return (Delete(keys.rollout) if rollout is None else _bounded_put(keys.rollout, rollout),)


def _rollout_revision_after(ledger: Ledger, change: Change, revision: int) -> int:
    if not change.rollout_changed:
        return ledger.rollout_revision
    return 0 if change.state.rollout is None else revision


def _history_writes(keys: GroupKeys, sequence: int, audit_events: Sequence[AuditEvent]) -> tuple[Write, ...]:
    if not audit_events:
        return ()
    document = {"sequence": sequence, "happenings": [audit_event_document(one) for one in audit_events]}
    return (_bounded_put(keys.audit_events(sequence), document),)


def _bounded_put(key: str, document: Mapping[str, object]) -> Put:
    """A put of a document whose size is bounded by the limits on what is put into it.

    Raises:
        ValueError: it is larger; a defect.
    """
    value = dump(document)
    if len(value.encode()) > MAX_VALUE_BYTES:
        raise ValueError(f"{key} would have more than {MAX_VALUE_BYTES} bytes")
    return Put(key, value)


def _read_semaphore(node: Node) -> tuple[int, tuple[str, ...]]:
    """Parse airlock's document strictly: an unknown key may have a meaning that a rewrite would destroy."""
    unknown = node.beyond({"total_slots", "holders"})
    if unknown:
        raise ShapeError(f"unknown keys: {', '.join(sorted(unknown))}")
    slots, holders = node.integer("total_slots"), node.fields.get("holders")
    if slots < 0:
        raise ShapeError(f"total_slots is {slots}")
    ids = cast(list[object], holders) if isinstance(holders, list) else []
    texts = tuple(one for one in ids if isinstance(one, str) and one)
    # Go encodes a nil slice, such as one that was never filled, as null.
    if (holders is not None and not isinstance(holders, list)) or len({*texts}) < len(ids):
        raise ShapeError("holders is not a list of different ids")
    return slots, texts


def _state_document(ledger: Ledger, change: Change) -> Mapping[str, object]:
    return {
        "semaphore_version": ledger.semaphore_version + 1,
        "sequence": ledger.sequence + bool(change.audit_events),
        "trusted_from": ledger.trusted_from,
        **times_document(change.state.semaphore),
    }


def _read_state(node: Node) -> _State:
    numbers = (node.integer(key) for key in ("semaphore_version", "sequence", "trusted_from"))
    return _State(read_times(node), *numbers)


def _read_audit_events(group: str, node: Node) -> tuple[int, tuple[AuditEvent, ...]]:
    return node.integer("sequence"), tuple(read_audit_event(group, child) for child in node.children("happenings"))


def _revision(found: Sequence[Document]) -> int:
    return found[0].revision if found else 0


def _read_single(found: Sequence[Document], read: Callable[[Node], T]) -> T | None:
    return _read(found[0], read) if found else None


def _read(document: Document, read: Callable[[Node], T]) -> T:
    try:
        return read(parse(document.value))
    except ShapeError as error:
        raise RecordError(document.key, str(error)) from error
