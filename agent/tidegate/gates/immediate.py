"""Strategy ``immediate``: allow a reboot as soon as a release is staged."""

from __future__ import annotations

from tidegate.gates.base import Allow, Question, Verdict
from tidegate.release import Purpose


class Immediate:
    """Allows at any time. The other gates are asked nevertheless."""

    name = "immediate"
    guards = frozenset({Purpose.UPDATE})
    overridable = True

    async def ask(self, question: Question) -> Verdict:  # noqa: ARG002 - the protocol's signature
        """Allow, whatever the question."""
        return Allow(self.name)
