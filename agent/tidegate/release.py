"""Releases of the OS, and the purposes of a reboot into one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

_NO_METADATA: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Release:
    """One version of the OS.

    ``payload`` is the engine's opaque id (an ostree checksum, an image pullspec, a bundle digest), by which releases
    are identified; ``version`` is for people. ``age_index`` orders releases (higher is newer); None where the source of
    updates gives no order. ``metadata`` is everything else from that source, and not part of the comparison.
    """

    version: str
    payload: str
    age_index: int | None = None
    metadata: Mapping[str, str] = field(default_factory=lambda: _NO_METADATA, compare=False)


class Purpose(StrEnum):
    """Why the host is to reboot. Each gate declares the purposes for which it is asked."""

    UPDATE = "update"
    ROLLBACK = "rollback"
    MANUAL = "manual"
