"""The D-Bus interface ``org.tidegate.Checks1``, by which the agent has the root helper run checks. Pure.

A check is named ``GROUP/NAME``, and the helper looks up itself what that name stands for: a compromised agent can run
only what root has configured.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tidegate.bus.message import Endpoint
from tidegate.health.base import Weight

CHECKS = Endpoint("org.tidegate.Engine1", "/org/tidegate/Checks1", "org.tidegate.Checks1")
"""One process serves engine and checks, under the engine's bus name."""

COMMAND = "command"
"""The group of the checks that are configured as ``[[health.command]]``."""

EXECUTABLES: Mapping[str, Weight] = MappingProxyType(
    {
        "required": Weight.REQUIRED,
        "wanted": Weight.ADVISORY,
        "greenboot-required": Weight.REQUIRED,
        "greenboot-wanted": Weight.ADVISORY,
    }
)
"""The groups of programs in folders, and their weights."""


def weight_of(name: str) -> Weight:
    """The weight of the program ``name``. It is required where this version does not know the group."""
    return EXECUTABLES.get(name.partition("/")[0], Weight.REQUIRED)
