"""The specification of a kind of health check, and the keys that all kinds have."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from tidegate.config.keys import Section
from tidegate.config.kinds.scalar import Choice, Text
from tidegate.config.problems import Fault
from tidegate.system.modules import declared

if TYPE_CHECKING:
    from tidegate.health.check import Check
    from tidegate.health.select import HealthSources

MAX_TIMEOUT_SECS = 300
"""A probe waits for its slowest check. A check that takes longer should report the result of an earlier run."""

NAME = Text(re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"), "up to 64 letters, digits, dots, dashes and underscores")
NAME_DOC = "The name of the check, unique among those of its kind."
WEIGHT = Choice(("required", "advisory"))
WEIGHT_DOC = "Whether the check decides on the boot, or is only shown."


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """The facts about a kind of check that the rest of the package needs, and the keys that configure one.

    ``name`` is the kind: its checks are the tables ``[[health.NAME]]``, and each is called ``NAME/`` and its own name.
    ``noun`` is what one of them is called, as in "2 units"; the kind itself, unless given. ``doc`` documents the array
    of tables, whose keys ``section`` declares; ``faults`` checks those of one table against each other. ``rank``
    orders the kinds.

    ``build`` makes the checks, and is called only where there is one: what only they need is imported there, so that an
    agent without such a check is smaller.
    """

    name: str
    doc: str
    section: type[Section]
    build: Callable[[Sequence[Any], HealthSources], Iterable[Check]]
    noun: str = ""
    rank: int = 100
    faults: Callable[[Any], Iterator[Fault]] | None = None


@cache
def specs() -> tuple[CheckSpec, ...]:
    """Every kind of check: ``SPEC`` of each module in :mod:`tidegate.health.checks`, by rank and name."""
    found = declared("tidegate.health.checks", "SPEC", CheckSpec)
    return tuple(sorted(found, key=lambda spec: (spec.rank, spec.name)))
