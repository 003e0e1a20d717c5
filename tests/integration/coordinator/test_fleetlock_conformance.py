"""Conformance to the FleetLock protocol, over HTTP, on both stores."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.fakes.bad_requests import Bad, all_bad
from tests.fakes.etcd_server import etcd_server
from tests.fakes.free_port import free_port
from tests.fakes.locks_at import local
from tests.fakes.plain_http import NO_TLS
from tests.fakes.running_coordinator import Running, running
from tidegate.clock import SystemClock
from tidegate.coordinator.group_kind import Group
from tidegate.coordinator.model import DenialKind, Rules
from tidegate.coordinator.serve import open_locks
from tidegate.coordinator.service import LockService
from tidegate.coordinator.settings import CoordinatorSettings

HEADERS = {"fleet-lock-protocol": "true"}
START_SECS = 20.0
KINDS = {kind.value for kind in DenialKind}
GROUPS = {"default": Rules(slots=1), "workers": Rules(slots=2), "none": Rules(slots=0)}


@dataclass
class Server:
    """A coordinator and a client of it. ``away``: make its store stop answering for the block."""

    url: str
    place: Running
    service: list[LockService]
    http: httpx.Client
    away: Callable[[], None] = field(default=lambda: None)

    def ask(self, verb: str, client_id: str, group: str = "default", **more: object) -> httpx.Response:
        body = json.dumps({"client_params": {"id": client_id, "group": group}, **more})
        return self.http.post(f"/v1/{verb}", headers=HEADERS, content=body)

    def lock(self, client_id: str, group: str = "default", **more: object) -> int:
        return self.ask("pre-reboot", client_id, group, **more).status_code

    def unlock(self, client_id: str, group: str = "default") -> int:
        return self.ask("steady-state", client_id, group).status_code

    def configure(self, groups: Mapping[str, Rules], default_group: str | None = None) -> None:
        [service] = self.service
        self.place.do(lambda: service.configure(groups, default_group))


@contextmanager
def serving(store: str, folder: Path, groups: Mapping[str, Rules]) -> Generator[Server, None, None]:
    own = local(folder, store=store)
    settings = CoordinatorSettings(tuple(Group(name, rules) for name, rules in groups.items()), coordinator=own)
    services: list[LockService] = []

    @asynccontextmanager
    async def opened() -> AsyncGenerator[LockService, None]:
        async with open_locks(settings, SystemClock()) as service:
            services.append(service)
            yield service

    with (
        running(own, opened) as place,
        httpx.Client(base_url=place.url(), verify=NO_TLS, trust_env=False, timeout=30) as client,
    ):
        yield Server(place.url(), place, services, client)


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Generator[str, None, None]:
    """One member, on loopback."""
    with etcd_server(tmp_path_factory.mktemp("etcd")) as server:
        yield server.address


@pytest.fixture(scope="module", params=["sqlite", "etcd"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Server, None, None]:
    folder = tmp_path_factory.mktemp("coordinator")
    store = f"sqlite:{folder / 'locks.db'}" if request.param == "sqlite" else request.getfixturevalue("etcd")
    with serving(store, folder, GROUPS) as server:
        yield server


@pytest.fixture
def server(shared: Server) -> Generator[Server, None, None]:
    """With the groups as they should be, and nothing held."""
    shared.configure(GROUPS)
    yield shared
    with _operator(shared) as operator:
        shared.configure(GROUPS)
        for group in operator.get("/admin/v1/groups").json()["groups"]:
            for holder in group["holders"]:
                form = {"id": holder["id"], "reason": "end of the test"}
                assert operator.post("/admin/v1/release", json=form).status_code == 200


def _operator(server: Server) -> httpx.Client:
    assert server.place.listeners is not None
    socket = str(server.place.listeners.listeners[-1].socket.getsockname())
    return httpx.Client(transport=httpx.HTTPTransport(uds=socket, verify=NO_TLS), base_url="http://x")


def holders(server: Server, group: str) -> list[str]:
    with _operator(server) as operator:
        [view] = operator.get("/admin/v1/groups", params={"group": group}).json()["groups"]
    return sorted(holder["id"] for holder in view["holders"])


def test_s1_and_s2_a_grant_and_the_same_again_take_one_slot(server: Server) -> None:
    assert [server.lock("a"), server.lock("a"), server.lock("a")] == [200, 200, 200]
    assert holders(server, "default") == ["a"]


def test_s3_a_full_group_says_so_and_when_to_ask_again(server: Server) -> None:
    server.lock("a")
    reply = server.ask("pre-reboot", "b")
    assert reply.status_code == 423
    assert reply.json()["kind"] == "failed_lock_semaphore_full"
    assert reply.json()["value"]
    assert int(reply.headers["retry-after"]) >= 1


def test_s4_giving_back_is_always_well(server: Server) -> None:
    server.lock("a")
    assert [server.unlock("a"), server.unlock("a"), server.unlock("never-seen")] == [200, 200, 200]
    assert server.lock("b") == 200


def test_s5_a_non_holder_frees_nobody(server: Server) -> None:
    server.lock("a")
    assert [server.unlock("b"), server.unlock("c")] == [200, 200]
    assert holders(server, "default") == ["a"]
    assert server.lock("b") == 423


def _of_boot(digit: str, uptime_secs: int | None = None) -> Mapping[str, object]:
    return {"boot_id": digit * 32} | ({} if uptime_secs is None else {"uptime_secs": uptime_secs})


@pytest.mark.parametrize("uptime_secs", [None, 100_000])
def test_two_hosts_with_one_id_are_flagged_and_not_both_granted(server: Server, uptime_secs: int | None) -> None:
    holder, rival = _of_boot("1", uptime_secs), _of_boot("2", uptime_secs)
    assert server.lock("clone", "workers", update_params=holder) == 200
    denied = server.ask("pre-reboot", "clone", "workers", update_params=rival)
    assert (denied.status_code, denied.json()["kind"], "retry-after" in denied.headers) == (423, "id_conflict", True)
    assert not any(digit * 8 in denied.text for digit in "12")
    assert server.ask("steady-state", "clone", "workers", update_params=rival).status_code == 200
    assert holders(server, "workers") == ["clone"]
    assert _flags(server, "workers") == ["two-hosts"]
    assert server.lock("clone", "workers", update_params=holder) == 200
    rebooted = _of_boot("3", None if uptime_secs is None else 0)
    assert server.ask("steady-state", "clone", "workers", update_params=rebooted).status_code == 200
    assert holders(server, "workers") == []


def _flags(server: Server, group: str) -> list[str]:
    with _operator(server) as operator:
        [view] = operator.get("/admin/v1/groups", params={"group": group}).json()["groups"]
    return [*view["flags"], *(flag for holder in view["holders"] for flag in holder["flags"])]


@pytest.mark.parametrize("default_group", [None, "default"])
def test_a_group_that_was_removed_while_held_shows_its_holders_and_takes_slots_back(
    server: Server, default_group: str | None
) -> None:
    assert [server.lock("a", "workers"), server.lock("b", "workers")] == [200, 200]
    server.configure({"default": Rules(slots=1)}, default_group)
    assert holders(server, "workers") == ["a", "b"]
    assert _flags(server, "workers") == ["not-configured"]
    assert "tidegate_coordinator_config_groups 1.0" in server.http.get("/metrics").text
    assert server.unlock("a", "workers") == 200
    assert holders(server, "workers") == ["b"]
    assert server.lock("c", "workers") == (400 if default_group is None else 200)
    with _operator(server) as operator:
        form = {"id": "b", "group": "workers", "reason": "the group is gone"}
        assert operator.post("/admin/v1/release", json=form).status_code == 200
        assert operator.get("/admin/v1/groups", params={"group": "workers"}).status_code == 400


def test_a_group_that_was_removed_before_a_restart_takes_slots_back(etcd: str, tmp_path: Path) -> None:
    for number, store in enumerate((f"sqlite:{tmp_path / 'removed.db'}", etcd)):
        holder = f"left-{number}"
        with serving(store, tmp_path, {"removed": Rules(slots=3)}) as before:
            assert before.lock(holder, "removed") == 200
        with serving(store, tmp_path, GROUPS) as after:
            assert holders(after, "removed") == [holder]
            assert after.unlock(holder, "removed") == 200
        with serving(store, tmp_path, {"removed": Rules(slots=1)}) as again:
            assert holders(again, "removed") == []


def test_s6_to_s12_bad_requests_have_their_answers_and_change_nothing(server: Server) -> None:
    wrong: list[str] = []
    for bad in all_bad():
        reply = _send(server, bad)
        kind = bad.kind if bad.method == "HEAD" else reply.json()["kind"]
        if (reply.status_code, kind) != (bad.status, bad.kind) or kind not in KINDS:
            wrong.append(f"{bad.name}: {reply.status_code} {reply.text[:100]}")
        assert reply.headers["fleet-lock-extensions"] == "rollout-v1"
    assert not wrong
    assert [holders(server, name) for name in GROUPS] == [[], [], []]


def _send(server: Server, bad: Bad) -> httpx.Response:
    url = httpx.URL(server.url).copy_with(raw_path=bad.path.encode())
    return server.http.request(bad.method, url, headers=list(bad.headers), content=bad.body)


@pytest.mark.parametrize("verb", ["pre-reboot", "steady-state"])
def test_s10_an_unknown_group_is_refused_for_both(server: Server, verb: str) -> None:
    reply = server.ask(verb, "a", "nobody")
    assert (reply.status_code, reply.json()["kind"]) == (400, "unknown_group")


def test_s10_or_is_the_default_group_where_there_is_one(server: Server) -> None:
    server.configure(GROUPS, "workers")
    assert server.lock("a", "nobody") == 200
    assert holders(server, "workers") == ["a"]
    assert server.unlock("a", "nobody-else") == 200
    assert holders(server, "workers") == []


def test_s9_newer_clients_are_understood(server: Server) -> None:
    update = {"v": 9, "agent": "x/1", "boot_id": "0" * 32, "target": {"version": "2", "digest": "d"}, "new": [1]}
    assert server.lock("a", update_params=update, later={"x": None}) == 200
    assert server.lock("b", "workers", update_params="nonsense") == 200


def test_s12_the_longest_id_is_one(server: Server) -> None:
    longest = "\u00fc" * 256
    assert server.lock(longest) == 200
    assert holders(server, "default") == [longest]


def test_s13_ids_are_as_they_are_written(server: Server) -> None:
    assert [server.lock("Host", "workers"), server.lock("host", "workers"), server.lock("HOST", "workers")] == [
        *(200, 200, 423)
    ]
    assert server.unlock("HOST", "workers") == 200
    assert holders(server, "workers") == ["Host", "host"]


def test_s14_no_slots_are_none(server: Server) -> None:
    assert [server.lock("a", "none"), server.unlock("a", "none")] == [423, 200]


def test_s15_fewer_slots_evict_nobody_and_grant_nothing_until_there_is_room(server: Server) -> None:
    assert [server.lock("a", "workers"), server.lock("b", "workers")] == [200, 200]
    server.configure({**GROUPS, "workers": Rules(slots=1)})
    assert [server.lock("a", "workers"), server.lock("b", "workers"), server.lock("c", "workers")] == [200, 200, 423]
    server.unlock("a", "workers")
    assert server.lock("c", "workers") == 423
    server.unlock("b", "workers")
    assert server.lock("c", "workers") == 200


def test_s16_more_slots_count_at_once(server: Server) -> None:
    assert [server.lock("a"), server.lock("b")] == [200, 423]
    server.configure({**GROUPS, "default": Rules(slots=2)})
    assert server.lock("b") == 200


def test_s17_two_coordinators_share_slots(server: Server, etcd: str, tmp_path: Path) -> None:
    if not _on_etcd(server):
        return  # SQLite is for one coordinator
    with serving(etcd, tmp_path, GROUPS) as other, ThreadPoolExecutor(8) as pool:
        most = _most_at_once(pool, [server, other], slots=2)
    assert most <= 2


def _on_etcd(server: Server) -> bool:
    return any("Etcd" in type(value).__name__ for value in vars(server.service[0]).values())


def _most_at_once(pool: ThreadPoolExecutor, servers: list[Server], slots: int) -> int:
    """Eight clients over all servers; the most that believed at once to hold a slot."""
    held, most, guard = 0, 0, threading.Lock()

    def client(number: int) -> None:
        nonlocal held, most
        for turn in range(15):
            server = servers[(number + turn) % len(servers)]
            if server.lock(f"client-{number}", "workers") == 200:
                with guard:
                    held += 1
                    most = max(most, held)
                with guard:
                    held -= 1
                assert server.unlock(f"client-{number}", "workers") == 200

    list(pool.map(client, range(8)))
    assert 0 < most <= slots
    return most


def test_s18_the_same_request_again_after_a_lost_answer_is_the_same_grant(server: Server) -> None:
    first, second = server.ask("pre-reboot", "a"), server.ask("pre-reboot", "a")
    assert first.status_code == second.status_code == 200
    assert holders(server, "default") == ["a"]


def test_s18_many_at_once_take_no_more_than_there_are(server: Server) -> None:
    def lock(number: int) -> int:
        return server.lock(f"host-{number}", "workers")

    with ThreadPoolExecutor(16) as pool:
        codes = list(pool.map(lock, range(32)))
    assert sorted(set(codes)) == [200, 423]
    assert codes.count(200) == 2
    assert len(holders(server, "workers")) == 2


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/json; x=1"])
def test_s22_the_content_type_does_not_matter(server: Server, content_type: str) -> None:
    body = json.dumps({"client_params": {"id": "a", "group": "default"}})
    reply = server.http.post("/v1/pre-reboot", headers={**HEADERS, "content-type": content_type}, content=body)
    assert reply.status_code == 200


def test_s23_metrics_have_the_reference_servers_names(server: Server) -> None:
    server.lock("a")
    text = server.http.get("/metrics").text
    for name in (
        "airlock_config_groups 3.0",
        'airlock_config_semaphore_slots{group="workers"} 2.0',
        'airlock_database_semaphore_lock_holders{group="default"} 1.0',
        'airlock_database_semaphore_slots{group="default"} 1.0',
        "airlock_v1_pre_reboot_incoming_requests_total",
        "airlock_v1_steady_state_incoming_requests_total",
    ):
        assert name in text


def test_what_was_held_is_held_after_a_restart(etcd: str, tmp_path: Path) -> None:
    for number, store in enumerate((f"sqlite:{tmp_path / 'again.db'}", etcd)):
        holder = f"survivor-{number}"
        with serving(store, tmp_path, {"again": Rules(slots=1)}) as before:
            assert before.lock(holder, "again") == 200
        with serving(store, tmp_path, {"again": Rules(slots=1)}) as after:
            assert [after.lock("other", "again"), after.lock(holder, "again")] == [423, 200]
            assert after.unlock(holder, "again") == 200


def test_s19_without_etcd_it_is_503_soon_and_well_again_with_it(tmp_path: Path) -> None:
    with serving(f"etcd://127.0.0.1:{free_port()}", tmp_path, GROUPS) as server:
        begun = time.monotonic()
        reply = server.ask("pre-reboot", "a")
        assert (reply.status_code, reply.json()["kind"]) == (503, "backend_unavailable")
        assert time.monotonic() - begun < 15
        assert server.http.get("/healthz").status_code == 503
        assert "tidegate_coordinator_store_up 0.0" in server.http.get("/metrics").text
