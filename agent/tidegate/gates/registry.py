"""Find the specifications of all gates: ``SPEC`` of each module in this package, and the state gates."""

from __future__ import annotations

from functools import cache

from tidegate.gates.base import GateSpec
from tidegate.gates.state import STATE_GATES
from tidegate.system.modules import declared

_PARTS = ("base", "gate_set", "grace", "people", "registry", "select", "state", "terminals")
"""Modules of the package that are not gates. They need not be listed here; those that are, are not imported."""


@cache
def specs() -> tuple[GateSpec, ...]:
    """The specifications of the gates that a module declares, by rank and name."""
    return tuple(sorted(declared("tidegate.gates", "SPEC", GateSpec, _PARTS), key=lambda spec: (spec.rank, spec.name)))


def strategies() -> tuple[str, ...]:
    """The names that ``updates.strategy`` takes."""
    return tuple(spec.name for spec in specs() if spec.strategy)


def all_specs() -> tuple[GateSpec, ...]:
    """The specifications of every name under which a reboot may be held back."""
    return (*specs(), *STATE_GATES)


def etiquette() -> frozenset[str]:
    """The names of the gates that yield once a deadline has passed."""
    return frozenset(spec.name for spec in all_specs() if spec.etiquette)


def is_overridable(name: str) -> bool:
    """Whether an operator may override the gate ``name``; False where there is no such gate."""
    return any(spec.overridable for spec in all_specs() if spec.name == name)
