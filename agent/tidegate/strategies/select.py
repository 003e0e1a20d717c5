"""From the names in ``[updates] strategy`` to the gates that they stand for."""

from __future__ import annotations

from collections.abc import Iterable

from tidegate.gates.base import Gate, Question, Verdict, Wait
from tidegate.purpose import Purpose
from tidegate.strategies.immediate import Immediate

_BUILT = {Immediate.name: Immediate}


class Unavailable:
    """Stands for a strategy that the configuration knows and this version does not have: it never allows."""

    guards = frozenset(Purpose)

    def __init__(self, name: str) -> None:
        self.name = name

    async def ask(self, question: Question) -> Verdict:  # noqa: ARG002 - the protocol's signature
        """Always waits: a rule that somebody wrote is never passed over."""
        return Wait(
            self.name,
            f"strategy {self.name!r} is not in this version of Tidegate",
            remedy=f"select one of: {', '.join(sorted(_BUILT))}",
        )


def strategy_gates(names: Iterable[str]) -> tuple[Gate, ...]:
    """The strategies in the order in which they are configured; all of them must allow."""
    return tuple(_BUILT[name]() if name in _BUILT else Unavailable(name) for name in names)
