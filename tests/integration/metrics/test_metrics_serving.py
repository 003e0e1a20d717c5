"""The metrics socket: every reader gets the whole page, whatever the others do."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.fakes.clock import FakeClock
from tidegate.clock import SystemClock
from tidegate.metrics.serving import FRESH_SECS, MAX_TEXT_BYTES, Page, drop_clients, inherited, serve

DEADLINE_SECS = 10.0
BIG = b"x" * MAX_TEXT_BYTES


@contextmanager
def listening(folder: Path, backlog: int = 64) -> Generator[socket.socket, None, None]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(folder / "metrics.promsock"))
        listener.listen(backlog)
        yield listener


@contextmanager
def served(folder: Path, text: bytes, idle_secs: float = 0.3) -> Generator[threading.Thread, None, None]:
    with listening(folder) as listener:
        server = threading.Thread(target=serve, args=(listener, lambda: text, SystemClock(), idle_secs))
        server.start()
        yield server
        server.join(DEADLINE_SECS)
        assert not server.is_alive()


def connect(folder: Path) -> socket.socket:
    reader = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    reader.settimeout(DEADLINE_SECS)
    reader.connect(str(folder / "metrics.promsock"))
    return reader


def read_to_end(reader: socket.socket) -> bytes:
    with closing(reader):
        return b"".join(iter(lambda: reader.recv(65536), b""))


def test_whoever_connects_reads_the_text_to_its_end(tmp_path: Path) -> None:
    with served(tmp_path, b"a 1\n"):
        assert [read_to_end(connect(tmp_path)) for _ in range(3)] == [b"a 1\n"] * 3


def test_a_reader_that_reads_nothing_keeps_nobody_waiting_and_misses_nothing(tmp_path: Path) -> None:
    with served(tmp_path, BIG) as server:
        slow = [connect(tmp_path) for _ in range(40)]
        assert read_to_end(connect(tmp_path)) == BIG
        server.join(DEADLINE_SECS)
        assert [len(read_to_end(reader)) for reader in slow] == [len(BIG)] * 40


def test_not_even_a_text_that_the_kernel_does_not_take_keeps_anybody_waiting(tmp_path: Path) -> None:
    with served(tmp_path, BIG * 1000) as server:
        slow = connect(tmp_path)
        server.join(DEADLINE_SECS)
        assert not server.is_alive()
        slow.close()


def test_readers_that_are_gone_again_are_passed_over(tmp_path: Path) -> None:
    with served(tmp_path, BIG):
        for _ in range(40):
            connect(tmp_path).close()
        assert read_to_end(connect(tmp_path)) == BIG


def test_a_reader_that_talks_is_answered_like_all_others(tmp_path: Path) -> None:
    with listening(tmp_path) as listener:
        reader = connect(tmp_path)
        reader.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        serve(listener, lambda: b"a 1\n", SystemClock(), idle_secs=0.01)
        with reader:
            assert reader.recv(100) == b"a 1\n"


def test_it_ends_when_nobody_comes(tmp_path: Path) -> None:
    with listening(tmp_path) as listener:
        serve(listener, lambda: b"", SystemClock(), idle_secs=0.01)


def test_who_waits_is_turned_away_unanswered(tmp_path: Path) -> None:
    with listening(tmp_path) as listener:
        waiting = [connect(tmp_path) for _ in range(3)]
        drop_clients(listener)
        assert [read_to_end(reader) for reader in waiting] == [b""] * 3


def test_the_page_is_made_once_a_second_however_many_ask() -> None:
    clock, made = FakeClock(), list[int]()

    def make() -> bytes:
        made.append(1)
        return str(len(made)).encode()

    page = Page(make, clock)
    assert [page.text() for _ in range(5)] == [b"1"] * 5
    clock.advance(FRESH_SECS)
    assert page.text() == b"2"


@pytest.mark.parametrize(("pid", "fds"), [("1", "1"), (None, None), ("own", "2"), ("own", "0")])
def test_sockets_that_are_not_for_this_process_are_not_touched(
    pid: str | None, fds: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("LISTEN_PID", str(os.getpid()) if pid == "own" else pid), ("LISTEN_FDS", fds)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert inherited() is None
