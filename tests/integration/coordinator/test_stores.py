"""What every store has to be, on the real ones: :mod:`tidegate.coordinator.store.base`, and the locks on top of it."""

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
from tidegate.coordinator.lock import Decision, decide
from tidegate.coordinator.model import Call, Command, Denied, ForceRelease, Granted, Released, Rules, Semaphore
from tidegate.coordinator.service import LockService
from tidegate.coordinator.store.base import HISTORY_LENGTH, Conflict, Store, Swapped, Version
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
async def opened(address: str) -> AsyncGenerator[Store, None]:
    store = await open_store(address)
    try:
        yield store
    finally:
        await store.aclose()


def call(verb: Verb, host: str, group: str) -> Call:
    return Call(verb, ClientParams(host, group), "10.0.0.1", UPDATE)


def lock(host: str, group: str = "g") -> Call:
    return call(Verb.PRE_REBOOT, host, group)


def unlock(host: str, group: str = "g") -> Call:
    return call(Verb.STEADY_STATE, host, group)


def decision(version: Version, group: str, *commands: Command, rules: Rules | None = None) -> Decision:
    return decide(version.semaphore, commands, rules or Rules(5, release_delay_secs=60), GroupTime(START), group)


async def swapped(version: Version, group: str, *commands: Command, rules: Rules | None = None) -> Version:
    change = decision(version, group, *commands, rules=rules).change
    assert change is not None
    result = await version.swap(change)
    assert isinstance(result, Swapped)
    return result.version


def test_a_group_that_never_was_is_empty(address: str, group: str) -> None:
    async def scenario() -> None:
        async with opened(address) as store:
            version = await store.read(group)
            assert (version.semaphore, version.revision) == (Semaphore(), 0)
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
            assert version.semaphore == second.semaphore
            assert version.revision == second.revision
            assert {*version.semaphore.holders} == {"host/é %2F+", "x" * 256}
            assert version.semaphore.freed == (START, START)
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
                assert "b" not in result.version.semaphore.holders
            assert await new.confirmed() is not new
            assert {*(await old.confirmed()).semaphore.holders} == {"a"}

    run(scenario())


def test_a_group_is_nobody_elses(address: str, group: str) -> None:
    async def scenario() -> None:
        async with opened(address) as store:
            await swapped(await store.read(group), group, lock("a"))
            for other in (f"{group}0", group[:-1], f"{group}.v1"):
                assert (await store.read(other)).semaphore == Semaphore()

    run(scenario())


def test_history_is_bounded(address: str, group: str) -> None:
    async def scenario() -> None:
        async with opened(address) as store:
            version = await store.read(group)
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
            assert [isinstance(one, Swapped) for one in results].count(True) == 1
            assert len((await store.read(group)).semaphore.holders) == 1

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
            (view,) = await locks.groups()
            assert [(one.id, one.update) for one in view.holders] == [("b", UPDATE), ("c", UPDATE)]
            assert {*view.denials} == {"d"}

    run(scenario())


def test_denials_and_needless_unlocks_leave_the_store_as_it_is(address: str, group: str) -> None:
    async def scenario() -> None:
        async with (
            opened(address) as store,
            LockService(store, FakeClock(), {group: Rules(slots=1)}) as locks,
        ):
            await locks.call(lock("a", group))
            before = await store.read(group)
            for n in range(20):
                assert isinstance(await locks.call(lock(f"h{n}", group)), Denied)
                assert await locks.call(unlock(f"h{n}", group)) == Released(held=False)
            assert await before.confirmed() is before

    run(scenario())
