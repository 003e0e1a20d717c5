"""Whom a connection is to trust, and as whom it is made."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Paths of PEM files: authorities in place of the system's, and who this host is."""

    ca_file: str | None = None
    client_cert_file: str | None = None
    client_key_file: str | None = None
