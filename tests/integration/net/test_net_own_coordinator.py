"""The agent's FleetLock client against this project's coordinator."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.fakes.locks_at import local, locks_opener
from tests.fakes.memory_locks import MemoryLocks
from tests.fakes.running_coordinator import Running, running
from tidegate.clock import SystemClock
from tidegate.coordinator.model import Rules
from tidegate.errors import ErrorKind, TidegateError
from tidegate.fleetlock.account import LockAccount, LockBusy, LockGranted, LockReleased
from tidegate.fleetlock.client import NetLock
from tidegate.fleetlock.protocol import ReleaseTag, UpdateParams
from tidegate.net.client import NetClient
from tidegate.net.wire import NetError

MINE, OTHER = "4aed" * 8, "17ff" * 8
UPDATE = UpdateParams("tidegate/1", "0" * 32, ReleaseTag("1.0", "sha256:c1"), ReleaseTag("2.0", "sha256:c2"))


@pytest.fixture
def locks() -> MemoryLocks:
    return MemoryLocks(rules={"workers": Rules(slots=1)}, clock=SystemClock())


@pytest.fixture
def place(locks: MemoryLocks, tmp_path: Path) -> Generator[Running, None, None]:
    with running(local(tmp_path), locks_opener(locks)) as place:
        yield place


def at(place: Running, id_: str = MINE, group: str = "workers", path: str = "") -> LockAccount:
    return LockAccount(f"{place.url()}{path}", group, id_, 20.0)


def acquire(account: LockAccount, update: UpdateParams | None = None) -> LockGranted | LockBusy:
    return asyncio.run(NetLock(NetClient()).acquire(account, update))


def release(account: LockAccount) -> LockReleased:
    return asyncio.run(NetLock(NetClient()).release(account, None))


def test_one_after_the_other(place: Running, locks: MemoryLocks) -> None:
    assert acquire(at(place), UPDATE) == LockGranted()
    assert acquire(at(place)) == LockGranted()  # it has it already
    busy = acquire(at(place, OTHER))
    assert busy == LockBusy("answers 423 Locked: failed_lock_semaphore_full: all 1 slots are held", 30.0)
    assert release(at(place, OTHER)) == LockReleased()  # which never had it
    assert release(at(place)) == LockReleased()
    assert acquire(at(place, OTHER)) == LockGranted()
    assert [call.update for call in locks.calls][:2] == [UPDATE, None]
    assert set(locks.held["workers"]) == {OTHER}


def test_a_group_that_it_does_not_know(place: Running) -> None:
    for ask in (acquire, release):
        with pytest.raises(TidegateError) as caught:
            ask(at(place, group="servers"))
        assert caught.value.kind is ErrorKind.LOCK_REFUSED
        assert caught.value.message.endswith(
            "(group servers): answers 400 Bad Request: unknown_group: there is no group servers"
        )


def test_a_store_that_is_away_leaves_it_open(place: Running, locks: MemoryLocks) -> None:
    locks.away = True
    with pytest.raises(NetError) as caught:
        acquire(at(place))
    assert (caught.value.kind, caught.value.retry_after_secs) == (ErrorKind.LOCK_UNCERTAIN, 5.0)
    assert "503 Service Unavailable: backend_unavailable" in caught.value.message


def test_another_path_on_it_is_no_lock_server(place: Running) -> None:
    with pytest.raises(TidegateError) as caught:
        acquire(at(place, path="/elsewhere"))
    assert caught.value.kind is ErrorKind.LOCK_REFUSED
    assert "base_url" in caught.value.remedy
