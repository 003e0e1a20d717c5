"""Marking a boot as good: the verdict stands, and the engine confirms it to the boot loader."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from tidegate.clock import Now
from tidegate.errors import Failure
from tidegate.gates.base import Wait
from tidegate.gates.state import HEALTH
from tidegate.health.judgement import CheckState
from tidegate.machine.effects import NOTICE, Announce, MarkGood
from tidegate.machine.events import HostView, Result
from tidegate.machine.parts import SWITCHING, booted_release, enter, recovered, seen, take_id, troubled
from tidegate.machine.phase import LockUse, Phase
from tidegate.machine.phases.steady import Steady
from tidegate.machine.topics import Topic
from tidegate.records.model import Ending, LockState, Outcome, Records
from tidegate.release import Release

if TYPE_CHECKING:
    from tidegate.machine.state import State, Step

RETRY_SECS = 30.0
"""Between two tries at what the engine or the disk did not take."""


@dataclass(frozen=True, slots=True)
class MarkingGood(Phase):
    """The boot counts as good, and the engine is confirming it; ``task`` is None between two tries.

    ``detail`` goes on record with the outcome.
    """

    word: ClassVar[str] = "verifying"
    activity: ClassVar[str] = "marking this boot as good"
    lock_use: ClassVar[LockUse] = LockUse.WAY_BACK

    detail: str
    checks: tuple[CheckState, ...] = ()
    task: int | None = None
    retry_at: float | None = None

    def wakeup(self, state: State) -> float | None:
        """At the next try."""
        return self.retry_at

    def due(self, state: State, now: Now) -> Step:
        """Tell the engine again."""
        return _mark(state, self)

    def awaits(self, task: int) -> bool:
        """For the engine."""
        return task == self.task

    def answered(self, state: State, task: int, result: Result, now: Now) -> Step:
        """The engine knows: the attempt is over."""
        if not isinstance(result, HostView):
            raise self.unexpected(result)
        state = recovered(seen(state, result), *SWITCHING)
        booted = booted_release(state)
        records = _closed(state.records, booted, self.detail, now).lock_is(LockState.RELEASE_OWED)
        state = replace(state, records=replace(records, settled=booted))
        note = Announce(Topic.APPLIED, NOTICE, f"{booted.version} is applied: {self.detail}", booted.version)
        return enter(state, Steady()), (note,)

    def failed(self, state: State, task: int, failure: Failure, now: Now) -> Step:
        """Try again: until the engine knows, a boot loader may still fall back."""
        again = replace(self, task=None, retry_at=now.boot_secs + RETRY_SECS)
        return enter(troubled(state, failure, now), again), ()

    def unsaved(self, state: State, task: int | None, failure: Failure, now: Now) -> Step:
        """As if the engine had not taken it."""
        return self.failed(state, 0 if task is None else task, failure, now)

    def release(self, state: State) -> Release | None:
        """The one that runs."""
        return booted_release(state)

    def last_checks(self) -> tuple[CheckState, ...]:
        """Those of this watch."""
        return self.checks

    def hindrances(self, state: State) -> tuple[Wait, ...]:
        """The engine has to know."""
        return (Wait(HEALTH.name, "this boot is healthy; marking it as good"),)

    def sentence(self, state: State, waits: tuple[Wait, ...]) -> str:
        """The verdict."""
        return f"{booted_release(state).version} is healthy; marking it as good"


def _closed(records: Records, booted: Release, detail: str, now: Now) -> Records:
    """With the attempt that led here in the history; an intent that leads elsewhere is armed for good, and stays."""
    elsewhere = records.intent is not None and records.intent.target.payload != booted.payload
    return replace(records, verification=None) if elsewhere else records.closed(Ending(Outcome.APPLIED, detail), now)


def accept(state: State, detail: str) -> Step:
    """The boot counts as good: tell the engine."""
    return _mark(state, MarkingGood(detail, state.phase.last_checks()))


def _mark(state: State, phase: MarkingGood) -> Step:
    task, state = take_id(state)
    return enter(state, replace(phase, task=task, retry_at=None)), (MarkGood(task, booted_release(state)),)
