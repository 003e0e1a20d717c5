"""The metrics socket: whoever connects is sent the text and hung up on.

It is read as Zincati's is (and by the same exporters): connect, read to the end; nothing is asked, and it is not HTTP.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import suppress

from tidegate.clock import Clock

IDLE_SECS = 150.0
"""Then the process ends, and systemd starts it for the next reader. Scrapes are a minute or two apart, and would cost a
start of Python each otherwise."""

FRESH_SECS = 1.0
"""For so long all readers are sent the same text: a flood of them costs little more than its connections."""

MAX_TEXT_BYTES = 64 * 1024
"""The text stays below: its labels are bounded. The kernel keeps three times as much for a reader that does not yet
read (net.core.wmem_default), so it is sent whole, and nobody, however slow, is waited for."""

_FIRST_FD = 3
"""Where systemd's sockets begin (sd_listen_fds(3))."""


def inherited() -> socket.socket | None:
    """The one listening socket that systemd has opened for this process; None where it has not."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        return None
    return socket.socket(fileno=_FIRST_FD)


def serve(listener: socket.socket, make: Callable[[], bytes], clock: Clock, idle_secs: float = IDLE_SECS) -> None:
    """Answer readers until nobody has come for ``idle_secs``. ``make`` makes the text; it must not raise."""
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
    """Leave ``text`` with the kernel for ``reader``; one that has gone already misses nothing."""
    with suppress(OSError):
        reader.send(text, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)


def turn_away(listener: socket.socket) -> None:
    """Hang up on everybody who waits, unanswered: left waiting, they would have this process started again at once."""
    listener.settimeout(0)
    with suppress(BlockingIOError):
        while True:
            listener.accept()[0].close()


class Page:
    """The text, made anew once it is old."""

    def __init__(self, make: Callable[[], bytes], clock: Clock) -> None:
        self._make = make
        self._clock = clock
        self._stale_at = float("-inf")
        self._text = b""

    def text(self) -> bytes:
        """At most :data:`FRESH_SECS` old."""
        now = self._clock.now().boot_secs
        if now >= self._stale_at:
            self._text, self._stale_at = self._make(), now + FRESH_SECS
        return self._text
