"""The documents of a group, and what other servers do to them. A small etcd in memory carries the writes out."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

import pytest

from tests.fakes.clock import START
from tidegate.coordinator.group_clock import GroupTime
from tidegate.coordinator.group_records import (
    HISTORY_LENGTH,
    MAX_STALE,
    MAX_VALUE_BYTES,
    GroupKeys,
    Ledger,
    RecordError,
    after_write,
    read_group,
    read_history,
    write_group,
)
from tidegate.coordinator.group_state import MAX_CHANGES, Change, GroupState, HostInFlight, decide
from tidegate.coordinator.model import Call, Command, ForceRelease, Holder, Rules, Semaphore, SyncSlots
from tidegate.coordinator.store.base import MAX_WRITES, Delete, Document, Put, Range, Snapshot
from tidegate.fleetlock.protocol import MAX_ID_CHARS, ClientParams, ReleaseTag, UpdateParams, Verb

KEYS = GroupKeys("workers")
UPDATE = UpdateParams("tidegate/1", "a" * 32, ReleaseTag("1", "sha256:1"), ReleaseTag("2", "sha256:2"))


@dataclass
class SmallEtcd:
    """Keys with the numbers that etcd gives them."""

    revision: int = 1
    keys: dict[str, Document] = field(default_factory=dict[str, Document])

    def put(self, key: str, value: str, *, same_txn: bool = False) -> None:
        self.revision += not same_txn
        old = self.keys.get(key)
        made, version = (old.created, old.version + 1) if old else (self.revision, 1)
        self.keys[key] = Document(key, value.encode(), made, self.revision, version)

    def delete(self, key: str) -> None:
        self.revision += 1
        del self.keys[key]

    def read(self) -> tuple[GroupState, Ledger]:
        return read_group(KEYS, Snapshot(self.revision, tuple(tuple(self._range(one)) for one in KEYS.group_ranges)))

    @property
    def semaphore(self) -> Semaphore:
        return self.read()[0].semaphore

    def command(self, *commands: Command, slots: int = 5) -> Ledger:
        """What this server does; the ledger that it goes on with."""
        change = decide(self.read()[0], commands, Rules(slots), GroupTime(START), "workers").change
        assert change is not None
        return self.write(change)

    def write(self, change: Change) -> Ledger:
        """A swap; the ledger that this server goes on with."""
        ledger = self.read()[1]
        writes = write_group(KEYS, ledger, change)
        assert len(writes) <= MAX_WRITES
        self.revision += 1
        for one in writes:
            match one:
                case Put(key=key, value=value):
                    self.put(key, value, same_txn=True)
                case Delete(key=key):
                    self.keys.pop(key, None)
        return after_write(ledger, change, self.revision)

    def airlock(self, *holders: str, slots: int = 5) -> None:
        """What the reference server does: it writes the whole value."""
        self.put(KEYS.semaphore, json.dumps({"total_slots": slots, "holders": sorted(holders)}))

    def _range(self, wanted: Range) -> list[Document]:
        end = wanted.end or wanted.start + "\0"
        return [self.keys[key] for key in sorted(self.keys) if wanted.start <= key < end]


def lock(host: str) -> Call:
    return Call(Verb.PRE_REBOOT, ClientParams(host, "workers"), "10.0.0.1", UPDATE)


def unlock(host: str) -> Call:
    return Call(Verb.STEADY_STATE, ClientParams(host, "workers"), "10.0.0.1")


def timed(etcd: SmallEtcd) -> dict[str, bool]:
    """Who holds, and whether there is a time to it."""
    return {one.id: one.since is not None for one in etcd.semaphore.holders.values()}


def test_the_semaphore_is_that_of_the_reference_server() -> None:
    etcd = SmallEtcd()
    etcd.command(lock("b"), lock("a"))
    kept = etcd.keys["com.coreos.airlock/groups/workers/v1/semaphore"]
    assert kept.value == b'{"total_slots":5,"holders":["a","b"]}'
    assert GroupKeys("we ird/gr_oup").semaphore == "com.coreos.airlock/groups/we+ird%2Fgr_oup/v1/semaphore"


def test_what_is_written_is_read_again() -> None:
    etcd = SmallEtcd()
    ledger = etcd.command(lock("host/1 ü"), lock("b"))
    ledger = replace(etcd.command(unlock("b"), slots=4), stale=frozenset())
    state, read = etcd.read()
    assert state.semaphore == Semaphore(
        4, {"host/1 ü": Holder("host/1 ü", START, START, "10.0.0.1", UPDATE)}, (), START, START
    )
    assert read == ledger


def test_an_absent_group_is_empty() -> None:
    state, ledger = SmallEtcd().read()
    assert (state, {*ledger.compare_set(KEYS).values()}, ledger.stale) == (GroupState(), {0}, frozenset())


def test_holders_of_the_reference_server_have_no_time() -> None:
    etcd = SmallEtcd()
    etcd.airlock("a", "b")
    assert timed(etcd) == {"a": False, "b": False}
    etcd.command(lock("c"))
    assert timed(etcd) == {"a": False, "b": False, "c": True}


def test_go_writes_an_empty_list_as_null() -> None:
    etcd = SmallEtcd()
    etcd.put(KEYS.semaphore, '{"total_slots":1,"holders":null}')
    assert etcd.semaphore.holders == {}


def test_one_write_of_a_stranger_does_no_harm_to_what_is_kept() -> None:
    etcd = SmallEtcd()
    etcd.command(lock("a"), lock("b"))
    etcd.airlock("a", "b", "c")
    assert timed(etcd) == {"a": True, "b": True, "c": False}
    etcd.command(lock("d"))
    etcd.airlock("a", "c", "d")
    assert timed(etcd) == {"a": True, "c": False, "d": True}


def test_what_is_kept_of_who_has_gone_is_removed_by_the_next_write() -> None:
    etcd = SmallEtcd()
    etcd.command(lock("a"), lock("b"))
    etcd.airlock("b")
    etcd.command(lock("c"))
    assert KEYS.holder("a") not in etcd.keys
    etcd.airlock("a", "b", "c")
    assert timed(etcd) == {"a": False, "b": True, "c": True}


def test_who_went_and_came_back_unseen_has_no_time() -> None:
    """The time of the slot that it gave back would let the one that it has now expire too early."""
    etcd = SmallEtcd()
    etcd.command(lock("a"))
    etcd.airlock()
    etcd.airlock("a")
    assert timed(etcd) == {"a": False}
    etcd.command(lock("b"))
    assert timed(etcd) == {"a": False, "b": True}
    etcd.command(lock("a"))
    assert timed(etcd) == {"a": False, "b": True}


def test_a_key_that_was_deleted_and_made_again_is_a_strangers() -> None:
    etcd = SmallEtcd()
    for _ in range(3):
        etcd.command(lock("a"))
    etcd.delete(KEYS.semaphore)
    etcd.airlock("a")
    etcd.airlock("a")
    etcd.airlock("a")
    assert timed(etcd) == {"a": False}


def test_deleting_the_key_frees_everybody() -> None:
    etcd = SmallEtcd()
    etcd.command(lock("a"))
    etcd.delete(KEYS.semaphore)
    assert timed(etcd) == {}
    etcd.command(lock("b"))
    assert timed(etcd) == {"b": True}
    assert KEYS.holder("a") not in etcd.keys


def test_many_stale_documents_are_removed_bit_by_bit_and_never_used() -> None:
    etcd = SmallEtcd()
    hosts = [f"h{n:02d}" for n in range(50)]
    etcd.command(*map(lock, hosts), slots=100)
    etcd.airlock(slots=100)
    etcd.command(lock("x"), slots=100)
    left = [host for host in hosts if KEYS.holder(host) in etcd.keys]
    assert len(left) == len(hosts) - MAX_STALE
    etcd.airlock("x", *left, slots=100)
    assert timed(etcd) == {"x": True} | dict.fromkeys(left, False)
    etcd.command(lock("y"), slots=100)
    assert timed(etcd)["y"]


def test_the_largest_change_fits_into_a_transaction() -> None:
    etcd = SmallEtcd()
    etcd.command(*(lock(f"old{n}") for n in range(MAX_STALE)), slots=100)
    etcd.airlock()
    etcd.command(*(lock(f"h{n}") for n in range(60)), slots=100)


def test_history_is_a_ring() -> None:
    etcd = SmallEtcd()
    for n in range(HISTORY_LENGTH + 5):
        etcd.command(lock(f"h{n}"), unlock(f"h{n}"))
    kept = [one for key, one in etcd.keys.items() if key.startswith(KEYS.history)]
    assert len(kept) == HISTORY_LENGTH
    happened = read_history("workers", kept)
    assert [(one.what, one.id) for one in happened[:3]] == [
        *(("released", f"h{HISTORY_LENGTH + 4}"), ("granted", f"h{HISTORY_LENGTH + 4}")),
        ("released", f"h{HISTORY_LENGTH + 3}"),
    ]


def test_aligning_and_taking_are_written_too() -> None:
    etcd = SmallEtcd()
    etcd.airlock("a", slots=9)
    etcd.command(SyncSlots(), slots=2)
    etcd.command(ForceRelease("a", "root", "gone"), slots=2)
    assert etcd.keys[KEYS.semaphore].value == b'{"total_slots":2,"holders":[]}'


@pytest.mark.parametrize(
    "value",
    [
        *("", "not JSON", "[]", "null", "{}", "\ufeff{}", '{"total_slots":1}x'),
        *('{"total_slots":"1","holders":[]}', '{"total_slots":1.5,"holders":[]}', '{"total_slots":true,"holders":[]}'),
        *('{"total_slots":-1,"holders":[]}', '{"holders":[]}', '{"total_slots":1,"holders":"a"}'),
        *(
            '{"total_slots":1,"holders":[1]}',
            '{"total_slots":1,"holders":["a","a"]}',
            '{"total_slots":1,"holders":[""]}',
        ),
        *('{"total_slots":1,"holders":{}}', '{"total_slots":1,"holders":[],"extra":1}', "[" * 100_000),
    ],
)
def test_a_semaphore_of_another_make_is_an_error_that_names_the_key(value: str) -> None:
    etcd = SmallEtcd()
    etcd.put(KEYS.semaphore, value)
    with pytest.raises(RecordError) as caught:
        etcd.read()
    assert caught.value.key == KEYS.semaphore


@pytest.mark.parametrize("key", [KEYS.state, KEYS.holder("a"), KEYS.host("a")])
def test_so_is_damage_to_what_this_server_keeps(key: str) -> None:
    etcd = SmallEtcd()
    etcd.command(lock("a"))
    etcd.put(key, '{"since":"yesterday"}')
    with pytest.raises(RecordError, match=key):
        etcd.read()


def with_rollout(etcd: SmallEtcd, rollout: dict[str, object] | None) -> Ledger:
    """The group gets a rollout, or loses it."""
    return etcd.write(Change(replace(etcd.read()[0], rollout=rollout), rollout_changed=True))


def test_a_rollout_is_kept_as_it_is_and_compared_in_every_swap() -> None:
    etcd = SmallEtcd()
    etcd.command(lock("a"))
    rollout: dict[str, object] = {"state": "updating", "of a later version": [1, {"x": None}]}
    ledger = with_rollout(etcd, rollout)
    assert etcd.read() == (GroupState(etcd.semaphore, rollout), ledger)
    assert ledger.compare_set(KEYS) == dict.fromkeys([KEYS.semaphore, KEYS.state, KEYS.rollout], etcd.revision)
    later = etcd.command(unlock("a"))
    assert later.compare_set(KEYS)[KEYS.rollout] == ledger.compare_set(KEYS)[KEYS.rollout] < etcd.revision
    assert etcd.read() == (GroupState(etcd.semaphore, rollout), later)
    gone = with_rollout(etcd, None)
    assert gone.compare_set(KEYS)[KEYS.rollout] == 0
    assert etcd.read() == (GroupState(etcd.semaphore), gone)


def test_hosts_in_flight_are_read_again() -> None:
    etcd = SmallEtcd()
    with_rollout(etcd, {})
    etcd.command(lock("host/1 ü"), lock("b"))
    assert etcd.read()[0].in_flight == dict.fromkeys(["host/1 ü", "b"], HostInFlight(START, START))
    etcd.command(unlock("b"))
    assert {*etcd.read()[0].in_flight} == {"host/1 ü"}


def test_the_largest_change_of_a_group_with_a_rollout_fits_into_a_swap() -> None:
    etcd = SmallEtcd()
    with_rollout(etcd, {})
    etcd.command(*(lock(f"old{n}") for n in range(MAX_STALE)), slots=100)
    etcd.airlock()
    etcd.command(*(lock(f"h{n}") for n in range(MAX_CHANGES)), slots=100)


def test_no_document_of_a_change_is_larger_than_the_limit() -> None:
    """Ids, versions and reasons at their limits, in characters of four bytes."""
    etcd, wide = SmallEtcd(), "\N{GRINNING FACE}"
    tag = ReleaseTag(wide * 256, wide * 256)
    hosts = [f"{n:04d}{wide * (MAX_ID_CHARS - 4)}" for n in range(MAX_CHANGES)]
    update = UpdateParams(wide * 128, "a" * 32, tag, tag)
    etcd.command(*(replace(lock(host), update=update) for host in hosts), slots=100)
    assert max(len(one.value) for one in etcd.keys.values()) <= MAX_VALUE_BYTES
    etcd.command(*(ForceRelease(host, wide * 200, wide * 500) for host in hosts), slots=100)
    assert max(len(one.value) for one in etcd.keys.values()) <= MAX_VALUE_BYTES


def test_a_larger_document_is_not_written() -> None:
    etcd = SmallEtcd()
    with pytest.raises(ValueError, match="would have more than"):
        with_rollout(etcd, {"x": "x" * MAX_VALUE_BYTES})
