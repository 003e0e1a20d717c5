"""The registry's entry of an engine: what the rest of the package needs to know about it by name.

Pure: code that does I/O is named here, as ``module:attribute``, and imported only when it is used.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from tidegate.engines.base import Engine
from tidegate.engines.facts import HostFacts

if TYPE_CHECKING:
    from tidegate.config.keys import Section

CHECKSUM_SCHEME = "checksum"
"""How a graph calls payloads that are OSTree checksums."""

OCI_SCHEME = "oci"
"""How a graph calls payloads that are container images, as ``registry/repository@sha256:digest``."""


@dataclass(frozen=True, slots=True)
class EngineEntry:
    """One engine. ``detect`` says whether it fits a host under ``[engine] kind = "auto"``.

    ``opener`` names a function that returns the engine of this host. ``section`` declares the keys of ``[engine.NAME]``
    and is that function's argument; where it is None, there are no such keys and no argument.

    ``doctor`` names what examines the engine for ``tidegate doctor``: a coroutine function that takes a
    :class:`tidegate.doctor.base.Host`; None where there is nothing to examine. ``rank``: engines are asked whether they
    fit a host by rank, then by name.
    """

    name: str
    detect: Callable[[HostFacts], bool]
    payload: re.Pattern[str]
    scheme: str
    opener: str
    doctor: str | None = None
    rank: int = 100
    section: type[Section] | None = None

    @property
    def table(self) -> str:
        """The TOML table of the engine's own keys."""
        return f"engine.{self.name}"

    def open(self, section: Section | None = None) -> Engine:
        """Return the engine of this host; its modules are imported here and not before.

        ``section`` has the engine's own settings, where it declares keys; unless given, their defaults.

        Raises:
            TidegateError: ``engine.unsupported-host``.
        """
        opener: Callable[..., Engine] = load(self.opener)
        return opener() if self.section is None else opener(section or self.section())


def load(reference: str) -> Any:
    """Import what ``reference``, a ``module:attribute`` with dots in both, names.

    Raises:
        ImportError: there is no such module.
        AttributeError: the module has no such attribute.
    """
    module, _, attribute = reference.partition(":")
    return attrgetter(attribute)(import_module(module))
