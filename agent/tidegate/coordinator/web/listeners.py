"""The coordinator's listeners, and which routes each of them serves.

======================  ==================================================  ========================================
listener                serves                                              access
======================  ==================================================  ========================================
``coordinator.listen``  locks and ``/healthz``; without ``admin.listen``    clients; with a client CA only those
                        also what the next one serves                       with a certificate
``admin.listen``        operators' API, health, metrics, OpenAPI document   operators by token or client certificate
``admin.socket``        the same, on a Unix socket                          root and the coordinator's own user
======================  ==================================================  ========================================
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
from tidegate.coordinator.web.metrics import Metrics
from tidegate.coordinator.web.operator_socket import default_path, open_operator_socket
from tidegate.coordinator.web.server import Listener
from tidegate.coordinator.web.sockets import ServerTls, bound_address, open_socket
from tidegate.errors import TidegateError

_log = logging.getLogger(__name__)


class Listeners:
    """The open listeners. ``descriptions`` are lines for the log."""

    def __init__(self, own: Coordinator, locks: Locks, clock: Clock) -> None:
        """Open the listeners.

        Raises:
            TidegateError: an address is in use, or a certificate or token file cannot be used.
        """
        metrics = Metrics(locks, clock)
        self._operator_auth = OperatorAuth(_tokens(own), own.admin.certificate_names)
        clients = FleetLock(locks, metrics, clock).routes()
        health = Health(locks, metrics).routes()
        operators = {**health, **Admin(locks, self._operator_auth, clock).routes()}
        self._tls: list[ServerTls] = []
        self.descriptions: list[str] = []
        self.listeners: list[Listener] = []
        self._socket_path: Path | None = None
        if own.admin.listen is None:
            self._open(
                own, own.listen, "locks, operators and metrics", App({**clients, **operators}), require_certificate=True
            )
        else:
            self._open(own, own.listen, "locks", App({**clients, HEALTHZ: health[HEALTHZ]}), require_certificate=True)
            self._open(own, own.admin.listen, "operators and metrics", App(operators), require_certificate=False)
        self._open_operator_socket(own, App(operators))

    def reload(self, own: Coordinator) -> None:
        """Apply new certificates, tokens and operators' names; if a file cannot be used, log it and change nothing."""
        try:
            tokens = _tokens(own)
            for tls in self._tls:
                tls.load(own.tls)
        except TidegateError as error:
            _log.error("the last good certificates and tokens stay in force: %s", error)
            return
        self._operator_auth.allow(tokens, own.admin.certificate_names)

    def close(self) -> None:
        """Remove the operators' socket from the file system. The server closes the listeners themselves."""
        if self._socket_path is not None:
            self._socket_path.unlink(missing_ok=True)

    def _open(self, own: Coordinator, address: Address, what: str, app: App, *, require_certificate: bool) -> None:
        tls = None
        if own.tls.certificate is not None:
            tls = ServerTls(own.tls, require_certificate=require_certificate)
            self._tls.append(tls)
        listener = open_socket(address)
        self.listeners.append(Listener(listener, app, tls, for_operators=not require_certificate))
        scheme = "http" if tls is None else "https"
        self.descriptions.append(f"serving {what} at {scheme}://{bound_address(listener)}")

    def _open_operator_socket(self, own: Coordinator, app: App) -> None:
        """Open the Unix socket; a failure is only logged, since locks can be served without it."""
        path = Path(own.admin.socket) if own.admin.socket is not None else default_path()
        try:
            listener: socket.socket = open_operator_socket(path)
        except TidegateError as error:
            _log.warning("%s", error)
            return
        self._socket_path = path
        self.listeners.append(Listener(listener, app, for_operators=True))
        self.descriptions.append(f"serving operators on this host at unix:{path}")


def _tokens(own: Coordinator) -> Sequence[Token]:
    return () if own.admin.token_file is None else read_tokens(Path(own.admin.token_file))
