"""Run uvicorn with our sockets, signal handling and limits, and without its logging."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp

from tidegate.coordinator.web.connections import OpenConnections, limited_protocol
from tidegate.coordinator.web.sockets import BACKLOG, ServerTls

KEEP_ALIVE_SECS = 30
"""Clients ask every few minutes, or every few seconds while they wait for a slot; the latter keep their connection."""

GRACE_SECS = 10
"""For requests in progress when the server stops; longer than the deadline of the store."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A bound socket, the application that is served there, and its TLS (None: plain HTTP).

    ``for_operators``: no client's requests are served there.
    """

    socket: socket.socket
    app: ASGIApp
    tls: ServerTls | None = None
    for_operators: bool = False


class Servers:
    """One uvicorn server for each listener, started and stopped together.

    ``max_connections`` may be open at all of them together.
    """

    def __init__(self, listeners: Sequence[Listener], max_connections: int) -> None:
        self._listeners = listeners
        connections = OpenConnections(max_connections)
        self._servers = [_Server(_config(one, connections)) for one in listeners]

    async def run(self) -> None:
        """Serve until :meth:`stop`; requests in progress are answered first."""
        pairs = zip(self._servers, self._listeners, strict=True)
        await asyncio.gather(*(server.serve(sockets=[one.socket]) for server, one in pairs))

    def stop(self) -> None:
        """Accept no more connections; on a second call, do not wait for the open ones either."""
        for server in self._servers:
            server.force_exit = server.should_exit
            server.should_exit = True


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals to the process: uvicorn would handle them for each server, and raise them again at the end."""
        yield


def _config(listener: Listener, connections: OpenConnections) -> uvicorn.Config:
    config = uvicorn.Config(
        listener.app,
        http=limited_protocol(connections, for_operators=listener.for_operators),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECS,
        timeout_graceful_shutdown=GRACE_SECS,
    )
    config.load()
    config.ssl = listener.tls.context if listener.tls is not None else None  # replaces the context that load() made
    return config
