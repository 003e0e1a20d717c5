"""From ``[updates] strategy`` to the gates that it stands for."""

from __future__ import annotations

from pathlib import Path

from tidegate.calendar.schedule import Schedule
from tidegate.config.settings import Settings
from tidegate.errors import TidegateError
from tidegate.gates.base import Gate, Question, Verdict, Wait
from tidegate.gates.immediate import Immediate
from tidegate.gates.marker_file import MarkerFile
from tidegate.gates.periodic import Periodic
from tidegate.identity import host_id
from tidegate.purpose import Purpose

FLEET_LOCK = "fleet_lock"


class Unavailable:
    """Stands for a strategy that cannot be asked: it never allows. A rule that somebody wrote is not passed over."""

    guards = frozenset(Purpose)
    overridable = False

    def __init__(self, name: str, reason: str, remedy: str) -> None:
        self.name = name
        self._reason = reason
        self._remedy = remedy

    async def ask(self, question: Question) -> Verdict:  # noqa: ARG002 - the protocol's signature
        """Always waits."""
        return Wait(self.name, self._reason, remedy=self._remedy)


def strategy_gates(settings: Settings) -> tuple[Gate, ...]:
    """The strategies in the order in which they are configured; all of them must allow.

    All but the fleet lock: asking for that takes it, so it is no gate. The machine does it, after every gate.
    """
    return tuple(_gate(name, settings) for name in settings.updates.strategy if name != FLEET_LOCK)


def _gate(name: str, settings: Settings) -> Gate:
    match name:
        case "immediate":
            return Immediate()
        case "periodic":
            return _periodic(settings)
        case "marker_file":
            return MarkerFile(Path(settings.marker_file.path))
        case _:
            reason = f"strategy {name!r} is not in this version of Tidegate"
            return Unavailable(name, reason, "select another in updates.strategy; tidegate config show")


def _periodic(settings: Settings) -> Gate:
    try:
        return Periodic(Schedule.of(settings.periodic, host_id(settings.identity)))
    except TidegateError as err:
        return Unavailable(Periodic.name, err.message, err.remedy)
