"""From the settings to the gates of a host, in the order in which they are asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tidegate.config.settings import Settings
from tidegate.gates.base import Gate
from tidegate.gates.clock import ClockGate, always, where_something_ends
from tidegate.gates.inhibitors import Inhibitors
from tidegate.gates.interval import Interval
from tidegate.gates.periodic import Periodic
from tidegate.gates.sessions import Sessions
from tidegate.gates.strategies import strategy_gates
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
