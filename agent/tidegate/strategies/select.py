"""From ``[updates] strategy`` to the gates that it stands for."""

from __future__ import annotations

from tidegate.calendar.schedule import Schedule
from tidegate.config.settings import Settings
from tidegate.errors import TidegateError
from tidegate.gates.base import Gate, Question, Verdict, Wait
from tidegate.identity import host_id
from tidegate.purpose import Purpose
from tidegate.strategies.immediate import Immediate
from tidegate.strategies.periodic import Periodic


class Unavailable:
    """Stands for a strategy that cannot be asked: it never allows. A rule that somebody wrote is not passed over."""

    guards = frozenset(Purpose)

    def __init__(self, name: str, reason: str, remedy: str) -> None:
        self.name = name
        self._reason = reason
        self._remedy = remedy

    async def ask(self, question: Question) -> Verdict:  # noqa: ARG002 - the protocol's signature
        """Always waits."""
        return Wait(self.name, self._reason, remedy=self._remedy)


def strategy_gates(settings: Settings) -> tuple[Gate, ...]:
    """The strategies in the order in which they are configured; all of them must allow."""
    return tuple(_gate(name, settings) for name in settings.updates.strategy)


def _gate(name: str, settings: Settings) -> Gate:
    match name:
        case "immediate":
            return Immediate()
        case "periodic":
            return _periodic(settings)
        case _:
            reason = f"strategy {name!r} is not in this version of Tidegate"
            return Unavailable(name, reason, "select immediate or periodic")


def _periodic(settings: Settings) -> Gate:
    try:
        return Periodic(Schedule.of(settings.periodic, host_id(settings.identity)))
    except TidegateError as err:
        return Unavailable(Periodic.name, err.message, err.remedy)
