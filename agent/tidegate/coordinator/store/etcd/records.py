"""How a group is kept in etcd. Pure.

The semaphore is the reference server's own key with its own JSON, so that a site can move from it and back in place,
and both may run at the same time. All that this server keeps besides is below a prefix of its own in the group::

    com.coreos.airlock/groups/<group>/v1/semaphore                {"total_slots": N, "holders": [sorted ids]}
    com.coreos.airlock/groups/<group>/tidegate/v1/state           times, and a count of what follows
    com.coreos.airlock/groups/<group>/tidegate/v1/holders/<id>    since when, from and to which release, ...
    com.coreos.airlock/groups/<group>/tidegate/v1/history/<n>     a ring: what happened in one write each

The semaphore alone says who holds. A holder without a key of its own is a holder without a time, and a key without a
holder is garbage, removed by the next write. Every write of this server has the semaphore and the state in it, so that
the semaphore's version counts what strangers wrote since: at most one, and everybody who holds has held all the while;
several, and one may have given its slot back and got it again, so that what is kept about the holders is not believed
any more (``trusted_from``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar, cast
from urllib.parse import quote_plus, unquote_plus

from tidegate.coordinator.model import AuditEvent, Change, Holder, Semaphore
from tidegate.coordinator.store.base import HISTORY_LENGTH, nonsense
from tidegate.coordinator.store.codec import (
    audit_event_document,
    dump,
    holder_document,
    parse,
    read_audit_event,
    read_holder,
    read_times,
    times_document,
)
from tidegate.coordinator.store.etcd.gateway import Compare, Delete, KeyValue, Operation, Put, Range, TxnReply, below
from tidegate.jsonread import Node, ShapeError

PREFIX = "com.coreos.airlock/"
"""What an account of this server needs to read and write."""

MAX_GARBAGE = 30
"""Keys without a holder that one write removes; where there are more, none is believed any more, and they stay. With
the changes of a decision this keeps a transaction under the 128 operations that etcd takes."""

T = TypeVar("T")


class GroupKeys:
    """The keys of a group. Airlock escapes as Go's ``url.QueryEscape``, which ``quote_plus`` equals."""

    def __init__(self, group: str) -> None:
        root = f"{PREFIX}groups/{quote_plus(group)}/"
        self.semaphore = f"{root}v1/semaphore"
        self.state = f"{root}tidegate/v1/state"
        self.holders = f"{root}tidegate/v1/holders/"
        self.history = f"{root}tidegate/v1/history/"

    def holder(self, holder_id: str) -> str:
        """What is kept about one holder."""
        return f"{self.holders}{quote_plus(holder_id)}"

    def audit_events(self, sequence: int) -> str:
        """The place in the ring for a write's happenings."""
        return f"{self.history}{sequence % HISTORY_LENGTH:03d}"

    @property
    def group_ranges(self) -> tuple[Range, Range, Range]:
        """What :func:`read_group` wants to see."""
        return Range(self.semaphore), Range(self.state), below(self.holders)


@dataclass(frozen=True, slots=True)
class Ledger:
    """What a write needs to know besides the semaphore.

    ``semaphore_version`` and the revisions are those of the keys as read, 0 without the key; ``sequence`` counts writes
    with happenings; of the holders' keys, those up to ``trusted_from`` are not believed; ``garbage`` has no holder.
    """

    semaphore_revision: int = 0
    semaphore_version: int = 0
    state_revision: int = 0
    sequence: int = 0
    trusted_from: int = 0
    garbage: frozenset[str] = frozenset()

    def compares(self, keys: GroupKeys) -> tuple[Compare, Compare]:
        """That nobody has written since."""
        return Compare(keys.semaphore, self.semaphore_revision), Compare(keys.state, self.state_revision)


def read_group(keys: GroupKeys, reply: TxnReply) -> tuple[Semaphore, Ledger]:
    """A group from the answers to ``keys.group_ranges``.

    Raises:
        TidegateError: ``coordinator.store-nonsense``; the text names the key.
    """
    semaphore, state, details = reply.ranges
    slots, ids = _read_key(semaphore, _read_semaphore) or (0, ())
    noted = _read_key(state, _read_state) or _State()
    kept = {unquote_plus(one.key.removeprefix(keys.holders)): one for one in details}
    garbage = _Garbage.among(kept, ids, noted.trusted_from)
    is_believed = garbage.is_harmless and _is_continuous(semaphore, state, noted)
    ledger = Ledger(
        _mod_revision(semaphore),
        semaphore[0].version if semaphore else 0,
        _mod_revision(state),
        noted.sequence,
        noted.trusted_from if is_believed else reply.revision,
        garbage.removed,
    )
    holders = {holder_id: _holder(holder_id, kept.get(holder_id), ledger.trusted_from) for holder_id in ids}
    return replace(noted.times, slots=slots, holders=holders), ledger


def write_group(keys: GroupKeys, ledger: Ledger, change: Change) -> tuple[Operation, ...]:
    """The operations that put ``change`` into the place of what ``ledger`` was read with."""
    after = change.semaphore
    happened = _happened(keys, ledger.sequence, change.audit_events)
    return (
        Put(keys.semaphore, dump({"total_slots": after.slots, "holders": sorted(after.holders)})),
        Put(keys.state, dump(_state_document(ledger, change))),
        *(_touch(keys, holder_id, after.holders.get(holder_id)) for holder_id in sorted(change.touched)),
        *(Delete(keys.holder(holder_id)) for holder_id in sorted(ledger.garbage - change.touched)),
        *happened,
    )


def after_write(ledger: Ledger, change: Change, revision: int) -> Ledger:
    """The ledger once :func:`write_group` was carried out in ``revision``."""
    return Ledger(
        semaphore_revision=revision,
        semaphore_version=ledger.semaphore_version + 1,
        state_revision=revision,
        sequence=ledger.sequence + bool(change.audit_events),
        trusted_from=ledger.trusted_from,
    )


def read_history(group: str, kept: Iterable[KeyValue]) -> tuple[AuditEvent, ...]:
    """The ring in order, newest first.

    Raises:
        TidegateError: ``coordinator.store-nonsense``; the text names the key.
    """
    writes = [_read(one, lambda node: _read_audit_events(group, node)) for one in kept]
    writes.sort(key=lambda write: write[0], reverse=True)
    return tuple(event for _, audit_events in writes for event in reversed(audit_events))


@dataclass(frozen=True, slots=True)
class _State:
    """The state's key; ``times`` is a semaphore without holders."""

    times: Semaphore = field(default_factory=Semaphore)
    semaphore_version: int = 0
    sequence: int = 0
    trusted_from: int = 0


def _is_continuous(semaphore: Sequence[KeyValue], state: Sequence[KeyValue], noted: _State) -> bool:
    """Whether whoever holds now has held since this server's last write."""
    if not semaphore or not state:
        return False
    kept_since = semaphore[0].create_revision <= state[0].mod_revision
    return kept_since and semaphore[0].version - noted.semaphore_version <= 1


@dataclass(frozen=True, slots=True)
class _Garbage:
    """Keys without a holder. ``is_harmless`` once ``removed`` are: the others are not believed as it is."""

    removed: frozenset[str]
    is_harmless: bool

    @classmethod
    def among(cls, kept: Mapping[str, KeyValue], holders: Iterable[str], trusted_from: int) -> _Garbage:
        """The newest first: they are the ones that would be believed, were their host to hold again."""
        found = sorted(kept.keys() - set(holders), key=lambda holder_id: -kept[holder_id].mod_revision)
        left = found[MAX_GARBAGE:]
        return cls(frozenset(found[:MAX_GARBAGE]), all(kept[one].mod_revision <= trusted_from for one in left))


def _holder(holder_id: str, kept: KeyValue | None, trusted_from: int) -> Holder:
    if kept is None or kept.mod_revision <= trusted_from:
        return Holder(holder_id, since=None)
    return _read(kept, lambda node: read_holder(holder_id, node))


def _touch(keys: GroupKeys, holder_id: str, holder: Holder | None) -> Operation:
    key = keys.holder(holder_id)
    return Delete(key) if holder is None else Put(key, dump(holder_document(holder)))


def _read_semaphore(node: Node) -> tuple[int, tuple[str, ...]]:
    """Strictly: whoever wrote something else here has a meaning in mind that is not known."""
    strange = node.beyond({"total_slots", "holders"})
    if strange:
        raise ShapeError(f"unknown keys: {', '.join(sorted(strange))}")
    slots, holders = node.integer("total_slots"), node.fields.get("holders")
    if slots < 0:
        raise ShapeError(f"total_slots is {slots}")
    ids = cast(list[object], holders) if isinstance(holders, list) else []
    texts = tuple(one for one in ids if isinstance(one, str) and one)
    # Go writes an empty list that was never anything else as null
    if (holders is not None and not isinstance(holders, list)) or len({*texts}) < len(ids):
        raise ShapeError("holders is not a list of different ids")
    return slots, texts


def _state_document(ledger: Ledger, change: Change) -> Mapping[str, object]:
    return {
        "semaphore_version": ledger.semaphore_version + 1,
        "sequence": ledger.sequence + bool(change.audit_events),
        "trusted_from": ledger.trusted_from,
        **times_document(change.semaphore),
    }


def _read_state(node: Node) -> _State:
    numbers = (node.integer(key) for key in ("semaphore_version", "sequence", "trusted_from"))
    return _State(read_times(node), *numbers)


def _happened(keys: GroupKeys, sequence: int, audit_events: Sequence[AuditEvent]) -> tuple[Operation, ...]:
    if not audit_events:
        return ()
    document = {"sequence": sequence, "happenings": [audit_event_document(one) for one in audit_events]}
    return (Put(keys.audit_events(sequence), dump(document)),)


def _read_audit_events(group: str, node: Node) -> tuple[int, tuple[AuditEvent, ...]]:
    return node.integer("sequence"), tuple(read_audit_event(group, child) for child in node.children("happenings"))


def _mod_revision(found: Sequence[KeyValue]) -> int:
    return found[0].mod_revision if found else 0


def _read_key(found: Sequence[KeyValue], read: Callable[[Node], T]) -> T | None:
    return _read(found[0], read) if found else None


def _read(kept: KeyValue, read: Callable[[Node], T]) -> T:
    try:
        return read(parse(kept.value))
    except ShapeError as error:
        message = f"etcd key {kept.key}: {error}"
        raise nonsense(message, f"see who wrote it (etcdctl get {kept.key}), and delete it to begin anew") from error
