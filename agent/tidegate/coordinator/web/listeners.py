"""What is served where.

Three doors: the locks for clients; the operators' socket for people on this host; and, where one is configured, a
listener for operators and monitoring. Without the last, operators and monitoring come to the locks' door.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence
from pathlib import Path

from tidegate.clock import Clock
from tidegate.coordinator.addresses import Address
from tidegate.coordinator.service import Locks
from tidegate.coordinator.settings import Coordinator
from tidegate.coordinator.web.admin import Admin
from tidegate.coordinator.web.app import App
from tidegate.coordinator.web.auth import OperatorAuth, Token, read_tokens
from tidegate.coordinator.web.http import HEALTHZ, FleetLock, Health
from tidegate.coordinator.web.listening import ServerTls, bound, open_socket
from tidegate.coordinator.web.metrics import Metrics
from tidegate.coordinator.web.operator_socket import default_path, open_operator_socket
from tidegate.coordinator.web.server import Listener
from tidegate.errors import TidegateError

_log = logging.getLogger(__name__)


class Listeners:
    """The listeners, open from the moment that this is made."""

    def __init__(self, own: Coordinator, locks: Locks, clock: Clock) -> None:
        """Open them.

        Raises:
            TidegateError: an address is taken, or a certificate or token file cannot be used.
        """
        metrics = Metrics(locks, clock)
        self._operator_auth = OperatorAuth(_tokens(own), own.admin.certificate_names)
        clients = FleetLock(locks, metrics, clock).routes()
        health = Health(locks, metrics).routes()
        operators = {**health, **Admin(locks, self._operator_auth, clock).routes()}
        self._tls: list[ServerTls] = []
        self.places: list[str] = []
        self.listeners: list[Listener] = []
        self._here: Path | None = None
        if own.admin.listen is None:
            self._open(
                own, own.listen, "locks, operators and metrics", App({**clients, **operators}), clients_must=True
            )
        else:
            self._open(own, own.listen, "locks", App({**clients, HEALTHZ: health[HEALTHZ]}), clients_must=True)
            self._open(own, own.admin.listen, "operators and metrics", App(operators), clients_must=False)
        self._open_here(own, App(operators))

    def reload(self, own: Coordinator) -> None:
        """Take certificates, tokens and names from the new settings; those that cannot be used change nothing."""
        try:
            tokens = _tokens(own)
            for tls in self._tls:
                tls.load(own.tls)
        except TidegateError as error:
            _log.error("the last good certificates and tokens stay in force: %s", error)
            return
        self._operator_auth.allow(tokens, own.admin.certificate_names)

    def close(self) -> None:
        """Remove the operators' socket, which would stay behind; the listeners close when their server stops."""
        if self._here is not None:
            self._here.unlink(missing_ok=True)

    def _open(self, own: Coordinator, address: Address, what: str, app: App, *, clients_must: bool) -> None:
        tls = ServerTls(own.tls, clients_must=clients_must) if own.tls.certificate is not None else None
        self._tls += [] if tls is None else [tls]
        door = open_socket(address)
        self.listeners.append(Listener(door, app, tls))
        self.places.append(f"serving {what} at {'http' if tls is None else 'https'}://{bound(door)}")

    def _open_here(self, own: Coordinator, app: App) -> None:
        """Operators on this host; a coordinator without them still serves locks."""
        path = Path(own.admin.socket) if own.admin.socket is not None else default_path()
        try:
            door: socket.socket = open_operator_socket(path)
        except TidegateError as error:
            _log.warning("%s", error)
            return
        self._here = path
        self.listeners.append(Listener(door, app))
        self.places.append(f"serving operators on this host at unix:{path}")


def _tokens(own: Coordinator) -> Sequence[Token]:
    return () if own.admin.token_file is None else read_tokens(Path(own.admin.token_file))
