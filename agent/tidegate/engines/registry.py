"""The engines of this package, one entry each: what the rest of the package needs to know about an engine by name.

Pure, and imported by the configuration and the machine. So code that does I/O is named here, as ``module:attribute``,
and imported only when it is used.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from operator import attrgetter
from typing import Any

from tidegate.engines.base import Engine
from tidegate.engines.facts import HostFacts, Owner, owner_of

AUTO = "auto"
"""The value of ``[engine] kind`` under which the engine that fits the host is chosen."""

CHECKSUM_SCHEME = "checksum"
"""How a graph calls payloads that are OSTree checksums."""

OCI_SCHEME = "oci"
"""How a graph calls payloads that are container images, as ``registry/repository@sha256:digest``."""

# Any engine's: never empty, and never an option on a command line. Checksums, digests, image references.
_ANY_PAYLOAD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]*")
_IMAGE = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class EngineEntry:
    """One engine. ``detect`` says whether it fits a host under ``[engine] kind = "auto"``.

    ``opener`` names a function without arguments that returns the engine of this host. ``doctor`` names what examines
    the engine for ``tidegate doctor``: a coroutine function that takes a :class:`tidegate.doctor.base.Host`; None where
    there is nothing to examine.
    """

    name: str
    detect: Callable[[HostFacts], bool]
    payload: re.Pattern[str]
    scheme: str
    opener: str
    doctor: str | None = None

    def open(self) -> Engine:
        """Return the engine of this host; its modules are imported here and not before.

        Raises:
            TidegateError: ``engine.unsupported-host``.
        """
        opener: Callable[[], Engine] = load(self.opener)
        return opener()


ENTRIES = (
    EngineEntry(
        "ostree",
        detect=lambda facts: owner_of(facts) is Owner.OSTREE,
        payload=re.compile(r"[0-9a-f]{64}"),
        scheme=CHECKSUM_SCHEME,
        opener="tidegate.engines.ostree:OstreeEngine.for_host",
        doctor="tidegate.doctor.engine:examine_ostree",
    ),
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


def load(reference: str) -> Any:
    """Import what ``reference``, a ``module:attribute`` with dots in both, names.

    Raises:
        ImportError: there is no such module.
        AttributeError: the module has no such attribute.
    """
    module, _, attribute = reference.partition(":")
    return attrgetter(attribute)(import_module(module))
