"""A web server on loopback that behaves as badly as it is told, down to the bytes."""

from __future__ import annotations

import gzip
import re
import socket
import ssl
import struct
import threading
import zlib
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

DRIP_PERIOD_SECS = 0.02
_TLS_HANDSHAKE = 0x16  # the first byte of a client that wants TLS from a server without
_BOMB_STEP_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Caller:
    """One connection, its request read. ``stopped`` is set when the test is over."""

    socket: socket.socket
    stopped: threading.Event

    def send(self, data: bytes) -> None:
        """Send all of ``data``."""
        self.socket.sendall(data)


Behaviour = Callable[[Caller], None]


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: its address, and the heads and bodies of the requests that it got."""

    host: str
    requests: list[str] = field(default_factory=list[str])
    bodies: list[bytes] = field(default_factory=list[bytes])

    def url(self, path: str = "/graph.json", scheme: str = "http", userinfo: str = "") -> str:
        """An address on this server."""
        return f"{scheme}://{userinfo}{self.host}{path}"


@contextmanager
def serving(behaviour: Behaviour, tls: ssl.SSLContext | None = None) -> Generator[Server, None, None]:
    """A server that does ``behaviour`` to every caller, each in a thread of its own."""
    stopped = threading.Event()
    callers: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(f"127.0.0.1:{listener.getsockname()[1]}")

        def handle(connection: socket.socket) -> None:
            with connection, suppress(OSError):  # the client hangs up when it has seen enough
                talk = connection if tls is None else tls.wrap_socket(connection, server_side=True)
                with talk:
                    head, body = _read_request(talk)
                    server.requests.append(head)
                    server.bodies.append(body)
                    behaviour(Caller(talk, stopped))

        def accept() -> None:
            with suppress(OSError):  # the listener was shut down
                while True:
                    thread = threading.Thread(target=handle, args=(listener.accept()[0],))
                    callers.append(thread)
                    thread.start()

        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield server
        finally:
            stopped.set()
            listener.shutdown(socket.SHUT_RDWR)
            for thread in (acceptor, *callers):
                thread.join()


@contextmanager
def deaf() -> Generator[Server, None, None]:
    """A host that drops what is sent to it: its queue is full, and the kernel answers no further connection."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, socket.socket() as first:
        first.connect(listener.getsockname())
        yield Server(f"127.0.0.1:{listener.getsockname()[1]}")


def _read_request(connection: socket.socket) -> tuple[str, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        received = connection.recv(65536)
        if not received or received[0] == _TLS_HANDSHAKE:
            break
        data += received
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)^content-length: *(\d+)", head, re.MULTILINE)
    while length and len(body) < int(length[1]) and (received := connection.recv(65536)):
        body += received
    return f"{head.decode('latin-1')}\r\n", body


def answers(body: bytes, status: str = "200 OK", headers: Mapping[str, str] | None = None) -> Behaviour:
    """A proper answer."""

    def behave(caller: Caller) -> None:
        caller.send(_head(status, {"Content-Length": str(len(body)), **(headers or {})}) + body)

    return behave


def zipped(body: bytes) -> Behaviour:
    """A proper answer, compressed."""
    return answers(gzip.compress(body), headers={"Content-Encoding": "gzip"})


def bomb(unpacked_bytes: int) -> Behaviour:
    """A small answer that unpacks to ``unpacked_bytes`` spaces."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    steps = [packer.compress(b" " * _BOMB_STEP_BYTES) for _ in range(unpacked_bytes // _BOMB_STEP_BYTES)]
    return answers(b"".join(steps) + packer.flush(), headers={"Content-Encoding": "gzip"})


def raw(data: bytes) -> Behaviour:
    """These bytes, then the end."""
    return lambda caller: caller.send(data)


def cut_short(body: bytes) -> Behaviour:
    """``body``, but more was promised."""
    return raw(_head("200 OK", {"Content-Length": str(len(body) + 1000)}) + body)


def resets(after: bytes = b"") -> Behaviour:
    """Send ``after``, then reset the connection."""

    def behave(caller: Caller) -> None:
        caller.send(after)
        caller.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return behave


def silent(caller: Caller) -> None:
    """Take the request and never say anything."""
    caller.stopped.wait()


def drips(before: bytes) -> Behaviour:
    """``before``, then a byte now and then for ever: no single wait is ever long."""

    def behave(caller: Caller) -> None:
        caller.send(before)
        while not caller.stopped.wait(DRIP_PERIOD_SECS):
            caller.send(b"a")

    return behave


def endless(caller: Caller) -> None:
    """A body without an end, as fast as it is taken."""
    caller.send(_head("200 OK", {"Transfer-Encoding": "chunked"}))
    while not caller.stopped.is_set():
        caller.send(b"10000\r\n" + b" " * 0x10000 + b"\r\n")


def _head(status: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")
