"""The coordinator's HTTP interface over real sockets, with locks in memory."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.fakes.bad_requests import GOOD_BODY, PATH, Bad, all_bad
from tests.fakes.locks_at import local, locks_opener
from tests.fakes.memory_locks import MemoryLocks
from tests.fakes.plain_http import NO_TLS
from tests.fakes.running_coordinator import Running, running
from tidegate.clock import SystemClock
from tidegate.coordinator.model import DenialKind, Rules
from tidegate.errors import ErrorKind, TidegateError

HEADERS = {"fleet-lock-protocol": "true"}
STEADY = "/v1/steady-state"


@dataclass(frozen=True, slots=True)
class Served:
    """A coordinator and the locks behind it."""

    place: Running
    locks: MemoryLocks


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Generator[Served, None, None]:
    """One for all tests that leave no traces in it but in its locks."""
    locks = MemoryLocks(clock=SystemClock())
    with running(local(tmp_path_factory.mktemp("shared")), locks_opener(locks)) as place:
        yield Served(place, locks)


@pytest.fixture
def locks(shared: Served) -> MemoryLocks:
    """The locks of the shared one, as new."""
    vars(shared.locks).update(vars(MemoryLocks(clock=SystemClock())))
    return shared.locks


@pytest.fixture
def place(shared: Served, locks: MemoryLocks) -> Running:
    assert not locks.calls
    return shared.place


@pytest.fixture
def client(place: Running) -> Generator[httpx.Client, None, None]:
    with httpx.Client(base_url=place.url(), verify=NO_TLS, trust_env=False, timeout=10) as client:
        yield client


@pytest.fixture
def fresh(tmp_path: Path) -> Generator[tuple[httpx.Client, MemoryLocks], None, None]:
    """One of its own, for tests of what a coordinator remembers."""
    locks = MemoryLocks(clock=SystemClock())
    with (
        running(local(tmp_path), locks_opener(locks)) as place,
        httpx.Client(base_url=place.url(), verify=NO_TLS, trust_env=False, timeout=10) as client,
    ):
        yield client, locks


def body(client_id: str, group: str = "default", **more: object) -> bytes:
    return json.dumps({"client_params": {"id": client_id, "group": group}, **more}).encode()


def raw(place: Running, request: bytes, *, hang_up: bool = True) -> bytes:
    """What is answered to bytes, until the server hangs up or nothing more comes."""
    address = place.addresses[0]
    with socket.create_connection((address.host, address.port), timeout=10) as connection:
        connection.sendall(request)
        if hang_up:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer


def test_every_bad_request_gets_its_answer(client: httpx.Client, locks: MemoryLocks) -> None:
    wrong: list[str] = []
    for bad in all_bad():
        reply = send(client, bad)
        told = {"kind": ""} if bad.method == "HEAD" else reply.json()
        fits = bad.method == "HEAD" or (told["kind"] == bad.kind and told["value"] and set(told) == {"kind", "value"})
        if reply.status_code != bad.status or not fits or reply.headers["fleet-lock-extensions"] != "rollout-v1":
            wrong.append(f"{bad.name}: {reply.status_code} {reply.text[:100]}")
        assert reply.headers["content-type"] == "application/json"
    assert not wrong
    assert not any(locks.held.values())


def send(client: httpx.Client, bad: Bad) -> httpx.Response:
    url = httpx.URL(client.base_url.copy_with(raw_path=bad.path.encode()))
    return client.request(bad.method, url, headers=list(bad.headers), content=bad.body)


def test_a_grant_names_itself(client: httpx.Client) -> None:
    reply = client.post(PATH, headers=HEADERS, content=GOOD_BODY)
    assert (reply.status_code, reply.json()) == (200, {"grant": "g1-1"})


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "x"])
def test_the_content_type_does_not_matter(client: httpx.Client, content_type: str) -> None:
    reply = client.post(PATH, headers={**HEADERS, "content-type": content_type}, content=GOOD_BODY)
    assert reply.status_code == 200


def test_the_query_does_not_matter(client: httpx.Client) -> None:
    assert client.post(f"{PATH}?x=1&y", headers=HEADERS, content=GOOD_BODY).status_code == 200


def test_a_method_that_is_not_taken_is_told_which_is(client: httpx.Client) -> None:
    assert client.get(PATH, headers=HEADERS).headers["allow"] == "POST"
    assert client.post("/healthz").headers["allow"] == "GET, HEAD"


def test_when_full_it_says_when_to_ask_again(client: httpx.Client) -> None:
    client.post(PATH, headers=HEADERS, content=body("a"))
    reply = client.post(PATH, headers=HEADERS, content=body("b"))
    assert (reply.status_code, reply.headers["retry-after"]) == (423, "30")
    assert reply.json()["kind"] == "failed_lock_semaphore_full"


def test_the_extension_and_the_address_reach_the_locks(client: httpx.Client, locks: MemoryLocks) -> None:
    client.post(PATH, headers=HEADERS, content=body("a", update_params={"agent": "x/1"}))
    [call] = locks.calls
    assert call.address == "127.0.0.1"
    assert call.update is not None
    assert call.update.agent == "x/1"


def test_what_a_proxy_says_is_not_believed(client: httpx.Client, locks: MemoryLocks) -> None:
    client.post(
        PATH, headers={**HEADERS, "x-forwarded-for": "10.9.9.9", "forwarded": "for=10.9.9.9"}, content=GOOD_BODY
    )
    assert locks.calls[0].address == "127.0.0.1"


@pytest.mark.parametrize("path", [PATH, STEADY, "/healthz"])
def test_without_its_store_it_says_503(client: httpx.Client, locks: MemoryLocks, path: str) -> None:
    locks.away = True
    reply = client.request("GET" if path == "/healthz" else "POST", path, headers=HEADERS, content=GOOD_BODY)
    assert (reply.status_code, reply.json()["kind"]) == (503, "backend_unavailable")
    assert int(reply.headers["retry-after"]) > 0
    assert "etcd" not in reply.text
    locks.away = False
    assert client.get("/healthz").status_code == 200


def test_a_defect_is_answered_and_told_without_details(
    client: httpx.Client, locks: MemoryLocks, caplog: pytest.LogCaptureFixture
) -> None:
    locks.defect = ZeroDivisionError("secret")
    reply = client.post(PATH, headers=HEADERS, content=GOOD_BODY)
    assert (reply.status_code, reply.json()["kind"]) == (500, "internal_error")
    assert "secret" not in reply.text
    assert "secret" in caplog.text


def test_an_outage_is_logged_once(fresh: tuple[httpx.Client, MemoryLocks], caplog: pytest.LogCaptureFixture) -> None:
    client, locks = fresh
    locks.away = True
    for _ in range(5):
        client.post(PATH, headers=HEADERS, content=GOOD_BODY)
    assert caplog.text.count("etcd does not answer") == 1
    locks.away = False
    with caplog.at_level("INFO"):
        client.post(PATH, headers=HEADERS, content=GOOD_BODY)
    assert "answers again" in caplog.text


def test_a_body_that_says_it_is_too_long_is_not_waited_for(place: Running) -> None:
    head = (
        b"POST /v1/pre-reboot HTTP/1.1\r\nhost: x\r\nfleet-lock-protocol: true\r\ncontent-length: 99999999999\r\n\r\n"
    )
    assert raw(place, head).startswith(b"HTTP/1.1 413")


def test_a_body_in_pieces_is_cut_off_at_the_limit(client: httpx.Client) -> None:
    reply = client.post(PATH, headers=HEADERS, content=(b" " * 1024 for _ in range(2000)))
    assert reply.status_code == 413
    assert client.post(PATH, headers=HEADERS, content=GOOD_BODY).status_code == 200


def test_a_body_in_small_pieces_is_put_together(client: httpx.Client) -> None:
    pieces = (GOOD_BODY[at : at + 1] for at in range(len(GOOD_BODY)))
    assert client.post(PATH, headers=HEADERS, content=pieces).status_code == 200


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"garbage\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100,
        b"POST /v1/pre-reboot HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n",
        b"POST /v1/pre-reboot HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n",
        b"POST /v1/pre-reboot HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
        b"POST /v1/pre-reboot HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_not_http_is_refused_in_json(place: Running, request_bytes: bytes) -> None:
    answer = raw(place, request_bytes)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"fleet-lock-extensions: rollout-v1" in answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2].splitlines()[-1])["kind"] == "invalid_request"


def test_length_and_chunks_at_once_smuggle_nothing(place: Running, locks: MemoryLocks) -> None:
    smuggled = b"0\r\n\r\nPOST /v1/pre-reboot HTTP/1.1\r\nhost: x\r\nfleet-lock-protocol: true\r\n"
    head = b"POST /v1/steady-state HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-length: %d\r\n\r\n"
    raw(place, head % len(smuggled) + smuggled)
    assert not locks.calls


def test_pipelined_requests_are_answered_in_order(place: Running) -> None:
    def request(client_id: str) -> bytes:
        content = body(client_id)
        head = b"POST /v1/pre-reboot HTTP/1.1\r\nhost: x\r\nfleet-lock-protocol: true\r\ncontent-length: %d\r\n\r\n"
        return head % len(content) + content

    last = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    answer = raw(place, request("a") + request("b") + request("a") + last, hang_up=False)
    assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [b"200", b"423", b"200", b"200"]


def test_an_upgrade_is_not_followed(place: Running) -> None:
    head = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
    assert raw(place, head).startswith(b"HTTP/1.1 200")


def test_http_1_0_is_answered(place: Running) -> None:
    assert raw(place, b"GET /healthz HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200")


def test_metrics_have_our_names_and_the_reference_servers(fresh: tuple[httpx.Client, MemoryLocks]) -> None:
    client, locks = fresh
    for client_id in ("a", "b"):
        client.post(PATH, headers=HEADERS, content=body(client_id))
    client.post(STEADY, headers=HEADERS, content=body("z"))
    client.post(PATH, headers=HEADERS, content=b"nonsense")
    text = client.get("/metrics").text
    for prefix in ("airlock", "tidegate_coordinator"):
        assert f"{prefix}_config_groups 2.0" in text
        assert f'{prefix}_config_semaphore_slots{{group="workers"}} 2.0' in text
        assert f'{prefix}_database_semaphore_slots{{group="default"}} 1.0' in text
        assert f'{prefix}_database_semaphore_lock_holders{{group="default"}} 1.0' in text
    assert "airlock_v1_pre_reboot_incoming_requests_total 3.0" in text
    assert "airlock_v1_steady_state_incoming_requests_total 1.0" in text
    for answer in ("granted", "failed_lock_semaphore_full", "invalid_request"):
        assert f'tidegate_coordinator_requests_total{{answer="{answer}",verb="pre-reboot"}} 1.0' in text
    assert 'tidegate_coordinator_waiting{group="default"} 1.0' in text
    assert "tidegate_coordinator_store_up 1.0" in text
    locks.away = True
    text = client.get("/metrics").text
    assert "tidegate_coordinator_store_up 0.0" in text
    assert "lock_holders{" not in text


def test_every_kind_of_denial_has_its_status(client: httpx.Client, locks: MemoryLocks) -> None:
    locks.rules["none"] = Rules(slots=0)
    reply = client.post(PATH, headers=HEADERS, content=body("a", "none"))
    assert (reply.status_code, reply.json()["kind"]) == (423, DenialKind.SEMAPHORE_FULL)


def test_an_error_that_the_protocol_does_not_know_is_a_defect(client: httpx.Client, locks: MemoryLocks) -> None:
    locks.defect = TidegateError(ErrorKind.RECORD_UNREADABLE, "not for clients")
    reply = client.post(PATH, headers=HEADERS, content=GOOD_BODY)
    assert reply.status_code == 500
    assert "not for clients" not in reply.text


def test_a_client_that_has_gone_gets_no_slot(tmp_path: Path) -> None:
    """It gave up waiting; what it asks of another coordinator next must not be overtaken."""
    locks = MemoryLocks()
    entered, gone = threading.Event(), threading.Event()

    class Gate(asyncio.Event):
        async def wait(self) -> bool:  # type: ignore[override]  # its caller does not look at the result
            entered.set()
            try:
                return await super().wait()
            except asyncio.CancelledError:
                gone.set()
                raise

    locks.gate = Gate()
    with running(local(tmp_path), locks_opener(locks)) as place:
        address = place.addresses[0]
        with socket.create_connection((address.host, address.port)) as client:
            head = b"POST /v1/pre-reboot HTTP/1.1\r\nhost: x\r\nfleet-lock-protocol: true\r\n"
            client.sendall(head + b"content-length: %d\r\n\r\n" % len(GOOD_BODY) + GOOD_BODY)
            assert entered.wait(10)
        assert gone.wait(10)
        place.do(locks.gate.set)
        assert not locks.calls
