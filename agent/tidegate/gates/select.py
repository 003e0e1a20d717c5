"""Build the gates of a host from its settings, in the order in which they are asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tidegate.calendar.schedule import Schedule
from tidegate.config.settings import Settings
from tidegate.errors import TidegateError
from tidegate.fleetlock.account import FLEET_LOCK
from tidegate.gates.base import Gate, Question, Verdict, Wait
from tidegate.gates.clock import ClockGate, always, where_time_is_limited
from tidegate.gates.immediate import Immediate
from tidegate.gates.inhibitors import Inhibitors
from tidegate.gates.interval import Interval
from tidegate.gates.marker_file import MarkerFile
from tidegate.gates.periodic import Periodic
from tidegate.gates.sessions import Sessions
from tidegate.identity import host_id
from tidegate.release import Purpose
from tidegate.services.logind import Logind
from tidegate.services.timedate import Timedate


@dataclass(frozen=True, slots=True)
class GateSources:
    """The services and facts that gates need.

    ``boot_began_secs`` is when this boot began, in seconds on the boot clock; None where that is not known.
    """

    logind: Logind
    timedate: Timedate
    boot_began_secs: float | None


def local_gates(settings: Settings, sources: GateSources) -> tuple[Gate, ...]:
    """The strategies, then the other gates, the cheapest first. The fleet lock is taken after these.

    ``clock`` comes after every gate whose verdict may depend on the clock, since it considers those verdicts.
    ``sessions`` comes last: users are notified, and their grace period begins, only once no other gate waits.
    """
    return (
        *strategy_gates(settings),
        *_interval(settings, sources),
        Inhibitors(sources.logind.inhibitors),
        *_clock(settings, sources),
        *_sessions(settings, sources),
    )


def strategy_gates(settings: Settings) -> tuple[Gate, ...]:
    """The strategies in the order in which they are configured; all of them must allow.

    ``fleet_lock`` is left out. Asking for the lock takes it, so it is not a gate: the machine takes it after every gate
    has allowed.
    """
    return tuple(_strategy(name, settings) for name in settings.updates.strategy if name != FLEET_LOCK)


class Unavailable:
    """Stands for a configured strategy that cannot be evaluated, and always waits: no rule is ignored."""

    guards = frozenset(Purpose)
    overridable = False

    def __init__(self, name: str, reason: str, remedy: str) -> None:
        self.name = name
        self._reason = reason
        self._remedy = remedy

    async def ask(self, question: Question) -> Verdict:  # noqa: ARG002 - the protocol's signature
        """Wait, for the reason that was given at construction."""
        return Wait(self.name, self._reason, remedy=self._remedy)


def _strategy(name: str, settings: Settings) -> Gate:
    match name:
        case "immediate":
            return Immediate()
        case "periodic":
            return _periodic(settings)
        case "marker_file":
            return MarkerFile(Path(settings.marker_file.path))
        case _:
            reason = f"this version of Tidegate does not have the strategy {name!r}"
            return Unavailable(name, reason, "select another in updates.strategy; tidegate config show")


def _periodic(settings: Settings) -> Gate:
    try:
        return Periodic(Schedule.of(settings.periodic, host_id(settings.identity)))
    except TidegateError as err:
        return Unavailable(Periodic.name, err.message, err.remedy)


def _interval(settings: Settings, sources: GateSources) -> Iterator[Gate]:
    if settings.interval.min_secs:
        yield Interval(settings.interval.min_secs, sources.boot_began_secs)


def _clock(settings: Settings, sources: GateSources) -> Iterator[Gate]:
    """The gate ``clock``, unless it is switched off.

    A schedule always depends on the clock. It may allow without an end (a window beyond the horizon), which
    :func:`where_time_is_limited` alone would miss.
    """
    require = settings.clock.require
    if require == "never":
        return
    depends = require == "always" or Periodic.name in settings.updates.strategy
    yield ClockGate(always if depends else where_time_is_limited, sources.timedate.synchronized)


def _sessions(settings: Settings, sources: GateSources) -> Iterator[Gate]:
    if settings.sessions.enabled:
        yield Sessions(settings.sessions, sources.logind.sessions)
