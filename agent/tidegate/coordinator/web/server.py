"""uvicorn, held on a short leash: our sockets, our signals, our limits, no log of its own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp

from tidegate.coordinator.web.connections import guarded
from tidegate.coordinator.web.listening import BACKLOG, ServerTls

KEEP_ALIVE_SECS = 30
"""Clients ask every few minutes, or every few seconds while they wait for a slot; the latter keep their connection."""

GRACE_SECS = 10
"""For requests that are under way when the server stops. Its store answers sooner, or never."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket and what is served there."""

    socket: socket.socket
    app: ASGIApp
    tls: ServerTls | None = None


class Servers:
    """All listeners as one."""

    def __init__(self, listeners: Sequence[Listener], max_connections: int) -> None:
        self._listeners = listeners
        self._servers = [_Server(_config(one, max_connections)) for one in listeners]

    async def run(self) -> None:
        """Serve until :meth:`stop`; what is under way by then is answered."""
        pairs = zip(self._servers, self._listeners, strict=True)
        await asyncio.gather(*(server.serve(sockets=[one.socket]) for server, one in pairs))

    def stop(self) -> None:
        """Take no more connections; asked a second time, do not wait for those that there are."""
        for server in self._servers:
            server.force_exit = server.should_exit
            server.should_exit = True


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Signals are taken once for all listeners, and uvicorn would raise them again at the end."""
        yield


def _config(listener: Listener, max_connections: int) -> uvicorn.Config:
    config = uvicorn.Config(
        listener.app,
        http=guarded(max_connections),
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
    config.ssl = listener.tls.context if listener.tls is not None else None  # of its own it makes another one
    return config
