"""What is being moved between: releases of the OS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

_NO_METADATA: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Release:
    """One version of the OS.

    ``payload`` is the engine's opaque id (an ostree checksum, an image pullspec, a bundle digest) and is what two
    releases are compared by; ``version`` is for people. ``age_index`` orders releases (higher is newer) where the
    source of updates gives an order; ``metadata`` is whatever else that source says.
    """

    version: str
    payload: str
    age_index: int | None = None
    metadata: Mapping[str, str] = field(default_factory=lambda: _NO_METADATA, compare=False)


class Purpose(StrEnum):
    """Gates declare which of these they guard."""

    UPDATE = "update"
    ROLLBACK = "rollback"
    MANUAL = "manual"
