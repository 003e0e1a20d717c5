"""Limits on connections that uvicorn has not: how many, and how long and how large a request's head may be.

Of uvicorn 0.54, the time between two requests is bounded and the time within the head of one is not; httptools does not
bound the head's size. What uvicorn says itself to broken requests is plain text, where this protocol has JSON.
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
"""From the connection, or from the first byte of a request on a kept one, to the end of its head."""

MAX_HEAD_BYTES = 16 * 1024
"""A client sends a few hundred bytes; each connection may make the server keep so many."""

MAX_DRAINED_BYTES = 8 * 1024 * 1024
"""Of a body that was refused already. A client that is still sending would never see the answer if the connection were
cut off, so some is read and dropped."""

Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class _Cycle(Protocol):
    """A request that uvicorn is serving."""

    response_complete: bool
    more_body: bool


class _Inner(Protocol):
    """What this uses of uvicorn's protocol classes, both of which have it."""

    app: Application
    cycle: _Cycle | None
    send_400_response: Callable[[str], None]

    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...
    def connection_lost(self, exc: Exception | None) -> None: ...
    def data_received(self, data: bytes) -> None: ...
    def eof_received(self) -> bool | None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...


def guarded(max_connections: int) -> type[asyncio.Protocol]:
    """What to pass to uvicorn as ``http``."""
    return cast(type[asyncio.Protocol], partial(GuardedProtocol, max_connections))  # it only calls it


class GuardedProtocol(asyncio.Protocol):
    """A connection: uvicorn's own protocol, behind limits."""

    def __init__(
        self,
        max_connections: int,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        make = cast(Callable[..., _Inner], AutoHTTPProtocol)
        self._inner = make(config=config, server_state=server_state, app_state=app_state, _loop=_loop)
        self._inner.send_400_response = lambda _: self._refuse(400, "this is not HTTP")
        self._connections = server_state.connections
        self._max_connections = max_connections
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._pending_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let it in, unless there are too many."""
        self._transport = cast(asyncio.Transport, transport)
        self._inner.app = _with_state(self._inner.app, _who(transport))
        self._inner.connection_made(transport)
        if len(self._connections) > self._max_connections:
            self._refuse(429, f"there are {self._max_connections} connections already", DenialKind.RATE_LIMITED)
        else:
            self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Pass it on, and see whether a whole head has arrived by now."""
        if self._transport is None or self._transport.is_closing():
            return
        self._inner.data_received(data)
        cycle = self._inner.cycle
        if cycle is not None and not cycle.response_complete:
            self._pending_bytes = 0
            self._relax()
        else:
            self._count(len(data), MAX_DRAINED_BYTES if cycle is not None and cycle.more_body else MAX_HEAD_BYTES)

    def connection_lost(self, exc: Exception | None) -> None:
        """Clear up."""
        self._relax()
        self._transport = None
        self._inner.connection_lost(exc)

    def eof_received(self) -> bool | None:
        """The client sends no more."""
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        """The client reads slowly."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """The client reads again."""
        self._inner.resume_writing()

    def _count(self, received_bytes: int, max_bytes: int) -> None:
        """Outside of a request: the head of the next one, or the rest of a refused one."""
        self._pending_bytes += received_bytes
        if self._pending_bytes > max_bytes:
            self._refuse(431, f"the head of a request has more than {MAX_HEAD_BYTES} bytes")
        elif self._deadline is None:
            self._expect_head()

    def _expect_head(self) -> None:
        self._deadline = asyncio.get_running_loop().call_later(HEAD_SECS, self._too_slow)

    def _relax(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        self._refuse(408, f"the head of a request was not there within {HEAD_SECS:.0f} s")

    def _refuse(self, status: int, why: str, kind: DenialKind = DenialKind.INVALID_REQUEST) -> None:
        """Say so and hang up."""
        if self._transport is not None and not self._transport.is_closing():
            self._relax()
            self._transport.write(_refusal(status, why, kind))
            self._transport.close()


def _refusal(status: int, why: str, kind: DenialKind) -> bytes:
    body = json.dumps({"kind": kind.value, "value": why}).encode()
    head = (
        f"HTTP/1.1 {status} \r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        f"{EXTENSIONS_HEADER_NAME}: {EXTENSION}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body


def _who(transport: asyncio.BaseTransport) -> dict[str, object]:
    """What is known of the other end by the connection itself."""
    own: socket.socket | None = transport.get_extra_info("socket")
    if own is not None and own.family == socket.AF_UNIX:
        return {LOCAL_UID: peer_uid(own)}
    certificate = transport.get_extra_info("peercert")
    return {CERTIFICATE_NAMES: names_in(certificate)} if certificate else {}


def _with_state(app: Application, state: dict[str, object]) -> Application:
    if not state:
        return app

    async def stated(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] |= state
        await app(scope, receive, send)

    return stated
