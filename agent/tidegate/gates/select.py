"""From the settings to the gates of a host, in the order in which they are asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tidegate.calendar.schedule import Schedule
from tidegate.config.settings import Settings
from tidegate.errors import TidegateError
from tidegate.gates.base import Gate, Question, Verdict, Wait
from tidegate.gates.clock import ClockGate, always, where_something_ends
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
class Sources:
    """What the gates ask. ``boot_began_secs`` is when this boot began, on the boot clock, where it is known."""

    logind: Logind
    timedate: Timedate
    boot_began_secs: float | None


def local_gates(settings: Settings, sources: Sources) -> tuple[Gate, ...]:
    """The strategies, then the rest, the cheapest first.

    ``clock`` comes after whatever goes by the clock, for it looks at what they said. ``sessions`` comes last: people
    are told, and their grace begins, only where nothing else holds the reboot. The fleet lock is taken after these.
    """
    return (
        *strategy_gates(settings),
        *_interval(settings, sources),
        Inhibitors(sources.logind.inhibitors),
        *_clock(settings, sources),
        *_sessions(settings, sources),
    )


def _interval(settings: Settings, sources: Sources) -> Iterator[Gate]:
    if settings.interval.min_secs:
        yield Interval(settings.interval.min_secs, sources.boot_began_secs)


def _clock(settings: Settings, sources: Sources) -> Iterator[Gate]:
    """A schedule goes by the clock even while it says neither yes nor until when: it may be open, by a wrong clock, for
    as far as it looks ahead."""
    require = settings.clock.require
    if require == "never":
        return
    by_clock = require == "always" or Periodic.name in settings.updates.strategy
    yield ClockGate(always if by_clock else where_something_ends, sources.timedate.synchronized)


def _sessions(settings: Settings, sources: Sources) -> Iterator[Gate]:
    if settings.sessions.enabled:
        yield Sessions(settings.sessions, sources.logind.sessions)


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
