"""The key that selects the engine."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.config.keys import key
from tidegate.config.kinds.scalar import Choice
from tidegate.engines import registry


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """``[engine]``: the engine of the host."""

    kind: str = key(
        "auto",
        Choice((registry.AUTO, *registry.NAMES)),
        "The engine that stages and switches releases; `auto` detects the one of the host.",
    )
