"""What the world outside of the machines is, to them: an HTTP server on the lab's loopback that can be made to fail.

It serves folders and files (a repository, an update graph), documents that a test writes, and keeps account of every
request.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any

from tests.e2e.lab.faults import Cut, Fault, FaultPlan, Garble, Hang, Unavailable
from tests.e2e.lab.lab import Lab
from tests.e2e.lab.traffic import Request, Throttle, Traffic

LOOPBACK = "127.0.0.1"
IDLE_CONNECTION_SECS = 60.0


class _HttpServer(ThreadingHTTPServer):
    """The standard server with the doors to its own connections, so that stopping it hangs up on everybody."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int, site: Server) -> None:
        self.site = site
        self.connections: set[socket.socket] = set()
        super().__init__((LOOPBACK, port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is an everyday matter here."""

    def hang_up(self) -> None:
        """End all connections."""
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_CONNECTION_SECS

    @property
    def _site(self) -> Server:
        assert isinstance(self.server, _HttpServer)
        return self.server.site

    def do_GET(self) -> None:
        site = self._site
        fault = site.faults.take(self.path)
        match fault:
            case Unavailable(status=status):
                self._answer(status, b"made to fail\n")
            case Hang():
                site.faults.wait_until_cleared()
                self.close_connection = True
            case Cut() | Garble() | None:
                body = site.find(self.path)
                self._answer(HTTPStatus.NOT_FOUND, b"") if body is None else self._answer(HTTPStatus.OK, body, fault)

    do_HEAD = do_GET  # noqa: N815 (the name is http.server's)

    def _answer(self, status: int, body: bytes, fault: Cut | Garble | None = None) -> None:
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        sent = 0 if self.command == "HEAD" else self._send(fault.spoil(body) if fault else body)
        if sent < len(body):
            self.close_connection = True
        self._site.traffic.add(Request(self.command, self.path, status, sent))

    def _send(self, body: bytes) -> int:
        for piece in self._site.throttle.pieces(body):
            self.wfile.write(piece)
        return len(body)


class Server:
    """A server with a fixed address that can be stopped and started again, as seen by every machine of the lab.

    Without a ``port`` it takes one that is free.
    """

    def __init__(self, lab: Lab, port: int = 0) -> None:
        self.traffic = Traffic()
        self.faults = FaultPlan()
        self.throttle = Throttle()
        self._lab = lab
        self._folders: dict[str, Path] = {}
        self._documents: dict[str, bytes] = {}
        self._http: _HttpServer | None = None
        self._port = port

    @property
    def url(self) -> str:
        """Its address, without a slash at the end; the same after a restart."""
        return f"http://{LOOPBACK}:{self._port}"

    def start(self) -> None:
        """Listen. Its socket is made on the lab's network; its threads need not be there."""
        http = self._lab.on_network(lambda: _HttpServer(self._port, self))
        self._http, self._port = http, http.server_port
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        """Refuse connections from now on, and end those that are open."""
        if self._http is not None:
            self.faults.clear()
            self._http.shutdown()
            self._http.hang_up()
            self._http.server_close()
            self._http = None

    def mount(self, prefix: str, folder: Path) -> None:
        """Serve the files of ``folder`` below ``prefix``, as they are at each request; or one file at ``prefix``."""
        self._folders[prefix] = folder

    def put(self, path: str, content: str | bytes) -> None:
        """Serve ``content`` at ``path``."""
        self._documents[path] = content if isinstance(content, bytes) else content.encode()

    def break_with(self, fault: Fault) -> None:
        """Let coming requests fail; see :mod:`tests.e2e.lab.faults`."""
        self.faults.add(fault)

    def find(self, request_path: str) -> bytes | None:
        """What is at a path, or None."""
        path = request_path.partition("?")[0]
        if path in self._documents:
            return self._documents[path]
        return next((found for found in map(self._read, self._candidates(path)) if found is not None), None)

    def _candidates(self, path: str) -> Iterator[Path]:
        for prefix, folder in self._folders.items():
            with suppress(ValueError):
                below = PurePosixPath(path).relative_to(prefix)
                if ".." not in below.parts:
                    yield folder / below

    @staticmethod
    def _read(file: Path) -> bytes | None:
        return file.read_bytes() if file.is_file() else None


@contextmanager
def serve(lab: Lab, port: int = 0) -> Generator[Server]:
    """A running server with nothing on it yet, stopped at the end."""
    server = Server(lab, port)
    server.start()
    try:
        yield server
    finally:
        server.stop()
