"""The FleetLock client against other projects' servers, and the probe that tells such a server from anything else."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from tests.fakes.clock import FakeClock
from tests.fakes.http_misbehaving import Caller, answers, serving, silent
from tests.fakes.locks_at import local, locks_opener
from tests.fakes.memory_locks import MemoryLocks
from tests.fakes.running_coordinator import running
from tests.fakes.stock_servers import Airlock, Heathcliff, Poseidon, StockServer, stock
from tidegate.cli import lock_run
from tidegate.cli.lock_run import Job, run_locked
from tidegate.clock import SystemClock
from tidegate.coordinator.group_kind import Group
from tidegate.coordinator.model import Rules
from tidegate.coordinator.serve import open_locks
from tidegate.coordinator.settings import CoordinatorSettings
from tidegate.errors import ErrorKind, TidegateError
from tidegate.fleetlock.account import LockAccount, LockBusy, LockGranted, LockReleased
from tidegate.fleetlock.client import NetLock, ThisBoot
from tidegate.fleetlock.protocol import ReleaseTag, UpdateParams
from tidegate.fleetlock.wire import ProbeEvent, ProbeRequest
from tidegate.net.client import NetClient

MINE, OTHER = "4aed" * 8, "17ff" * 8
UPDATE = UpdateParams("tidegate/1", "0" * 32, ReleaseTag("1", "c1"), ReleaseTag("2", "c2"))
SERVERS = [Airlock, Poseidon, Heathcliff]


def account(url: str, host: str = MINE, timeout_secs: float = 30.0) -> LockAccount:
    return LockAccount(url, "workers", host, timeout_secs)


def probed(url: str) -> ProbeEvent:
    return asyncio.run(NetClient().run(ProbeRequest(account(url)), ProbeEvent))


@pytest.mark.parametrize("make", SERVERS)
def test_one_after_the_other_at_every_server(make: type[StockServer]) -> None:
    server = make()
    if isinstance(server, Poseidon):
        server.nodes |= {MINE, OTHER}
    with stock(server) as url:

        async def scenario() -> None:
            lock = NetLock(NetClient())
            assert await lock.acquire(account(url), UPDATE) == LockGranted()
            assert await lock.acquire(account(url), UPDATE) == LockGranted()
            assert isinstance(await lock.acquire(account(url, OTHER), UPDATE), LockBusy)
            assert await lock.release(account(url), UPDATE) == LockReleased()
            assert await lock.acquire(account(url, OTHER), UPDATE) == LockGranted()

        asyncio.run(scenario())
    assert server.holders == {OTHER}
    first, *others = server.heard
    assert first == ("/v1/steady-state", b"")  # the probe, once
    assert not [body for _, body in others if not body or b"update_params" in body]


@pytest.mark.parametrize("make", SERVERS)
def test_the_probe_releases_nothing(make: type[StockServer]) -> None:
    server = make(holders={MINE})
    with stock(server) as url:
        found = probed(url)
    assert (found.refuses, found.extended, server.holders) == (True, False, {MINE})


def test_the_probe_releases_nothing_at_the_own_coordinator_which_shows_the_extension(tmp_path: Path) -> None:
    locks = MemoryLocks(rules={"workers": Rules(slots=1)}, clock=SystemClock())
    with running(local(tmp_path), locks_opener(locks)) as place:
        found = probed(place.url())
    assert (found.refuses, found.extended, locks.calls) == (True, True, [])


def test_a_server_that_says_yes_to_everything_is_none() -> None:
    with serving(answers(b"")) as server:

        async def scenario() -> None:
            lock = NetLock(NetClient())
            for ask in (lock.acquire, lock.release, lock.acquire):
                with pytest.raises(TidegateError) as caught:
                    await ask(account(server.url("/")), None)
                assert caught.value.kind is ErrorKind.LOCK_NONSENSE
                assert "every lock server refuses" in caught.value.message
                assert "base_url" in caught.value.remedy

        asyncio.run(scenario())
    assert {head.split()[1] for head in server.requests} == {"/v1/steady-state"}
    assert {*server.bodies} == {b""}
    assert not [head for head in server.requests if "fleet-lock-protocol" in head.lower()]


@pytest.mark.parametrize("status", ["500 Internal Server Error", "503 Service Unavailable", "302 Found"])
def test_a_probe_that_is_neither_refused_nor_accepted_is_no_verdict(status: str) -> None:
    def behave(caller: Caller) -> None:
        (answers(b"") if server.bodies[-1] else answers(b"", status))(caller)

    with serving(behave) as server:

        async def scenario() -> None:
            lock = NetLock(NetClient())
            assert await lock.acquire(account(server.url("/")), None) == LockGranted()
            assert await lock.release(account(server.url("/")), None) == LockReleased()

        asyncio.run(scenario())
    assert [bool(body) for body in server.bodies] == [False, True, False, True]  # probed again


def test_a_probe_without_an_answer_keeps_no_slot_from_being_released() -> None:
    def behave(caller: Caller) -> None:
        (answers(b"") if server.bodies[-1] else silent)(caller)

    with serving(behave) as server:
        asked = account(server.url("/"), timeout_secs=4.0)
        assert asyncio.run(NetLock(NetClient()).release(asked, None)) == LockReleased()
    assert [bool(body) for body in server.bodies] == [False, True]


def test_jobs_that_begin_and_end_together_at_airlock_get_their_slots_and_leave_none() -> None:
    server = Airlock(slots=50)
    hosts = [f"job-{number}" for number in range(10)]
    with stock(server) as url:

        async def scenario() -> None:
            lock = NetLock(NetClient())
            await lock.release(account(url), None)
            granted = await asyncio.gather(*(lock.acquire(account(url, host), None) for host in hosts))
            assert granted == [LockGranted()] * len(hosts)
            assert server.holders == {*hosts}
            await asyncio.gather(*(lock.release(account(url, host), None) for host in hosts))

        asyncio.run(scenario())
    assert server.holders == set()
    assert server.conflicts > 0  # there was something to retry


def test_poseidons_500_for_an_id_without_a_node_says_what_lifts_it() -> None:
    with stock(Poseidon(nodes={OTHER})) as url, pytest.raises(TidegateError, match="error uncordoning node") as caught:
        asyncio.run(NetLock(NetClient()).release(account(url), None))
    assert "identity.node_uuid" in caught.value.message
    assert "kubectl delete lease" in caught.value.remedy


EXTENDED = {"fleet-lock-extensions": "rollout-v1"}


@pytest.mark.parametrize("headers", [{}, EXTENDED])
@pytest.mark.parametrize("update", [None, UPDATE])
def test_only_a_server_with_the_extension_is_told_boot_and_releases(
    headers: dict[str, str], update: UpdateParams | None
) -> None:
    def behave(caller: Caller) -> None:
        (answers(b"", headers=headers) if server.bodies[-1] else answers(b"", "400 Bad Request", headers))(caller)

    clock = FakeClock()
    boot = ThisBoot("01234567-89ab-cdef-0123-456789abcdef", clock.now().boot_secs - 90.5, clock)
    with serving(behave) as server:

        async def scenario() -> None:
            lock = NetLock(NetClient(), boot)
            await lock.acquire(account(server.url("/")), update)
            await lock.release(account(server.url("/")), update)

        asyncio.run(scenario())
    probe, *sent = server.bodies
    assert not probe
    for body in sent:
        told = json.loads(body).get("update_params")
        if not headers:
            assert told is None
        else:
            assert (told["boot_id"], told["uptime_secs"]) == ("0123456789abcdef0123456789abcdef", 90)
            assert ("target" in told) == (update is not None)


def test_two_hosts_with_one_id_are_not_both_down_with_default_settings(tmp_path: Path) -> None:
    """Neither has anything configured; the clone's steady-state at its start frees nothing."""
    own = local(tmp_path, store=f"sqlite:{tmp_path / 'locks.db'}")
    settings = CoordinatorSettings((Group("workers", Rules(slots=2)),), coordinator=own)
    with running(own, lambda: open_locks(settings, SystemClock())) as place:

        async def scenario() -> None:
            first = NetLock(NetClient(), ThisBoot("1" * 32, SystemClock().now().boot_secs - 1000, SystemClock()))
            clone = NetLock(NetClient(), ThisBoot("2" * 32, SystemClock().now().boot_secs - 2000, SystemClock()))
            again = NetLock(NetClient(), ThisBoot("3" * 32, SystemClock().now().boot_secs, SystemClock()))
            asked = account(place.url())
            assert await first.acquire(asked, None) == LockGranted()
            assert await clone.release(asked, None) == LockReleased()
            busy = await clone.acquire(asked, None)
            assert isinstance(busy, LockBusy)
            assert "id_conflict" in busy.reason
            assert await first.acquire(asked, None) == LockGranted()
            assert await again.release(asked, None) == LockReleased()  # the first one after its reboot
            assert await clone.acquire(asked, None) == LockGranted()

        asyncio.run(scenario())


@pytest.mark.parametrize("make", [Airlock, Heathcliff])
@pytest.mark.parametrize("wait_secs", [0.0, None])
def test_lock_run_leaves_no_slot_at_a_server_that_carries_a_request_out_late(
    make: type[StockServer], wait_secs: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_run, "POLL_SECS", 0.1)
    server = make(slots=2, late_secs=[2.0])
    with stock(server) as url:
        job = Job(account(url, timeout_secs=5.0), (sys.executable, "-c", ""), wait_secs)
        code = asyncio.run(run_locked(NetLock(NetClient()), job, SystemClock()))
    assert code == (3 if wait_secs == 0 else 0)
    assert (server.holders, server.late_secs) == (set(), [])


def test_lock_runs_that_end_together_at_airlock_leave_no_slot() -> None:
    server = Airlock(slots=50)
    command = (sys.executable, "-I", "-m", "tidegate", "lock", "run", "--wait", "0", "--url")

    async def run(url: str, number: int) -> int:
        process = await asyncio.create_subprocess_exec(*command, url, "--id", f"job-{number}", "--", "true")
        return await process.wait()

    with stock(server) as url:

        async def scenario() -> list[int]:
            return await asyncio.gather(*(run(url, number) for number in range(6)))

        assert asyncio.run(scenario()) == [0] * 6
    assert server.holders == set()
