"""A gate as one file: no reboot while the water is high."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidegate.config.keys import key
from tidegate.config.kinds.scalar import Integer
from tidegate.gates.base import Gate, GateSpec, Question, Rank, SpecifiedGate, Verdict, Wait
from tidegate.release import Purpose

if TYPE_CHECKING:
    from tidegate.gates.select import GateSources
    from tidegate.settings import Settings


@dataclass(frozen=True, slots=True)
class TideSettings:
    """``[gates.tide]``."""

    highest_cm: int = key(0, Integer(0, 900), "The highest water at which the host may reboot.")


def _build(settings: Settings, _sources: GateSources) -> Iterator[Gate]:
    if highest_cm := settings.of(TideSettings).highest_cm:
        yield Tide(highest_cm)


SPEC = GateSpec(
    "tide",
    "the water is too high",
    guards=frozenset({Purpose.UPDATE}),
    overridable=True,
    rank=Rank.CHEAP,
    table="gates.tide",
    section=TideSettings,
    build=_build,
)


class Tide(SpecifiedGate):
    """Always waits."""

    spec = SPEC

    def __init__(self, highest_cm: int) -> None:
        self._highest_cm = highest_cm

    async def ask(self, question: Question) -> Verdict:
        """Wait for low water."""
        return Wait(self.name, f"the water is higher than {self._highest_cm} cm")
