"""Persistent HTTP/1.1 connections to one member of etcd, for POST only.

Every lock and unlock waits for an exchange of a few hundred bytes, one at a time for each group. httpx 0.28 takes 2 ms
of CPU for it and this 0.3 ms, which is most of a lone client's latency.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

import h11

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""The documents of the 40,000 holders that fit into a group have 25 MiB."""

_PIECE_BYTES = 256 * 1024
_CLOSE_SECS = 1.0


class EtcdConnectionError(Exception):
    """There is no answer; the text says why. The request may have been carried out."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A response, whatever its status."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A member's client address; ``tls`` is None for plain HTTP."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"


class EtcdConnection:
    """The connections to one member. After an error all of them are closed, the idle ones too."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._idle: list[_Connection] = []

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> HttpAnswer:
        """Send ``body`` and wait for the answer, without a deadline of its own.

        Raises:
            EtcdConnectionError: there is no answer, or it is not HTTP.
        """
        try:
            connection = self._idle_connection() or await _Connection.open(self.endpoint)
            answer = await connection.exchange(str(self.endpoint), path, body, headers)
        except (OSError, h11.ProtocolError, EOFError) as error:
            await self.aclose()
            raise EtcdConnectionError(_why(error)) from error
        if connection.is_open:
            self._idle.append(connection)
        return answer

    async def aclose(self) -> None:
        """Close the idle connections."""
        idle, self._idle = self._idle, []
        for connection in idle:
            await connection.aclose()

    def _idle_connection(self) -> _Connection | None:
        """An idle connection that the member has not closed, as far as is known; None without one."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
            connection.abort()
        return None


class _Connection:
    """One connection, for one exchange at a time. If an exchange is interrupted, the connection is closed."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._http = h11.Connection(h11.CLIENT)

    @classmethod
    async def open(cls, endpoint: Endpoint) -> _Connection:
        """Connect to a member."""
        return cls(*await asyncio.open_connection(endpoint.host, endpoint.port, ssl=endpoint.tls))

    @property
    def is_open(self) -> bool:
        """Whether another exchange can be started."""
        return self._http.our_state is h11.IDLE and not self._reader.at_eof()

    async def exchange(self, origin: str, path: str, body: bytes, headers: Mapping[str, str]) -> HttpAnswer:
        """Send a request and read its response."""
        try:
            self._writer.write(self._request(origin, path, body, headers))
            await self._writer.drain()
            answer = await self._answer()
        except BaseException:  # cancelled, too: the late answer would be taken for that to the next request
            self.abort()
            raise
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        else:
            self.abort()
        return answer

    async def aclose(self) -> None:
        """Close the connection while it is idle."""
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_CLOSE_SECS):
                await self._writer.wait_closed()

    def abort(self) -> None:
        """Close the connection without waiting for buffered data."""
        self._writer.transport.abort()

    def _request(self, origin: str, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        fields = {"host": origin.partition("//")[2], "content-length": str(len(body)), **headers}
        events = (
            h11.Request(method="POST", target=path, headers=[*fields.items()]),
            h11.Data(body),
            h11.EndOfMessage(),
        )
        return b"".join(self._http.send(event) or b"" for event in events)

    async def _answer(self) -> HttpAnswer:
        status, body = 0, bytearray()
        while True:
            match event := self._http.next_event():
                case h11.Response(status_code=status_code):
                    status = status_code
                case h11.Data(data=data):
                    body += data
                    if len(body) > MAX_ANSWER_BYTES:
                        raise EOFError(f"an answer of more than {MAX_ANSWER_BYTES} bytes")
                case h11.EndOfMessage():
                    return HttpAnswer(status, bytes(body))
                case h11.ConnectionClosed():
                    raise EOFError("the connection was closed")
                case _ if event is h11.NEED_DATA:
                    self._http.receive_data(await self._reader.read(_PIECE_BYTES))
                case _:  # informational, such as 100 Continue
                    pass


def _why(error: Exception) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not accepted: {error.verify_message}"
        case ssl.SSLError():
            return f"TLS failed: {error.reason or error}"
        case OSError(strerror=str(text)):
            return text
        case _:
            return str(error) or type(error).__name__
