"""FleetLock servers of other projects, over HTTP, as far as clients notice: what they check, answer and get wrong."""

from __future__ import annotations

import json
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, cast

CONFLICT_WINDOW_SECS = 0.02
"""How long airlock takes from reading its key to writing it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A status and a body."""

    status: int
    body: bytes = b""


def error(status: int, kind: str, value: str) -> Reply:
    return Reply(status, json.dumps({"kind": kind, "value": value}).encode() + b"\n")


@dataclass
class StockServer(ABC):
    """What all have in common. ``heard`` are the paths and bodies of all requests.

    ``late_secs``: the next so many lock requests are not answered, and carried out as late as that.
    """

    slots: int = 1
    holders: set[str] = field(default_factory=set[str])
    heard: list[tuple[str, bytes]] = field(default_factory=list[tuple[str, bytes]])
    guard: threading.Lock = field(default_factory=threading.Lock)
    late_secs: list[float] = field(default_factory=list[float])
    header_is_exact: ClassVar[bool] = True
    bad_request: ClassVar[str] = "decode_error"
    no_header: ClassVar[str] = "missing_header"

    def reply(self, path: str, header: str | None, body: bytes) -> Reply | None:
        """Answer a POST; None: hang up."""
        self.heard.append((path, body))
        said = header if self.header_is_exact or header is None else header.lower()
        if path not in {"/v1/pre-reboot", "/v1/steady-state"}:
            return Reply(404, b"404 page not found\n")
        if said != "true":
            return error(400, self.no_header, "the header is missing")
        try:
            host = json.loads(body)["client_params"]["id"]
        except (ValueError, TypeError, KeyError):
            return error(400, self.bad_request, "no such request")
        if path == "/v1/pre-reboot" and self.late_secs:
            threading.Timer(self.late_secs.pop(0), self.lock, (host,)).start()
            return None
        return self.lock(host) if path == "/v1/pre-reboot" else self.unlock(host)

    @abstractmethod
    def lock(self, host: str) -> Reply:
        """Answer a pre-reboot of ``host``."""

    @abstractmethod
    def unlock(self, host: str) -> Reply:
        """Answer a steady-state of ``host``."""


@dataclass
class Airlock(StockServer):
    """airlock a3585ed: an empty body is a yes, 500 a no; a write amid another one gets a conflict."""

    version: int = 0
    conflicts: int = 0
    bad_request: ClassVar[str] = "invalid_client_identity"
    no_header: ClassVar[str] = "invalid_client_identity"

    def lock(self, host: str) -> Reply:
        with self.guard:
            version, held = self.version, self.holders | {host}
        if len(held) > self.slots:
            return error(500, "failed_lock", f"all {self.slots} semaphore slots currently locked")
        return self._swap(version, held)

    def unlock(self, host: str) -> Reply:
        with self.guard:
            version, held = self.version, self.holders - {host}
        return self._swap(version, held)  # also of a host that holds nothing

    def _swap(self, version: int, held: set[str]) -> Reply:
        time.sleep(CONFLICT_WINDOW_SECS)
        with self.guard:
            if self.version != version:
                self.conflicts += 1
                return error(500, "failed_lock", "conflict on semaphore detected, aborting")
            self.version, self.holders = version + 1, held
        return Reply(200)


@dataclass
class Poseidon(StockServer):
    """poseidon/fleetlock c42d494: one slot; it frees the slot of an id only if it finds a node for it (``nodes``)."""

    nodes: set[str] = field(default_factory=set[str])

    def lock(self, host: str) -> Reply:
        with self.guard:
            if host in self.holders:
                return Reply(200, b"retained reboot lease")
            if self.holders:
                return error(423, "lock_held", f"reboot lease unavailable, held by {min(self.holders)}")
            self.holders.add(host)
        return Reply(200, b"obtained reboot lease")

    def unlock(self, host: str) -> Reply:
        with self.guard:
            if self.holders - {host}:
                return error(423, "lock_held", f"reboot lease unavailable, held by {min(self.holders)}")
            if host not in self.nodes:
                return error(500, "internal_error", "error uncordoning node")
            self.holders.discard(host)
        return Reply(200, b"steady-state confirmed")


@dataclass
class Heathcliff(StockServer):
    """heathcliff26/fleetlock 1.x: an object of success, and 423 for a full group."""

    header_is_exact: ClassVar[bool] = False

    def lock(self, host: str) -> Reply:
        with self.guard:
            if host not in self.holders and len(self.holders) >= self.slots:
                return error(423, "all_slots_full", "Could not reserve a slot as all slots in the group are locked")
            self.holders.add(host)
        return error(200, "success", "The operation was succesfull")

    def unlock(self, host: str) -> Reply:
        with self.guard:
            self.holders.discard(host)
        return error(200, "success", "The operation was succesfull")


class _Http(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def __init__(self, stock: StockServer) -> None:
        self.stock = stock
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        reply = cast(_Http, self.server).stock.reply(self.path, self.headers.get("fleet-lock-protocol"), body)
        if reply is None:
            self.close_connection = True
            return
        self.send_response_only(reply.status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name
        """Print nothing."""


@contextmanager
def stock(server: StockServer) -> Generator[str, None, None]:
    """Serve it; its address."""
    http = _Http(server)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_port}/"
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
