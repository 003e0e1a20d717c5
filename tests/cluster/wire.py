"""A cheap HTTP/1.1 client: one persistent connection, one request at a time.

Load is made with it, so that what is measured is the server. It knows only what the servers here send.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import cast

HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length:"
CHUNKED = b"transfer-encoding: chunked"
LAST_CHUNK = b"\r\n0\r\n\r\n"


class BrokenError(Exception):
    """No whole reply came: refused, reset, out of time. Whether the server has acted is unknown, unless ``unsent``."""

    def __init__(self, why: str, *, unsent: bool = False) -> None:
        super().__init__(why)
        self.unsent = unsent


@dataclass(frozen=True, slots=True)
class Reply:
    """A status and a body."""

    status: int
    body: bytes


class Connection:
    """To one server. It connects when it is first used, and again after it broke."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._wire: _Wire | None = None

    async def post(self, path: str, body: bytes, headers: bytes = b"", *, deadline_secs: float) -> Reply:
        """Ask, and wait for the whole reply.

        Raises:
            BrokenError: there is none within the deadline. The connection is closed then.
        """
        return await self.exchange(self.request(path, body, headers), deadline_secs=deadline_secs)

    def request(self, path: str, body: bytes, headers: bytes = b"") -> bytes:
        """A request as bytes; to be made once where it is sent often. ``headers``: whole lines."""
        head = b"POST %s HTTP/1.1\r\nhost: %s:%d\r\ncontent-length: %d\r\n%s\r\n"
        return head % (path.encode(), self.host.encode(), self.port, len(body), headers) + body

    async def exchange(self, request: bytes, *, deadline_secs: float) -> Reply:
        """The same with a request as bytes."""
        sent = False
        try:
            async with asyncio.timeout(deadline_secs):
                wire = await self._connected()
                sent = True
                return await wire.exchange(request)
        except (TimeoutError, OSError) as error:
            self.close()
            raise BrokenError(f"{type(error).__name__}: {error}", unsent=not sent) from None

    def close(self) -> None:
        """Hang up, at once: what is under way is lost."""
        if self._wire is not None:
            self._wire.abort()
            self._wire = None

    async def _connected(self) -> _Wire:
        if self._wire is None or self._wire.closed:
            loop = asyncio.get_running_loop()
            _, self._wire = await loop.create_connection(_Wire, self.host, self.port)
        return self._wire


class _Wire(asyncio.Protocol):
    def __init__(self) -> None:
        self.closed = False
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Reply] | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    async def exchange(self, request: bytes) -> Reply:
        if self._transport is None or self.closed:
            raise ConnectionResetError("closed between two requests")
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiter

    def data_received(self, data: bytes) -> None:
        self._received += data
        reply = _whole(self._received)
        if reply is not None and self._waiter is not None and not self._waiter.done():
            self._received = b""
            self._waiter.set_result(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(ConnectionResetError(str(exc or "the server hung up")))

    def abort(self) -> None:
        self.closed = True
        if self._transport is not None:
            self._transport.abort()


def _whole(received: bytes) -> Reply | None:
    """The reply, once all of it is there."""
    end = received.find(HEAD_END)
    if end < 0:
        return None
    head, body = received[:end].lower(), received[end + len(HEAD_END) :]
    status = int(head[9:12])
    if CHUNKED in head:
        return Reply(status, _joined(body)) if body.endswith(LAST_CHUNK) else None
    at = head.find(LENGTH)
    length = 0 if at < 0 else int(head[at + len(LENGTH) :].split(b"\r\n", 1)[0])
    return Reply(status, body) if len(body) >= length else None


def _joined(chunks: bytes) -> bytes:
    """What etcd sends when it is more than 2 KiB."""
    body, at = b"", 0
    while size := int(chunks[at : (end := chunks.index(b"\r\n", at))], 16):
        body += chunks[end + 2 : end + 2 + size]
        at = end + 2 + size + 2
    return body
