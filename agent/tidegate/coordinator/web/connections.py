"""Limit connections as uvicorn does not: their number, and the duration and size of a request's head.

uvicorn 0.54 bounds the time between two requests but not the time within the head of one, and httptools does not bound
the head's size. uvicorn answers malformed requests with plain text, where this protocol has JSON.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol, cast

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.server import ServerState

from tidegate.coordinator.model import DenialKind
from tidegate.coordinator.web.auth import CERTIFICATE_NAMES, LOCAL_UID, names_in
from tidegate.coordinator.web.operator_socket import peer_uid
from tidegate.fleetlock.protocol import EXTENSION, EXTENSIONS_HEADER_NAME

HEAD_SECS = 10.0
"""From the connection's start, or on a kept connection from the first byte of a request, to the end of its head."""

MAX_HEAD_BYTES = 16 * 1024
"""A client sends a few hundred bytes; this is the most that one connection makes the server buffer."""

RESERVED = 8
"""Connections that clients leave to operators, where more than twice as many are allowed: a client that exhausts their
share must not keep operators from looking."""

MAX_DRAINED_BYTES = 8 * 1024 * 1024
"""How much of a refused body is read and dropped: if the connection were closed at once, a client that is still sending
would get a reset instead of the answer."""

Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class _Cycle(Protocol):
    """The part of uvicorn's request state that is used here."""

    response_complete: bool
    more_body: bool


class _Inner(Protocol):
    """The part of uvicorn's protocol classes (httptools and h11) that is used here."""

    app: Application
    cycle: _Cycle | None
    send_400_response: Callable[[str], None]

    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...
    def connection_lost(self, exc: Exception | None) -> None: ...
    def data_received(self, data: bytes) -> None: ...
    def eof_received(self) -> bool | None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...


class OpenConnections:
    """The connections that are open at all listeners together, and how many may be."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._open: set[asyncio.Protocol] = set()

    def admits(self, connection: asyncio.Protocol, *, for_operators: bool) -> bool:
        """Count a connection, open or refused, until :meth:`closed`; False where it is one too many."""
        self._open.add(connection)
        reserved = 0 if for_operators or self.limit <= 2 * RESERVED else RESERVED
        return len(self._open) <= self.limit - reserved

    def closed(self, connection: asyncio.Protocol) -> None:
        """Stop counting a connection."""
        self._open.discard(connection)


def limited_protocol(connections: OpenConnections, *, for_operators: bool) -> type[asyncio.Protocol]:
    """The protocol class to pass to uvicorn as ``http``, for a listener that shares ``connections`` with others."""
    make = partial(LimitedProtocol, connections, for_operators)
    return cast(type[asyncio.Protocol], make)  # uvicorn only calls it


class LimitedProtocol(asyncio.Protocol):
    """A connection: uvicorn's own protocol, with limits in front of it."""

    def __init__(
        self,
        connections: OpenConnections,
        for_operators: bool,  # noqa: FBT001 - partial() binds it, by position as uvicorn passes the rest by name
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        make = cast(Callable[..., _Inner], AutoHTTPProtocol)
        self._inner = make(config=config, server_state=server_state, app_state=app_state, _loop=_loop)
        self._inner.send_400_response = lambda _: self._refuse(400, "this is not HTTP")
        self._connections = connections
        self._for_operators = for_operators
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._pending_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept the connection, unless there are too many."""
        self._transport = cast(asyncio.Transport, transport)
        self._inner.app = _with_state(self._inner.app, _peer(transport))
        self._inner.connection_made(transport)
        if not self._connections.admits(self, for_operators=self._for_operators):
            self._refuse(429, f"there are {self._connections.limit} connections already", DenialKind.RATE_LIMITED)
        else:
            self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Pass data on, and count it against the head's limit until the head is complete."""
        if self._transport is None or self._transport.is_closing():
            return
        self._inner.data_received(data)
        cycle = self._inner.cycle
        if cycle is not None and not cycle.response_complete:
            self._pending_bytes = 0
            self._cancel_deadline()
        else:
            self._count(len(data), MAX_DRAINED_BYTES if cycle is not None and cycle.more_body else MAX_HEAD_BYTES)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the deadline and pass it on."""
        self._cancel_deadline()
        self._connections.closed(self)
        self._transport = None
        self._inner.connection_lost(exc)

    def eof_received(self) -> bool | None:
        """Pass it on: the client sends no more."""
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        """Pass it on: the client reads slowly."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on: the client reads again."""
        self._inner.resume_writing()

    def _count(self, received_bytes: int, max_bytes: int) -> None:
        """Count data outside of a request: the head of the next one, or the rest of a refused one."""
        self._pending_bytes += received_bytes
        if self._pending_bytes > max_bytes:
            self._refuse(431, f"the head of the request has more than {MAX_HEAD_BYTES} bytes")
        elif self._deadline is None:
            self._expect_head()

    def _expect_head(self) -> None:
        self._deadline = asyncio.get_running_loop().call_later(HEAD_SECS, self._too_slow)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        self._refuse(408, f"the head of the request did not arrive within {HEAD_SECS:.0f} s")

    def _refuse(self, status: int, why: str, kind: DenialKind = DenialKind.INVALID_REQUEST) -> None:
        """Send an error object and close the connection."""
        if self._transport is not None and not self._transport.is_closing():
            self._cancel_deadline()
            self._transport.write(_refusal(status, why, kind))
            self._transport.close()


def _refusal(status: int, why: str, kind: DenialKind) -> bytes:
    body = json.dumps({"kind": kind.value, "value": why}).encode()
    head = (
        f"HTTP/1.1 {status} \r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        f"{EXTENSIONS_HEADER_NAME}: {EXTENSION}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body


def _peer(transport: asyncio.BaseTransport) -> dict[str, object]:
    """The peer's identity as the connection proves it: the user id on a Unix socket, names in a client certificate."""
    own: socket.socket | None = transport.get_extra_info("socket")
    if own is not None and own.family == socket.AF_UNIX:
        return {LOCAL_UID: peer_uid(own)}
    certificate = transport.get_extra_info("peercert")
    return {CERTIFICATE_NAMES: names_in(certificate)} if certificate else {}


def _with_state(app: Application, state: dict[str, object]) -> Application:
    if not state:
        return app

    async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] |= state
        await app(scope, receive, send)

    return with_state
