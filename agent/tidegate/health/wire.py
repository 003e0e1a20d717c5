"""``org.tidegate.Checks1``: what the root helper runs for the agent, by name alone. Pure.

A name is ``GROUP/NAME``. The helper reads for itself what that stands for: an agent that was taken over can have
nothing run but what root has configured.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tidegate.bus.message import Endpoint
from tidegate.health.base import Weight

CHECKS = Endpoint("org.tidegate.Engine1", "/org/tidegate/Checks1", "org.tidegate.Checks1")
"""One process serves engine and checks, under the engine's bus name."""

COMMAND = "command"
"""The group of ``[[health.command]]``."""

EXECUTABLES: Mapping[str, Weight] = MappingProxyType(
    {
        "required": Weight.REQUIRED,
        "wanted": Weight.ADVISORY,
        "greenboot-required": Weight.REQUIRED,
        "greenboot-wanted": Weight.ADVISORY,
    }
)
"""The groups of programs in folders, and what they have to say."""


def weight_of(name: str) -> Weight:
    """What the program ``name`` has to say; one of a group that this version does not know counts."""
    return EXECUTABLES.get(name.partition("/")[0], Weight.REQUIRED)
