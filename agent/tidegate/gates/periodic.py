"""Strategy ``periodic``: allow a reboot within weekly windows only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidegate.calendar.exclusions import Exclusion
from tidegate.calendar.schedule import Schedule
from tidegate.calendar.spec import MINUTES_A_WEEK, WindowSpec
from tidegate.config.conflicts import Conflict
from tidegate.config.keys import key
from tidegate.config.kinds.scalar import Integer, MergeMode, ZoneName
from tidegate.config.kinds.schedule import Excludes, Windows
from tidegate.gates.base import (
    Allow,
    Gate,
    GateSpec,
    Question,
    Rank,
    SpecifiedGate,
    Verdict,
    Wait,
    override_command,
)
from tidegate.identity import host_id
from tidegate.release import Purpose

if TYPE_CHECKING:
    from tidegate.gates.select import GateSources
    from tidegate.settings import Settings


@dataclass(frozen=True, slots=True)
class PeriodicSettings:
    """``[updates.periodic]``: the windows of the strategy ``periodic``, which needs at least one."""

    time_zone: str = key("UTC", ZoneName(), "The time zone of the windows.")
    windows: tuple[WindowSpec, ...] = key(
        (),
        Windows(),
        'When the host may reboot, week by week: `days` (names, in full or three letters), `start_time` ("hh:mm") '
        "and `length_minutes` (1 to 10080). The windows of all snippets accumulate.",
        name="window",
    )
    window_merge: str = key(
        "append",
        MergeMode(("append", "replace")),
        "How the windows of a snippet are merged with those of earlier snippets: `replace` drops the latter.",
    )
    exclude: tuple[Exclusion, ...] = key(
        (),
        Excludes(),
        'Dates without windows: "2026-12-24", "2026-12-24..2027-01-02" (both included), or a recurrence rule of '
        "RFC 5545 (FREQ daily at most, no COUNT). No window starts on such a date, and earlier ones end at its "
        "midnight. The entries of all snippets accumulate.",
    )
    spread_minutes: int = key(
        0,
        Integer(0, MINUTES_A_WEEK),
        "Minutes after the start of a window over which the hosts of a fleet are spread. The moment of each host is "
        "stable, and always within the window.",
    )


def _conflicts(periodic: PeriodicSettings) -> Iterator[Conflict]:
    if not periodic.windows:
        yield Conflict(
            "updates.periodic.window",
            "updates.strategy",
            'the strategy "periodic" has no windows, so the host would never reboot',
            "add a [[updates.periodic.window]] with days, start_time and length_minutes",
        )


def _build(settings: Settings, _sources: GateSources) -> Iterator[Gate]:
    yield Periodic(schedule_of(settings))


def schedule_of(settings: Settings) -> Schedule:
    """The schedule of this host, whose id is needed only where the hosts of a fleet are spread.

    Raises:
        TidegateError: a window's zone is unknown here, or a host without an id is to be spread.
    """
    periodic = settings.of(PeriodicSettings)
    return Schedule.of(periodic, host_id(settings.identity) if periodic.spread_minutes else "")


SPEC = GateSpec(
    "periodic",
    "no window is open",
    guards=frozenset({Purpose.UPDATE}),
    overridable=True,
    rank=Rank.STRATEGY,
    strategy=True,
    by_clock=True,
    table="updates.periodic",
    section=PeriodicSettings,
    conflicts=_conflicts,
    build=_build,
)


class Periodic(SpecifiedGate):
    """Allows while a window is open, until it closes; otherwise waits until the next one opens for this host."""

    spec = SPEC

    _remedy = f"see tidegate windows; or {override_command(SPEC.name)}"

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule

    async def ask(self, question: Question) -> Verdict:
        """The state of the schedule by the wall clock."""
        state = self._schedule.state(question.now.wall)
        if state.is_open:
            return Allow(self.name, until=state.until)
        reason = "no window is open" if state.until is not None else "no window is open, and none will open"
        return Wait(self.name, reason, state.until, self._remedy)
