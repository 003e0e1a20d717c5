"""Find the engines of this package: ``ENTRY`` of each module in :mod:`tidegate.engines.entries`.

Pure, and imported by the configuration and the machine.
"""

from __future__ import annotations

import re

from tidegate.engines.entry import CHECKSUM_SCHEME, OCI_SCHEME, EngineEntry
from tidegate.system.modules import declared

AUTO = "auto"
"""The value of ``[engine] kind`` under which the engine that fits the host is chosen."""

# Any engine's: never empty, and never an option on a command line. Checksums, digests, image references.
_ANY_PAYLOAD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]*")
_IMAGE = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")

ENTRIES = tuple(
    sorted(declared("tidegate.engines.entries", "ENTRY", EngineEntry), key=lambda entry: (entry.rank, entry.name))
)
"""In the order in which they are asked whether they fit a host."""

NAMES = tuple(entry.name for entry in ENTRIES)


def find(name: str) -> EngineEntry | None:
    """Return the entry of the engine ``name``, or None where there is none."""
    return next((entry for entry in ENTRIES if entry.name == name), None)


def is_payload(engine: str, payload: str) -> bool:
    """Whether ``payload`` has the form of the payloads of ``engine``; of an unknown engine, that of any engine's."""
    entry = find(engine)
    patterns = (_ANY_PAYLOAD,) if entry is None else (_ANY_PAYLOAD, entry.payload)
    return all(pattern.fullmatch(payload) for pattern in patterns)


def scheme_of(payload: str) -> str:
    """Return the scheme of an engine's ``payload``: what a host runs is also what it can stage."""
    schemes = (*((entry.payload, entry.scheme) for entry in ENTRIES), (_IMAGE, OCI_SCHEME))
    return next((scheme for pattern, scheme in schemes if pattern.fullmatch(payload)), CHECKSUM_SCHEME)
