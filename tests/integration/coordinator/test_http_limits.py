"""Limits on slow, greedy and many clients, and shutdown with open connections."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from tests.fakes.bad_requests import GOOD_BODY, PATH
from tests.fakes.locks_at import ANY_PORT, local, locks_opener
from tests.fakes.memory_locks import MemoryLocks
from tests.fakes.plain_http import NO_TLS
from tests.fakes.running_coordinator import Running, running
from tidegate.coordinator.web import app, connections

HEADERS = {"fleet-lock-protocol": "true"}
HEAD = b"POST /v1/pre-reboot HTTP/1.1\r\nhost: x\r\nfleet-lock-protocol: true\r\n"
REQUEST = HEAD + b"content-length: %d\r\n\r\n" % len(GOOD_BODY) + GOOD_BODY
QUICK_SECS = 0.5
PATIENCE_SECS = 10.0


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Running, None, None]:
    """A server without patience, and with room for three."""
    monkeypatch.setattr(connections, "HEAD_SECS", QUICK_SECS)
    monkeypatch.setattr(app, "BODY_SECS", QUICK_SECS)
    with running(local(tmp_path, max_connections=3), locks_opener(MemoryLocks())) as place:
        yield place


def connect(place: Running, listener: int = 0) -> socket.socket:
    address = place.addresses[listener]
    return socket.create_connection((address.host, address.port), timeout=PATIENCE_SECS)


def rest(connection: socket.socket) -> bytes:
    """What comes until the server hangs up."""
    answer = b""
    try:
        while piece := connection.recv(65536):
            answer += piece
    except ConnectionResetError:  # it hung up while this was still sending
        pass
    return answer


def refusal(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.rpartition(b"\r\n\r\n")
    assert b"fleet-lock-extensions: rollout-v1" in head
    return int(head.split()[1]), json.loads(body)["kind"]


@pytest.mark.parametrize("said", [b"", b"P", HEAD, HEAD + b"x: y\r\n"])
def test_who_does_not_get_to_the_end_of_a_head_is_told_and_cut_off(place: Running, said: bytes) -> None:
    with connect(place) as connection:
        connection.sendall(said)
        assert refusal(rest(connection)) == (408, "invalid_request")


def test_a_head_that_drips_gains_no_time(place: Running) -> None:
    with connect(place) as connection:
        dripping = threading.Thread(target=drip, args=(connection,))
        dripping.start()
        answer = rest(connection)
        assert answer == b"" or refusal(answer) == (408, "invalid_request")  # lost where a drop crossed it
        dripping.join(PATIENCE_SECS)
        assert not dripping.is_alive()


def drip(connection: socket.socket) -> None:
    pause = threading.Event()
    try:
        connection.sendall(HEAD + b"x-more: ")
        for _ in range(1000):
            connection.sendall(b"x")
            pause.wait(QUICK_SECS / 10)
    except OSError:  # it was cut off
        return


def test_the_next_head_on_a_kept_connection_has_a_deadline_too(place: Running) -> None:
    with connect(place) as connection:
        connection.sendall(REQUEST)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        connection.sendall(b"POST /v1")
        assert refusal(rest(connection)) == (408, "invalid_request")


def test_a_head_that_grows_is_cut_off(place: Running) -> None:
    with connect(place) as connection:
        connection.sendall(HEAD + b"x: " + b"y" * (connections.MAX_HEAD_BYTES + 1))
        status, kind = refusal(rest(connection))
        assert (status, kind) in {(431, "invalid_request"), (400, "invalid_request")}


def test_a_body_that_does_not_come_is_told(place: Running) -> None:
    with connect(place) as connection:
        connection.sendall(HEAD + b"content-length: 100\r\n\r\n{")
        assert refusal(rest(connection)) == (408, "invalid_request")


def test_a_refused_body_is_read_for_a_while_so_that_the_answer_arrives(place: Running) -> None:
    size = 2 * 1024 * 1024
    with connect(place) as connection:
        connection.sendall(HEAD + b"content-length: %d\r\n\r\n" % size + b" " * size)
        assert connection.recv(65536).startswith(b"HTTP/1.1 413")


def is_cut_off(connection: socket.socket) -> bool:
    """Whether sending does not work any more, before 64 MiB have gone."""
    try:
        for _ in range(1000):
            connection.sendall(b" " * 65536)
    except (BrokenPipeError, ConnectionResetError):
        return True
    return False


def test_but_not_for_ever(place: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_DRAINED_BYTES", 100_000)
    with connect(place) as connection:
        connection.sendall(HEAD + b"content-length: 99999999\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 413")
        assert is_cut_off(connection)


def test_more_connections_than_allowed_are_turned_away_and_the_others_served(place: Running) -> None:
    with connect(place) as first, connect(place) as second, connect(place) as third:
        for one in (first, second, third):
            one.sendall(REQUEST)
            assert one.recv(65536).startswith(b"HTTP/1.1 200")
        with connect(place) as fourth:
            assert refusal(rest(fourth)) == (429, "rate_limited")
        first.close()
        for _ in range(100):
            with connect(place) as again:
                again.sendall(REQUEST)
                if again.recv(65536).startswith(b"HTTP/1.1 200"):
                    return
    pytest.fail("the place of a closed connection is not free again")


def wait_until_refused(place: Running) -> None:
    """The listener closes within a tick of uvicorn's."""
    pause = threading.Event()
    for _ in range(int(PATIENCE_SECS / 0.02)):
        try:
            connect(place).close()
        except ConnectionRefusedError:
            return
        pause.wait(0.02)
    pytest.fail("it still takes connections")


def test_what_is_under_way_is_answered_when_the_server_stops(tmp_path: Path) -> None:
    locks, replies = MemoryLocks(), list[int]()
    entered = threading.Event()

    class Gate(asyncio.Event):
        async def wait(self) -> bool:  # type: ignore[override]  # its caller does not look at the result
            entered.set()
            return await super().wait()

    locks.gate = Gate()
    with running(local(tmp_path), locks_opener(locks)) as place:
        servers, gate = place.servers, locks.gate
        assert servers is not None

        def ask() -> None:
            url = place.url() + PATH
            reply = httpx.post(url, headers=HEADERS, content=GOOD_BODY, verify=NO_TLS, trust_env=False, timeout=10)
            replies.append(reply.status_code)

        asking = threading.Thread(target=ask)
        asking.start()
        assert entered.wait(PATIENCE_SECS)
        place.do(servers.stop)
        wait_until_refused(place)
        place.do(gate.set)
        asking.join(PATIENCE_SECS)
    assert replies == [200]


def test_idle_connections_do_not_hold_the_end_up(tmp_path: Path) -> None:
    with running(local(tmp_path), locks_opener(MemoryLocks())) as place:
        idle = connect(place)
        idle.sendall(REQUEST)
        assert idle.recv(65536).startswith(b"HTTP/1.1 200")
    with idle:
        assert rest(idle) in {b"", b'{"grant":"g1-1"}'}


def operator(place: Running) -> socket.socket:
    """A connection to the operators' socket."""
    assert place.listeners is not None
    path = place.listeners.listeners[-1].socket.getsockname()
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(PATIENCE_SECS)
    connection.connect(path)
    return connection


def status_line(connection: socket.socket, request: bytes = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n") -> bytes:
    connection.sendall(request)
    return connection.recv(65536)[:12]


def test_connections_are_counted_over_all_listeners(tmp_path: Path) -> None:
    own = local(tmp_path, max_connections=3)
    own = replace(own, admin=replace(own.admin, listen=ANY_PORT))
    with running(own, locks_opener(MemoryLocks())) as place, ExitStack() as kept:
        for listener in (0, 1):
            assert status_line(kept.enter_context(connect(place, listener))) == b"HTTP/1.1 200"
        assert status_line(kept.enter_context(operator(place))) == b"HTTP/1.1 200"
        for one in (connect(place, 0), connect(place, 1), operator(place)):
            with one:
                assert refusal(rest(one)) == (429, "rate_limited")


def test_clients_that_take_every_connection_leave_some_to_operators(tmp_path: Path) -> None:
    limit = 3 * connections.RESERVED
    with running(local(tmp_path, max_connections=limit), locks_opener(MemoryLocks())) as place, ExitStack() as kept:
        for _ in range(limit - connections.RESERVED):
            assert status_line(kept.enter_context(connect(place)), REQUEST) == b"HTTP/1.1 200"
        with connect(place) as one_more:
            assert refusal(rest(one_more)) == (429, "rate_limited")
        assert status_line(kept.enter_context(operator(place))) == b"HTTP/1.1 200"
