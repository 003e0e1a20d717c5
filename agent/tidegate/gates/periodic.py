"""Strategy ``periodic``: allow a reboot within weekly windows only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.calendar.exclusions import Exclusion
from tidegate.calendar.schedule import Schedule, State
from tidegate.calendar.spec import MINUTES_A_WEEK, WindowSpec
from tidegate.calendar.zones import LOCALTIME, LOCALTIME_FILE, localtime_stamp
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
    yield Periodic(ScheduleHere(settings.of(PeriodicSettings), _spread_by(settings)))


def schedule_of(settings: Settings) -> Schedule:
    """The schedule of this host as of now.

    Raises:
        TidegateError: a window's zone is unknown here, or a host without an id is to be spread.
    """
    return Schedule.of(settings.of(PeriodicSettings), _spread_by(settings))


def _spread_by(settings: Settings) -> str:
    """The host's id, which is needed only where the hosts of a fleet are spread."""
    return host_id(settings.identity) if settings.of(PeriodicSettings).spread_minutes else ""


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


class ScheduleHere:
    """The schedule in the time zone that this host has at the moment: ``timedatectl set-timezone`` needs no reload."""

    def __init__(self, periodic: PeriodicSettings, host: str, localtime_file: Path = LOCALTIME_FILE) -> None:
        self._periodic = periodic
        self._host = host
        self._localtime_file = localtime_file
        self._stamp = self._stamp_now()
        self._schedule: Schedule | None = Schedule.of(periodic, host, localtime_file)

    def state(self, at: datetime) -> State:
        """Whether a window is open at ``at``, and when that changes.

        Raises:
            TidegateError: ``config.invalid``: the host's zone was changed, and cannot be used.
        """
        stamp = self._stamp_now()
        if self._schedule is None or stamp != self._stamp:
            self._schedule = None  # until the new zone is known, the old one decides nothing
            self._schedule = Schedule.of(self._periodic, self._host, self._localtime_file)
            self._stamp = stamp
        return self._schedule.state(at)

    def _stamp_now(self) -> tuple[object, ...]:
        return localtime_stamp(self._localtime_file) if self._periodic.time_zone == LOCALTIME else ()


class Periodic(SpecifiedGate):
    """Allows while a window is open, until it closes; otherwise waits until the next one opens for this host."""

    spec = SPEC

    _remedy = f"see tidegate windows; or {override_command(SPEC.name)}"

    def __init__(self, schedule: Schedule | ScheduleHere) -> None:
        self._schedule = schedule

    async def ask(self, question: Question) -> Verdict:
        """The state of the schedule by the wall clock.

        Raises:
            TidegateError: ``config.invalid``: the host's zone was changed, and cannot be used.
        """
        state = self._schedule.state(question.now.wall)
        if state.is_open:
            return Allow(self.name, until=state.until)
        reason = "no window is open" if state.until is not None else "no window is open, and none will open"
        return Wait(self.name, reason, state.until, self._remedy)
