"""Strategy ``immediate``: allow a reboot as soon as a release is staged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tidegate.gates.base import Allow, Gate, GateSpec, Question, Rank, SpecifiedGate, Verdict
from tidegate.release import Purpose

if TYPE_CHECKING:
    from tidegate.gates.select import GateSources
    from tidegate.settings import Settings


def _build(_settings: Settings, _sources: GateSources) -> Iterator[Gate]:
    yield Immediate()


SPEC = GateSpec(
    "immediate",
    "never",
    guards=frozenset({Purpose.UPDATE}),
    overridable=True,
    rank=Rank.STRATEGY,
    strategy=True,
    build=_build,
)


class Immediate(SpecifiedGate):
    """Allows at any time. The other gates are asked nevertheless."""

    spec = SPEC

    async def ask(self, question: Question) -> Verdict:  # noqa: ARG002 - the protocol's signature
        """Allow, whatever the question."""
        return Allow(self.name)
