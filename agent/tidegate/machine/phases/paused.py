"""Paused: the host runs a release that is not healthy, and waits for a person."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from tidegate.clock import Now
from tidegate.errors import ErrorKind, Failure
from tidegate.gates.base import Wait
from tidegate.gates.state import HEALTH
from tidegate.health.base import ProbeResult
from tidegate.health.judgement import CheckState, failing, updated
from tidegate.machine.effects import ERROR, WARNING, Announce, Reply
from tidegate.machine.events import Result, ResumeAsked
from tidegate.machine.parts import booted_release, enter, take_id
from tidegate.machine.phase import LockUse, Phase
from tidegate.machine.phases import marking_good, verifying
from tidegate.machine.topics import Topic
from tidegate.records.model import Verification
from tidegate.release import Release

if TYPE_CHECKING:
    from tidegate.machine.state import State, Step

PROBE_SECS = 60.0
"""Between two probes of a boot that was found bad: a person may be repairing it."""


@dataclass(frozen=True, slots=True)
class Paused(Phase):
    """Nothing is done but probing again, at ``look_at`` (boot clock). ``reason`` is why the boot is bad."""

    word: ClassVar[str] = "paused"
    activity: ClassVar[str] = "paused after a bad update"
    lock_use: ClassVar[LockUse] = LockUse.WAY_BACK

    reason: str
    look_at: float
    checks: tuple[CheckState, ...] = ()
    task: int | None = None

    def wakeup(self, state: State) -> float | None:
        """At the next probe."""
        return self.look_at if self.task is None else None

    def due(self, state: State, now: Now) -> Step:
        """Probe: somebody may have repaired it."""
        task, state = take_id(state)
        return enter(state, replace(self, task=task)), (verifying.probe(state, task),)

    def awaits(self, task: int) -> bool:
        """For the probe."""
        return task == self.task

    def answered(self, state: State, task: int, result: Result, now: Now) -> Step:
        """Watch the boot anew where nothing fails any more; stay paused otherwise."""
        if not isinstance(result, ProbeResult):
            raise self.unexpected(result)
        terms = state.policy.health
        checks = updated(self.checks, result, terms, terms.monitor_secs)
        if failing(result):
            return replace(self, checks=checks)._probe_later(state, now), ()
        known = state.records.verification or Verification(state.boot, now.boot_secs)
        again = replace(known, boot=state.boot, began_secs=now.boot_secs, bad="", healthy_now_secs=0.0)
        return verifying.watch(state, again, checks, now)

    def failed(self, state: State, task: int, failure: Failure, now: Now) -> Step:
        """Probe again later."""
        return self._probe_later(state, now), ()

    def unsaved(self, state: State, task: int | None, failure: Failure, now: Now) -> Step:
        """Probe again later."""
        return self._probe_later(state, now), ()

    def release(self, state: State) -> Release | None:
        """The one that runs."""
        return booted_release(state)

    def last_checks(self) -> tuple[CheckState, ...]:
        """Those of this watch."""
        return self.checks

    def hindrances(self, state: State) -> tuple[Wait, ...]:
        """A person has to decide."""
        remedy = "repair it (checked every minute); or tidegate resume, or tidegate rollback, --reason TEXT"
        return (Wait(HEALTH.name, f"this boot is unhealthy: {self.reason}", remedy=remedy),)

    def sentence(self, state: State, waits: tuple[Wait, ...]) -> str:
        """With the reason."""
        return f"paused in {booted_release(state).version}: {self.reason}"

    def _probe_later(self, state: State, now: Now) -> State:
        return enter(state, replace(self, task=None, look_at=now.boot_secs + PROBE_SECS))


def pause(state: State, reason: str, now: Now) -> Step:
    """Nothing more is done, the lock is kept, and people are informed."""
    version = booted_release(state).version
    known = state.records.verification or Verification(state.boot, now.boot_secs)
    phase = Paused(reason, now.boot_secs + PROBE_SECS, state.phase.last_checks())
    state = replace(state, records=replace(state.records, verification=replace(known, bad=reason)))
    text = f"{version} is unhealthy, updates are paused: {reason}"
    return enter(state, phase), (Announce(Topic.PAUSED, ERROR, text, version),)


def resume_asked(state: State, event: ResumeAsked) -> Step:
    """A person accepts the release as it is."""
    if not isinstance(state.phase, Paused):
        remedy = "tidegate allow VERSION" if state.records.rollback is not None else "tidegate status"
        why = Failure(ErrorKind.AGENT_BAD_REQUEST, f"nothing is paused (the agent is {state.phase.activity})", remedy)
        return state, (Reply(event.request_id, why),)
    version = booted_release(state).version
    detail = f"unhealthy ({state.phase.reason}), and accepted: {event.reason}"
    state, effects = marking_good.accept(state, detail)
    note = Announce(Topic.RESUMED, WARNING, f"{version} is {detail}", version)
    return state, (Reply(event.request_id, f"updates go on, with {version} as it is"), note, *effects)
