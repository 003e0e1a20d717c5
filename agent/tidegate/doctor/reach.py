"""Whether a server can be reached: connect and make a TLS handshake. No request is sent."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast
from urllib.parse import urlsplit

from tidegate.doctor.reading import in_thread
from tidegate.net.tls import TlsFiles

CONNECT_SECS = 8.0
_CLOSE_SECS = 1.0
_PORTS = {"http": 80, "https": 443}

SOON = timedelta(days=21)
"""When to warn of an expiring certificate: enough time to get a new one."""


@dataclass(frozen=True, slots=True)
class Reached:
    """The server accepted a connection. ``expires_at`` is that of its certificate, None without TLS."""

    place: str
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Unreached:
    """The server did not accept a connection; ``why`` is the error."""

    place: str
    why: str


async def reach(url: str, files: TlsFiles | None = None) -> Reached | Unreached:
    """Connect to the server of ``url`` (http or https) and disconnect. Raises nothing."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme)
    except ValueError as err:
        return Unreached("", f"not a valid address: {err}")
    if not host or port is None:
        return Unreached("", "not a valid address")
    place = f"{host}:{port}"
    try:
        context = await in_thread(_context, files or TlsFiles()) if parts.scheme == "https" else None
        async with asyncio.timeout(CONNECT_SECS):
            return Reached(place, await _connect(host, port, context))
    except TimeoutError:
        return Unreached(place, f"no connection within {CONNECT_SECS:g} s")
    except ssl.SSLCertVerificationError as err:
        return Unreached(place, f"its certificate is not trusted: {err.verify_message}")
    except OSError as err:
        return Unreached(place, err.strerror or str(err) or type(err).__name__)


def _context(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=files.ca_file)
    if files.ca_file is not None:
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # as in the net-worker: see net/http.py
    if files.client_cert_file is not None:
        context.load_cert_chain(
            files.client_cert_file, files.client_key_file, password=""
        )  # an empty one: OpenSSL would ask at a terminal
    return context


async def _connect(host: str, port: int, context: ssl.SSLContext | None) -> datetime | None:
    _, writer = await asyncio.open_connection(host, port, ssl=context)
    certificate = cast("dict[str, str] | None", writer.get_extra_info("peercert"))
    writer.close()
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(_CLOSE_SECS):
            await writer.wait_closed()
    return None if certificate is None else _expiry(certificate["notAfter"])


def _expiry(not_after: str) -> datetime:
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(not_after), UTC)
