"""Serve the metrics socket: send the text to each client and close the connection.

The protocol is that of Zincati's metrics socket, and works with the same exporters: connect and read to the end. There
is no request, and it is not HTTP.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import suppress

from tidegate.clock import Clock

IDLE_SECS = 150.0
"""When the process exits, in seconds without a client; systemd starts it again for the next one. Longer than the usual
scrape intervals of one or two minutes, so that not each scrape starts Python."""

FRESH_SECS = 1.0
"""How long the text is reused, so that many clients cost little more than their connections."""

MAX_TEXT_BYTES = 64 * 1024
"""The upper bound of the text, as its labels are bounded. The kernel's send buffer (net.core.wmem_default) is three
times as large, so one non-blocking send takes all of it, and a slow client delays nobody."""

_FIRST_FD = 3
"""The first file descriptor that systemd passes: sd_listen_fds(3)."""


def inherited() -> socket.socket | None:
    """The listening socket that systemd has passed to this process; None if it has not passed exactly one."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        return None
    return socket.socket(fileno=_FIRST_FD)


def serve(listener: socket.socket, make: Callable[[], bytes], clock: Clock, idle_secs: float = IDLE_SECS) -> None:
    """Serve clients until none has connected for ``idle_secs``. ``make`` makes the text, and must not raise."""
    page = Page(make, clock)
    listener.settimeout(idle_secs)
    while True:
        try:
            reader, _ = listener.accept()
        except TimeoutError:
            return
        with reader:
            answer(reader, page.text())


def answer(reader: socket.socket, text: bytes) -> None:
    """Send ``text`` to ``reader`` without blocking. Errors are ignored: the client has closed the connection."""
    with suppress(OSError):
        reader.send(text, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)


def drop_clients(listener: socket.socket) -> None:
    """Close all pending connections unanswered; otherwise systemd would start this process again at once."""
    listener.settimeout(0)
    with suppress(BlockingIOError):
        while True:
            listener.accept()[0].close()


class Page:
    """The text, cached for :data:`FRESH_SECS`."""

    def __init__(self, make: Callable[[], bytes], clock: Clock) -> None:
        self._make = make
        self._clock = clock
        self._stale_at = float("-inf")
        self._text = b""

    def text(self) -> bytes:
        """The text, at most :data:`FRESH_SECS` old."""
        now = self._clock.now().boot_secs
        if now >= self._stale_at:
            self._text, self._stale_at = self._make(), now + FRESH_SECS
        return self._text
