"""Every store, on the real ones: :mod:`tidegate.coordinator.store.base`, and the groups and locks on top of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.fakes.asyncs import run
from tests.fakes.clock import START, FakeClock
from tests.fakes.etcd_server import etcd_server
from tidegate.coordinator.group_clock import GroupTime
from tidegate.coordinator.group_records import HISTORY_LENGTH
from tidegate.coordinator.group_state import Change, Decision, GroupState, decide
from tidegate.coordinator.group_store import Conflict, Replaced, StoredGroups, Version
from tidegate.coordinator.model import Call, Command, Denied, ForceRelease, Granted, Released, Rules
from tidegate.coordinator.service import LockService
from tidegate.coordinator.store.base import PREFIX, Delete, Document, Put, Range, Snapshot, Store, Swapped, below
from tidegate.coordinator.store.options import open_store
from tidegate.fleetlock.protocol import ClientParams, ReleaseTag, UpdateParams, Verb

UPDATE = UpdateParams("tidegate/1", "a" * 32, ReleaseTag("1", "sha256:1"), ReleaseTag("2", "sha256:2"))


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Generator[str, None, None]:
    with etcd_server(tmp_path_factory.mktemp("etcd")) as server:
        yield server.address


@pytest.fixture(params=["sqlite", "etcd"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:{tmp_path / 'locks.db'}" if request.param == "sqlite" else request.getfixturevalue("etcd")


@pytest.fixture
def group(request: pytest.FixtureRequest) -> str:
    """One of each test's own."""
    return "".join(char if char.isalnum() else "-" for char in request.node.name)


@asynccontextmanager
async def opened_store(address: str) -> AsyncGenerator[Store, None]:
    store = await open_store(address)
    try:
        yield store
    finally:
        await store.aclose()


@asynccontextmanager
async def opened(address: str) -> AsyncGenerator[StoredGroups, None]:
    async with opened_store(address) as store:
        yield StoredGroups(store)


def call(verb: Verb, host: str, group: str) -> Call:
    return Call(verb, ClientParams(host, group), "10.0.0.1", UPDATE)


def lock(host: str, group: str = "g") -> Call:
    return call(Verb.PRE_REBOOT, host, group)


def unlock(host: str, group: str = "g") -> Call:
    return call(Verb.STEADY_STATE, host, group)


def decision(version: Version, group: str, *commands: Command, rules: Rules | None = None) -> Decision:
    return decide(version.state, commands, rules or Rules(5, release_delay_secs=60), GroupTime(START), group)


async def swapped(version: Version, group: str, *commands: Command, rules: Rules | None = None) -> Version:
    change = decision(version, group, *commands, rules=rules).change
    assert change is not None
    result = await version.swap(change)
    assert isinstance(result, Replaced)
    return result.version


def key(group: str, name: str) -> str:
    return f"{PREFIX}tests/{group}/{name}"


def facts(document: Document) -> tuple[str, str, int]:
    return document.key.rpartition("/")[2], document.value.decode(), document.version


def test_documents_are_written_and_read_in_the_order_of_their_keys(address: str, group: str) -> None:
    async def scenario() -> None:
        async with opened_store(address) as store:
            names = ["b", "a", "ü %2F+", "Z"]
            first = await store.swap({}, [Put(key(group, name), f'{{"é":"{name}"}}') for name in names], ())
            assert isinstance(first, Swapped)
            second = await store.swap({}, [Put(key(group, "b"), "2"), Delete(key(group, "a"))], ())
            assert isinstance(second, Swapped)
            assert second.revision > first.revision
            snapshot = await store.read((below(key(group, "")), Range(key(group, "b")), Range(key(group, "absent"))))
            assert snapshot.revision >= second.revision
            every, one, none = snapshot.ranges
            assert [*map(facts, every)] == [
                *(("Z", '{"é":"Z"}', 1), ("b", "2", 2), ("ü %2F+", '{"é":"ü %2F+"}', 1)),
            ]
            assert [(found.created, found.revision) for found in one] == [(first.revision, second.revision)]
            assert none == ()

    run(scenario())


def test_a_swap_is_all_or_nothing_by_every_key_of_its_compare_set(address: str, group: str) -> None:
    async def scenario() -> None:
        async with opened_store(address) as store:
            a, b, everything = key(group, "a"), key(group, "b"), (below(key(group, "")),)
            first = await store.swap({a: 0, b: 0}, [Put(a, "1"), Put(b, "1")], everything)
            assert isinstance(first, Swapped)
            second = await store.swap({a: first.revision}, [Put(b, "2")], everything)
            assert isinstance(second, Swapped)
            stale = await store.swap({a: first.revision, b: first.revision}, [Put(a, "3"), Delete(b)], everything)
            assert isinstance(stale, Snapshot)
            assert [*map(facts, stale.ranges[0])] == [("a", "1", 1), ("b", "2", 2)]
            assert isinstance(await store.swap({a: 0}, [Put(a, "3")], everything), Snapshot)

    run(scenario())


def test_a_swap_without_writes_confirms_a_compare_set(address: str, group: str) -> None:
    async def scenario() -> None:
        async with opened_store(address) as store:
            a, b = key(group, "a"), key(group, "b")
            written = await store.swap({}, [Put(a, "1")], ())
            assert isinstance(written, Swapped)
            assert isinstance(await store.swap({a: written.revision, b: 0}, (), (Range(a),)), Swapped)
            changed = await store.swap({a: written.revision, b: 1}, (), (Range(a),))
            assert isinstance(changed, Snapshot)
            assert [*map(facts, changed.ranges[0])] == [("a", "1", 1)]

    run(scenario())


def test_a_document_that_is_created_again_has_another_revision(address: str, group: str) -> None:
    """So a compare set never holds by accident."""

    async def scenario() -> None:
        async with opened_store(address) as store:
            a = key(group, "a")
            first = await store.swap({}, [Put(a, "1")], ())
            await store.swap({}, [Delete(a)], ())
            again = await store.swap({a: 0}, [Put(a, "1")], ())
            assert isinstance(first, Swapped)
            assert isinstance(again, Swapped)
            assert again.revision > first.revision
            ((found,),) = (await store.read((Range(a),))).ranges
            assert (found.created, found.revision, found.version) == (again.revision, again.revision, 1)

    run(scenario())


def test_a_rollout_that_changed_makes_a_grant_conflict(address: str, group: str) -> None:
    """A pause takes effect at once: no grant that was decided before it is written after it."""

    async def scenario() -> None:
        async with opened(address) as store:
            before = await store.read(group)
            grant = decision(before, group, lock("a")).change
            assert grant is not None
            paused = Change(GroupState(before.state.semaphore, {"state": "paused"}), rollout_changed=True)
            assert isinstance(await before.swap(paused), Replaced)
            conflict = await before.swap(grant)
            assert isinstance(conflict, Conflict)
            assert conflict.version.state.rollout == {"state": "paused"}
            after = await swapped(conflict.version, group, lock("a"))
            assert {*after.state.in_flight} == {"a"}
            assert (await store.read(group)).state == after.state

    run(scenario())


def test_a_group_that_never_was_is_empty(address: str, group: str) -> None:
    async def scenario() -> None:
        async with opened(address) as store:
            version = await store.read(group)
            assert (version.state, version.revision) == (GroupState(), 0)
            assert await version.confirmed() is version
            assert await store.history(group, 10) == ()

    run(scenario())


def test_what_is_swapped_is_read_again(address: str, group: str) -> None:
    async def scenario() -> None:
        async with opened(address) as store:
            hosts = ["b", "a", "host/é %2F+", "x" * 256]
            first = await swapped(await store.read(group), group, *(lock(host) for host in hosts))
            second = await swapped(first, group, unlock("b"), ForceRelease("a", "root", "why"))
            assert second.revision > first.revision > 0
        async with opened(address) as store:
            version = await store.read(group)
            assert version.state == second.state
            assert version.revision == second.revision
            assert {*version.state.semaphore.holders} == {"host/é %2F+", "x" * 256}
            assert version.state.semaphore.freed == (START, START)
            happened = [(one.what, one.id) for one in await store.history(group, 3)]
            assert happened == [("taken", "a"), ("released", "b"), ("granted", "x" * 256)]

    run(scenario())


def test_an_old_version_is_not_swapped(address: str, group: str) -> None:
    async def scenario() -> None:
        async with opened(address) as store:
            old = await store.read(group)
            new = await swapped(old, group, lock("a"))
            change = decision(old, group, lock("b")).change
            assert change is not None
            for stale in (old, await swapped(new, group, lock("c"))):
                if stale is not old:
                    await swapped(stale, group, unlock("c"))
                result = await stale.swap(change)
                assert isinstance(result, Conflict)
                assert "b" not in result.version.state.semaphore.holders
            assert await new.confirmed() is not new
            assert {*(await old.confirmed()).state.semaphore.holders} == {"a"}

    run(scenario())


def test_a_group_is_nobody_elses(address: str, group: str) -> None:
    async def scenario() -> None:
        async with opened(address) as store:
            await swapped(await store.read(group), group, lock("a"))
            for other in (f"{group}0", group[:-1], f"{group}.v1"):
                assert (await store.read(other)).state == GroupState()

    run(scenario())


def test_history_is_bounded(address: str, group: str) -> None:
    async def scenario() -> None:
        async with opened(address) as store:
            version: Version = await store.read(group)
            for n in range(HISTORY_LENGTH // 2 + 10):
                version = await swapped(version, group, lock(f"h{n}"), rules=Rules(slots=1))
                version = await swapped(version, group, unlock(f"h{n}"), rules=Rules(slots=1))
            happened = await store.history(group, 10_000)
            assert len(happened) == HISTORY_LENGTH
            assert happened[0].what == "released"
            assert happened[0].at == START

    run(scenario())


def test_it_can_be_checked(address: str) -> None:
    async def scenario() -> None:
        async with opened(address) as store:
            await store.check()

    run(scenario())


def test_of_many_that_swap_at_once_one_does(address: str, group: str) -> None:
    async def scenario() -> None:
        async with opened(address) as store:
            version = await store.read(group)
            changes = [decision(version, group, lock(f"h{n}")).change for n in range(8)]
            results = await asyncio.gather(*(version.swap(change) for change in changes if change))
            assert [isinstance(one, Replaced) for one in results].count(True) == 1
            assert len((await store.read(group)).state.semaphore.holders) == 1

    run(scenario())


def test_locks_on_it(address: str, group: str) -> None:
    async def scenario() -> None:
        async with (
            opened(address) as store,
            LockService(store, FakeClock(), {group: Rules(slots=2)}) as locks,
        ):
            answers = await asyncio.gather(*(locks.call(lock(host, group)) for host in "abcd"))
            assert [isinstance(one, Granted) for one in answers] == [True, True, False, False]
            assert [isinstance(one, Denied) for one in answers] == [False, False, True, True]
            assert await locks.call(unlock("c", group)) == Released(held=False)
            assert await locks.call(unlock("a", group)) == Released(held=True)
            assert isinstance(await locks.call(lock("c", group)), Granted)
            view = next(one for one in await locks.groups() if one.name == group)
            assert [(one.id, one.update) for one in view.holders] == [("b", UPDATE), ("c", UPDATE)]
            assert {*view.denials} == {"d"}

    run(scenario())


def test_denials_leave_the_store_as_it_is(address: str, group: str) -> None:
    async def scenario() -> None:
        async with (
            opened(address) as store,
            LockService(store, FakeClock(), {group: Rules(slots=1)}) as locks,
        ):
            await locks.call(lock("a", group))
            before = await store.read(group)
            for n in range(20):
                assert isinstance(await locks.call(lock(f"h{n}", group)), Denied)
            assert await before.confirmed() is before

    run(scenario())


def test_a_swap_for_a_lock_request_from_before_an_unlock_without_a_slot_conflicts(address: str, group: str) -> None:
    """It was sent by a coordinator that was frozen since, or hangs in a member that was."""

    async def scenario() -> None:
        async with (
            opened(address) as store,
            LockService(store, FakeClock(), {group: Rules(slots=1)}) as locks,
        ):
            late = await store.read(group)
            change = decision(late, group, lock("a", group)).change
            assert change is not None
            assert await locks.call(unlock("a", group)) == Released(held=False)
            assert isinstance(await late.swap(change), Conflict)
            assert not (await store.read(group)).state.semaphore.holders

    run(scenario())


def test_unlocks_without_a_slot_do_not_make_the_store_grow(address: str, group: str) -> None:
    async def scenario() -> None:
        async with (
            opened(address) as store,
            LockService(store, FakeClock(), {group: Rules(slots=1)}) as locks,
        ):
            await locks.call(lock("a", group))
            before = [(one, len(one)) for one in await store.store.keys(below(PREFIX))]
            for n in range(20):
                assert await locks.call(unlock(f"h{n}", group)) == Released(held=False)
            assert [(one, len(one)) for one in await store.store.keys(below(PREFIX))] == before
            assert await locks.call(lock("b", group)) != Granted(renewed=False, revision=0)
            assert await locks.call(unlock("a", group)) == Released(held=True)

    run(scenario())


def test_the_groups_of_a_store_are_those_that_have_a_semaphore(address: str, group: str) -> None:
    async def scenario() -> None:
        async with opened(address) as store:
            odd = f"{group} with/odd%2Fname"
            for name in (group, odd):
                await swapped(await store.read(name), name, lock("a", name))
            assert {group, odd} <= await store.names()
            assert f"{group}-2" not in await store.names()

    run(scenario())


def test_a_record_of_a_group_that_is_not_configured_and_cannot_be_read_hides_no_other(address: str, group: str) -> None:
    async def scenario() -> None:
        async with opened(address) as store:
            unreadable = f"{PREFIX}groups/{group}-odd/v1/semaphore"
            await store.store.swap({}, (Put(unreadable, "gone fishing"),), ())
            async with LockService(store, FakeClock(), {group: Rules(slots=1)}) as locks:
                assert isinstance(await locks.call(lock("a", group)), Granted)
                assert group in {view.name for view in await locks.groups()}
                assert group in await locks.force_release(None, "a", "root", "test")
            await store.store.swap({}, (Delete(unreadable),), ())

    run(scenario())
