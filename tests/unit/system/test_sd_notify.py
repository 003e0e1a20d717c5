"""The datagrams to systemd, on a real socket."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tidegate.system.sd_notify import Notifier


@pytest.fixture(name="listener", params=["path", "abstract"])
def _listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A socket as systemd has one, and its name as NOTIFY_SOCKET would give it."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@tidegate-test-{uuid.uuid4()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as channel:
        channel.bind(f"\0{name[1:]}" if name.startswith("@") else name)
        yield channel, name


WORDS: list[tuple[Callable[[Notifier], None], bytes]] = [
    (lambda notifier: notifier.ready(), b"READY=1"),
    (lambda notifier: notifier.status("staging 2: 50%"), b"STATUS=staging 2: 50%"),
    (lambda notifier: notifier.alive(), b"WATCHDOG=1"),
    (lambda notifier: notifier.reloading(12345), b"RELOADING=1\nMONOTONIC_USEC=12345"),
    (lambda notifier: notifier.stopping(), b"STOPPING=1"),
    (lambda notifier: notifier.status("two\nREADY=1"), b"STATUS=two READY=1"),
]


@pytest.mark.parametrize(("say", "message"), WORDS)
def test_each_word_is_one_datagram(
    listener: tuple[socket.socket, str], say: Callable[[Notifier], None], message: bytes
) -> None:
    channel, name = listener
    say(Notifier({"NOTIFY_SOCKET": name}))
    assert channel.recv(4096) == message
    with pytest.raises(BlockingIOError):
        channel.recv(4096)


def test_without_a_socket_nothing_is_sent_and_nothing_fails() -> None:
    Notifier({}).ready()


def test_a_socket_that_is_gone_does_not_stop_the_service(tmp_path: Path) -> None:
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).alive()


ME = str(os.getpid())


@pytest.mark.parametrize(
    ("environment", "secs"),
    [
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": ME}, 15.0),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0", "WATCHDOG_PID": ME}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({"WATCHDOG_USEC": ""}, None),
        ({"WATCHDOG_PID": ME}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_fed_twice_an_interval_by_the_process_that_it_watches(
    environment: dict[str, str], secs: float | None
) -> None:
    assert Notifier(environment).watchdog_secs == secs
