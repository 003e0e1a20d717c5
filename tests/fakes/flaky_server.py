"""A web server that misbehaves on request: counts, limits, cuts, answers 503, hangs, rots bytes.

It serves a folder on a free port of the loopback. What it does wrong is a list of :class:`Fault`; each applies to the
paths that match its pattern, a bounded number of times, so that "fails twice, then works" is one line in a test.
"""

from __future__ import annotations

import http.server
import re
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from pathlib import Path
from typing import assert_never

CHUNK_BYTES = 16_384
FOREVER = 1_000_000


class Kind(Enum):
    """Ways to fail."""

    CUT = "send half of the body, then close the connection"
    UNAVAILABLE = "503"
    MISSING = "404"
    HANG = "accept the request, never answer"
    ROT = "flip a byte in the middle of the body"
    HOLD = "send half of the body, then wait until released"


@dataclass(slots=True)
class Fault:
    """One way to fail for paths that contain a match of ``pattern``, ``times`` times."""

    kind: Kind
    pattern: str
    times: int = FOREVER

    def applies(self, path: str) -> bool:
        """Whether this request fails; uses up one time."""
        if self.times <= 0 or not re.search(self.pattern, path):
            return False
        self.times -= 1
        return True


@dataclass(frozen=True, slots=True)
class Hit:
    """One request that was answered, or not."""

    path: str
    sent_bytes: int


@dataclass(slots=True)
class FlakyServer:
    """What a test sees of the server."""

    root: Path
    url: str = ""
    faults: list[Fault] = field(default_factory=list[Fault])
    hits: list[Hit] = field(default_factory=list[Hit])
    released: threading.Event = field(default_factory=threading.Event)
    held: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def sent_bytes(self) -> int:
        """Body bytes sent since the last :meth:`forget`."""
        return sum(hit.sent_bytes for hit in self.hits)

    def paths(self, pattern: str) -> list[str]:
        """The requested paths that match, in order."""
        return [hit.path for hit in self.hits if re.search(pattern, hit.path)]

    def forget(self) -> None:
        """Forget what was asked, and fail no more."""
        self.hits.clear()
        self.faults.clear()

    def fault_for(self, path: str) -> Kind | None:
        """The first fault that applies."""
        with self._lock:
            return next((fault.kind for fault in self.faults if fault.applies(path)), None)

    def note(self, path: str, sent_bytes: int) -> None:
        """Write down one request."""
        with self._lock:
            self.hits.append(Hit(path, sent_bytes))


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, server: FlakyServer, *args: object) -> None:
        self.flaky = server
        super().__init__(*args)  # type: ignore[arg-type]  # whatever socketserver passes

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Silence: a test asks for the hits."""

    def do_GET(self) -> None:
        sent_bytes = 0
        try:
            sent_bytes = self._answer(self.flaky.root / self.path.split("?")[0].lstrip("/"))
        except ConnectionError:
            self.close_connection = True
        finally:
            self.flaky.note(self.path, sent_bytes)

    def _answer(self, file: Path) -> int:
        fault = self.flaky.fault_for(self.path)
        if fault is Kind.MISSING or not file.is_file():
            return self._refuse(404)
        body = file.read_bytes()
        middle = len(body) // 2
        match fault:
            case None:
                return self._send(body, body)
            case Kind.UNAVAILABLE:
                return self._refuse(503)
            case Kind.ROT:
                return self._send(body, body[:middle] + bytes([body[middle] ^ 0xFF]) + body[middle + 1 :])
            case Kind.CUT:
                self.close_connection = True
                return self._send(body, body[:middle])
            case Kind.HANG:
                self._hold()
                return 0
            case Kind.HOLD:
                sent_bytes = self._send(body, body[:middle])
                self._hold()
                return sent_bytes
            case _:
                assert_never(fault)

    def _hold(self) -> None:
        self.close_connection = True
        self.flaky.held.set()
        self.flaky.released.wait()

    def _refuse(self, status: int) -> int:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()
        return 0

    def _send(self, announced: bytes, body: bytes) -> int:
        self.send_response(200)
        self.send_header("Content-Length", str(len(announced)))
        self.end_headers()
        for start in range(0, len(body), CHUNK_BYTES):
            self.wfile.write(body[start : start + CHUNK_BYTES])
        self.wfile.flush()
        return len(body)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed in the middle is what the tests are about."""


@contextmanager
def serve(root: Path, port: int = 0) -> Generator[FlakyServer]:
    """Serve ``root`` on the loopback until the context ends; a free port unless one is named."""
    flaky = FlakyServer(root)
    server = _Server(("127.0.0.1", port), partial(_Handler, flaky))
    flaky.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.05), daemon=True)
    thread.start()
    try:
        yield flaky
    finally:
        flaky.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
