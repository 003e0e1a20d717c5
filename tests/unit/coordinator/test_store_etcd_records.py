"""A group's keys in etcd, and what strangers do to them. A small etcd in memory carries the operations out."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

import pytest

from tests.fakes.clock import START
from tidegate.coordinator.group_clock import GroupTime
from tidegate.coordinator.lock import decide
from tidegate.coordinator.model import Call, Command, ForceRelease, Holder, Rules, Semaphore, SyncSlots
from tidegate.coordinator.store.base import HISTORY_LENGTH
from tidegate.coordinator.store.etcd.gateway import Delete, KeyValue, Put, Range, TxnReply
from tidegate.coordinator.store.etcd.records import (
    MAX_GARBAGE,
    GroupKeys,
    Ledger,
    after_write,
    read_group,
    read_history,
    write_group,
)
from tidegate.errors import ErrorKind, TidegateError
from tidegate.fleetlock.protocol import ClientParams, ReleaseTag, UpdateParams, Verb

KEYS = GroupKeys("workers")
UPDATE = UpdateParams("tidegate/1", "a" * 32, ReleaseTag("1", "sha256:1"), ReleaseTag("2", "sha256:2"))


@dataclass
class SmallEtcd:
    """Keys with the numbers that etcd gives them."""

    revision: int = 1
    keys: dict[str, KeyValue] = field(default_factory=dict[str, KeyValue])

    def put(self, key: str, value: str, *, same_txn: bool = False) -> None:
        self.revision += not same_txn
        old = self.keys.get(key)
        made, version = (old.create_revision, old.version + 1) if old else (self.revision, 1)
        self.keys[key] = KeyValue(key, value.encode(), made, self.revision, version)

    def delete(self, key: str) -> None:
        self.revision += 1
        del self.keys[key]

    def read(self) -> tuple[Semaphore, Ledger]:
        found = tuple(tuple(self._range(one)) for one in KEYS.group_ranges)
        return read_group(KEYS, TxnReply(succeeded=True, revision=self.revision, ranges=found))

    def command(self, *commands: Command, slots: int = 5) -> Ledger:
        """What this server does; the ledger that it goes on with."""
        semaphore, ledger = self.read()
        change = decide(semaphore, commands, Rules(slots), GroupTime(START), "workers").change
        assert change is not None
        operations = write_group(KEYS, ledger, change)
        assert len(operations) <= 126
        self.revision += 1
        for operation in operations:
            match operation:
                case Put(key=key, value=value):
                    self.put(key, value, same_txn=True)
                case Delete(key=key):
                    self.keys.pop(key, None)
                case Range():
                    raise AssertionError
        return after_write(ledger, change, self.revision)

    def airlock(self, *holders: str, slots: int = 5) -> None:
        """What the reference server does: it writes the whole value."""
        self.put(KEYS.semaphore, json.dumps({"total_slots": slots, "holders": sorted(holders)}))

    def _range(self, wanted: Range) -> list[KeyValue]:
        end = wanted.end or wanted.key + "\0"
        return [self.keys[key] for key in sorted(self.keys) if wanted.key <= key < end]


def lock(host: str) -> Call:
    return Call(Verb.PRE_REBOOT, ClientParams(host, "workers"), "10.0.0.1", UPDATE)


def unlock(host: str) -> Call:
    return Call(Verb.STEADY_STATE, ClientParams(host, "workers"), "10.0.0.1")


def timed(etcd: SmallEtcd) -> dict[str, bool]:
    """Who holds, and whether there is a time to it."""
    return {one.id: one.since is not None for one in etcd.read()[0].holders.values()}


def test_the_semaphore_is_that_of_the_reference_server() -> None:
    etcd = SmallEtcd()
    etcd.command(lock("b"), lock("a"))
    kept = etcd.keys["com.coreos.airlock/groups/workers/v1/semaphore"]
    assert kept.value == b'{"total_slots":5,"holders":["a","b"]}'
    assert GroupKeys("we ird/gr_oup").semaphore == "com.coreos.airlock/groups/we+ird%2Fgr_oup/v1/semaphore"


def test_what_is_written_is_read_again() -> None:
    etcd = SmallEtcd()
    ledger = etcd.command(lock("host/1 ü"), lock("b"))
    ledger = replace(etcd.command(unlock("b"), slots=4), garbage=frozenset())
    semaphore, read = etcd.read()
    assert semaphore == Semaphore(
        4, {"host/1 ü": Holder("host/1 ü", START, START, "10.0.0.1", UPDATE)}, (), START, START
    )
    assert read == ledger


def test_an_absent_group_is_empty() -> None:
    semaphore, ledger = SmallEtcd().read()
    assert (semaphore, ledger.compares(KEYS)[0].mod_revision, ledger.garbage) == (Semaphore(), 0, frozenset())


def test_holders_of_the_reference_server_have_no_time() -> None:
    etcd = SmallEtcd()
    etcd.airlock("a", "b")
    assert timed(etcd) == {"a": False, "b": False}
    etcd.command(lock("c"))
    assert timed(etcd) == {"a": False, "b": False, "c": True}


def test_go_writes_an_empty_list_as_null() -> None:
    etcd = SmallEtcd()
    etcd.put(KEYS.semaphore, '{"total_slots":1,"holders":null}')
    assert etcd.read()[0].holders == {}


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


def test_much_garbage_is_removed_bit_by_bit_and_never_believed() -> None:
    etcd = SmallEtcd()
    hosts = [f"h{n:02d}" for n in range(50)]
    etcd.command(*map(lock, hosts), slots=100)
    etcd.airlock(slots=100)
    etcd.command(lock("x"), slots=100)
    left = [host for host in hosts if KEYS.holder(host) in etcd.keys]
    assert len(left) == len(hosts) - MAX_GARBAGE
    etcd.airlock("x", *left, slots=100)
    assert timed(etcd) == {"x": True} | dict.fromkeys(left, False)
    etcd.command(lock("y"), slots=100)
    assert timed(etcd)["y"]


def test_the_largest_change_fits_into_a_transaction() -> None:
    etcd = SmallEtcd()
    etcd.command(*(lock(f"old{n}") for n in range(MAX_GARBAGE)), slots=100)
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
    with pytest.raises(TidegateError, match=KEYS.semaphore) as caught:
        etcd.read()
    assert caught.value.kind is ErrorKind.COORDINATOR_STORE_NONSENSE


@pytest.mark.parametrize("key", [KEYS.state, KEYS.holder("a")])
def test_so_is_damage_to_what_this_server_keeps(key: str) -> None:
    etcd = SmallEtcd()
    etcd.command(lock("a"))
    etcd.put(key, '{"since":"yesterday"}')
    with pytest.raises(TidegateError, match=key):
        etcd.read()
