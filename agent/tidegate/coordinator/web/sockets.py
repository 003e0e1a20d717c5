"""Bind listening sockets and set up TLS on them."""

from __future__ import annotations

import socket
import ssl

from tidegate.coordinator.addresses import Address
from tidegate.coordinator.settings import Tls
from tidegate.errors import ErrorKind, TidegateError

BACKLOG = 2048
"""Connections that wait to be accepted: after an outage of the server a whole fleet connects at once."""


def open_socket(address: Address) -> socket.socket:
    """A bound TCP socket. Without a host it takes IPv6 and IPv4, where the kernel has both.

    Raises:
        TidegateError: ``coordinator.cannot-listen``.
    """
    try:
        own = _bind_host(address) if address.host else _bind_all(address.port)
        # Connections inherit it. asyncio sets it on sockets that name their protocol only, which those of
        # create_server() do not (3.11 to 3.13), and every answer would wait 40 ms for an acknowledgement.
        own.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        remedy = "check whether another server listens there; choose a free port and an address of this host"
        message = f"cannot listen at {address}: {error.strerror or error}"
        raise TidegateError(ErrorKind.COORDINATOR_CANNOT_LISTEN, message, remedy) from None
    return own


def bound_address(own: socket.socket) -> Address:
    """The address that a socket is bound to, with the port that the kernel chose for port 0."""
    name = own.getsockname()
    return Address(str(name[0]), int(name[1]))


class ServerTls:
    """A listener's TLS context. A reload reads the files again; new connections use them."""

    def __init__(self, tls: Tls, *, require_certificate: bool) -> None:
        """Load the files of ``tls``; with a client CA, request client certificates, or require them.

        Raises:
            TidegateError: as of :meth:`load`.
        """
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.load(tls)
        if tls.client_ca is not None:
            self.context.verify_mode = ssl.CERT_REQUIRED if require_certificate else ssl.CERT_OPTIONAL

    def load(self, tls: Tls) -> None:
        """Read the certificate, its key and the client authorities.

        Raises:
            TidegateError: ``config.invalid``: a file cannot be used; what was loaded before stays in force.
        """
        try:
            self.context.load_cert_chain(str(tls.certificate), tls.certificate_key, password=_no_password)
            if tls.client_ca is not None:
                self.context.load_verify_locations(tls.client_ca)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            files = ", ".join(file for file in (tls.certificate, tls.certificate_key, tls.client_ca) if file)
            why = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
            message = f"the certificate, key or authorities cannot be used ({files}): {why}"
            remedy = "check that they exist, belong together, and can be read by the coordinator's user"
            raise TidegateError(ErrorKind.CONFIG_INVALID, message, remedy) from None


def _bind_host(address: Address) -> socket.socket:
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, where = found[0]
    return socket.create_server((str(where[0]), address.port), family=family, backlog=BACKLOG)


def _bind_all(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        return socket.create_server(("::", port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True)
    return socket.create_server(("", port), backlog=BACKLOG)


def _no_password() -> str:
    """Refuse an encrypted key: OpenSSL would ask on the terminal, and a service would hang."""
    raise ValueError("the key is encrypted with a password; a service cannot ask for it")
