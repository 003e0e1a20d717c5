"""Staging: the engine downloads and prepares a release, and nothing that the next boot uses changes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from tidegate.clock import Now
from tidegate.engines.base import Progress
from tidegate.errors import Failure
from tidegate.gates.base import Wait
from tidegate.machine.effects import ERROR, NOTICE, Announce, Reply, Stage
from tidegate.machine.events import HostView, Result
from tidegate.machine.parts import (
    SWITCHING,
    backed_off,
    enter,
    recovered,
    seen,
    take_id,
    troubled,
    turned_away,
    without_effect,
)
from tidegate.machine.phase import LockUse, Phase
from tidegate.machine.phases import waiting
from tidegate.machine.phases.steady import Steady
from tidegate.machine.topics import Topic
from tidegate.release import Release

if TYPE_CHECKING:
    from tidegate.machine.state import State, Step


@dataclass(frozen=True, slots=True)
class Staging(Phase):
    """The engine is staging ``target``."""

    word: ClassVar[str] = "staging"
    activity: ClassVar[str] = "staging a release"
    lock_use: ClassVar[LockUse] = LockUse.NONE

    target: Release
    since: datetime
    task: int
    progress: Progress | None = None

    def wakeup(self, state: State) -> float | None:
        """Never: the staging has a deadline of its own."""
        return None

    def due(self, state: State, now: Now) -> Step:
        """Nothing to do."""
        return state, ()

    def awaits(self, task: int) -> bool:
        """For the engine."""
        return task == self.task

    def answered(self, state: State, task: int, result: Result, now: Now) -> Step:
        """The engine reports that the release is staged: believe it when its status says so."""
        if not isinstance(result, HostView):
            raise self.unexpected(result)
        state = seen(state, result)
        if not state.has_staged(self.target):
            return self.failed(state, task, without_effect(f"{self.target.version} is not staged"), now)
        return self._staged(recovered(state, *SWITCHING), now)

    def _staged(self, state: State, now: Now) -> Step:
        version = self.target.version
        answers = tuple(Reply(request.id, f"{version} is staged") for request in state.requests)
        state = replace(state, requests=(), poll=replace(state.poll, staging_failures=0))
        note = Announce(Topic.STAGED, NOTICE, f"staged {version}", version)
        return waiting.wait(state, self.target, waiting.waiting_since(state, now), (), now), (*answers, note)

    def failed(self, state: State, task: int, failure: Failure, now: Now) -> Step:
        """Back to steady; the next check, later each time, tries again."""
        failures = state.poll.staging_failures + 1
        later = replace(state.poll, due=backed_off(state, failures, now), staging_failures=failures)
        state, answers = turned_away(replace(troubled(state, failure, now), poll=later), failure)
        version = self.target.version
        note = Announce(Topic.STAGING_FAILED, ERROR, f"could not stage {version}: {failure.message}", version)
        return enter(state, Steady(wanted=self.target)), (*answers, note)

    def unsaved(self, state: State, task: int | None, failure: Failure, now: Now) -> Step:
        """Continue: records of a staging are notes only, and lost notes are no reason to stage again."""
        return state, ()

    def release(self, state: State) -> Release | None:
        """The release that is being staged."""
        return self.target

    def sentence(self, state: State, waits: tuple[Wait, ...]) -> str:
        """With the share that is done, where it is known."""
        known = self.progress is not None and self.progress.fraction is not None
        share = f": {self.progress.fraction:.0%}" if known and self.progress is not None else ""
        return f"staging {self.target.version}{share}"

    def progressed(self, task: int, progress: Progress) -> Phase:
        """Further."""
        return replace(self, progress=progress) if task == self.task else self


def stage(state: State, target: Release, since: datetime) -> Step:
    """Ask the engine to stage ``target``."""
    task, state = take_id(state)
    return enter(state, Staging(target, since, task)), (Stage(task, target),)
