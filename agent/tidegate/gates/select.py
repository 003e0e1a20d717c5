"""Build the gates of a host from its settings, in the order in which they are asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidegate.errors import TidegateError
from tidegate.gates import registry
from tidegate.gates.base import EVERY_PURPOSE, Gate, GateSpec, Question, Verdict, Wait
from tidegate.services.logind import Logind
from tidegate.services.timedate import Timedate

if TYPE_CHECKING:
    from tidegate.settings import Settings


@dataclass(frozen=True, slots=True)
class GateSources:
    """The services and facts that gates need.

    ``boot_began_secs`` is when this boot began, in seconds on the boot clock; None where that is not known.
    """

    logind: Logind
    timedate: Timedate
    boot_began_secs: float | None


def local_gates(settings: Settings, sources: GateSources) -> tuple[Gate, ...]:
    """The gates that ``settings`` put in force: the strategies first, then the others by rank and name.

    The fleet lock is not among them. Asking for it takes it, so the machine does that after every gate has allowed.
    """
    others = (spec for spec in registry.specs() if not spec.strategy)
    return (*strategy_gates(settings, sources), *(gate for spec in others for gate in _built(spec, settings, sources)))


def strategy_gates(settings: Settings, sources: GateSources) -> tuple[Gate, ...]:
    """The strategies in the order in which they are configured; all of them must allow."""
    return tuple(gate for name in settings.updates.strategy for gate in _strategy(name, settings, sources))


def _strategy(name: str, settings: Settings, sources: GateSources) -> Iterator[Gate]:
    spec = next((spec for spec in registry.specs() if spec.strategy and spec.name == name), None)
    if spec is not None:
        return _built(spec, settings, sources)
    reason = f"this version of Tidegate does not have the strategy {name!r}"
    return iter((Unavailable(name, reason, "select another in updates.strategy; tidegate config show"),))


def _built(spec: GateSpec, settings: Settings, sources: GateSources) -> Iterator[Gate]:
    """The gate of ``spec``; none where it is switched off, and one that always waits where it cannot be built."""
    try:
        gates = () if spec.build is None else tuple(spec.build(settings, sources))
    except TidegateError as err:
        gates = (Unavailable(spec.name, err.message, err.remedy),)
    yield from gates


class Unavailable:
    """Stands for a configured gate that cannot be evaluated, and always waits: no rule is ignored."""

    guards = EVERY_PURPOSE
    overridable = False

    def __init__(self, name: str, reason: str, remedy: str) -> None:
        self.name = name
        self._reason = reason
        self._remedy = remedy

    async def ask(self, question: Question) -> Verdict:  # noqa: ARG002 - the protocol's signature
        """Wait, for the reason that was given at construction."""
        return Wait(self.name, self._reason, remedy=self._remedy)
