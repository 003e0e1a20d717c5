"""Files for a TLS connection: certificate authorities and a client certificate."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Paths of PEM files. ``ca_file`` replaces the system's authorities; the others are this host's certificate."""

    ca_file: str | None = None
    client_cert_file: str | None = None
    client_key_file: str | None = None
