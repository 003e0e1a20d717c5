"""Executing a plan: from the question to every gate to the reboot, step by step.

::

    Waiting --> ask gates --> take lock --> intent, arm --> confirm lock --> ask gates again --> request the reboot

is the plan of most hosts; :mod:`tidegate.machine.plan` has all of them. A step that has an undo is on record before it
begins. Any no and any failure leads back: to waiting where nothing was begun, else through
:mod:`~tidegate.machine.phases.undoing`. The rules of the steps are in :mod:`.gating`, :mod:`.locking`,
:mod:`.switching` and :mod:`.working`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from tidegate.clock import Now
from tidegate.engines.base import Progress
from tidegate.errors import Failure
from tidegate.gates.base import Verdict, Wait
from tidegate.gates.state import HOST
from tidegate.machine import attempts, lock_duty
from tidegate.machine.effects import NOTICE, Announce, Effect
from tidegate.machine.events import Result
from tidegate.machine.mandate import Mandate
from tidegate.machine.parts import enter, refusal, reply, take_id
from tidegate.machine.phase import LockUse, Phase
from tidegate.machine.phases import gating, locking, rebooting, switching, undoing, working
from tidegate.machine.phases.step_rule import StepRule
from tidegate.machine.plan import PlanStep
from tidegate.machine.state_gates import agent_waits
from tidegate.machine.topics import Topic
from tidegate.records.model import Ending
from tidegate.release import Release

if TYPE_CHECKING:
    from tidegate.machine.state import State, Step

GOING_DOWN = Wait(HOST.name, "the host is going down already")
NO_TASK = 0
"""Ids of tasks begin at 1."""


@dataclass(frozen=True, slots=True)
class Executing(Phase):
    """Step ``at`` of ``plan`` is under way, as ``task``; ``target``, ``since`` and ``mandate`` are of the attempt."""

    word: ClassVar[str] = "finalizing"
    activity: ClassVar[str] = "preparing a reboot"
    lock_use: ClassVar[LockUse] = LockUse.ATTEMPT

    target: Release
    since: datetime
    mandate: Mandate
    plan: tuple[PlanStep, ...]
    at: int
    task: int
    progress: Progress | None = None

    @property
    def step(self) -> PlanStep:
        """The step that is under way."""
        return self.plan[self.at]

    def wakeup(self, state: State) -> float | None:
        """Never: each step's task has a deadline of its own."""
        return None

    def due(self, state: State, now: Now) -> Step:
        """Nothing to do."""
        return state, ()

    def awaits(self, task: int) -> bool:
        """For the step."""
        return task == self.task

    def answered(self, state: State, task: int, result: Result, now: Now) -> Step:
        """The step's own rule."""
        return _rule(self).answered(state, self, result, now)

    def failed(self, state: State, task: int, failure: Failure, now: Now) -> Step:
        """The step's own rule."""
        return _rule(self).failed(state, self, failure, now)

    def unsaved(self, state: State, task: int | None, failure: Failure, now: Now) -> Step:
        """A step that could not be put on record has not begun."""
        if self.step is PlanStep.REQUEST_REBOOT:  # the answer to it changes nothing on record
            return state, ()
        return _rule(self).failed(state, self, failure, now)

    def release(self, state: State) -> Release | None:
        """Where the plan leads."""
        return self.target

    def sentence(self, state: State, waits: tuple[Wait, ...]) -> str:
        """The step that is under way."""
        return _rule(self).sentence.format(self.target.version)

    def progressed(self, task: int, progress: Progress) -> Phase:
        """Of a step that stages."""
        return replace(self, progress=progress) if task == self.task and self.step is PlanStep.STAGE else self


def _rule(phase: Executing) -> StepRule:
    return rule_of(phase.step)


def rule_of(step: PlanStep) -> StepRule:
    """The rules of ``step``; every step has some, and in one table only (a test sees to that)."""
    tables: tuple[Mapping[PlanStep, StepRule], ...] = (gating.RULES, locking.RULES, switching.RULES, working.RULES)
    return next(table[step] for table in tables if step in table)


def start(state: State, target: Release, since: datetime, mandate: Mandate, now: Now) -> Step:
    """Carry out the plan for ``target`` from its first step that is not done yet."""
    plan = attempts.plan_of(state, target, mandate)
    phase = Executing(target, since, mandate, plan, 0, NO_TASK)
    return _rule(phase).begin(state, phase, now)


def advance(state: State, phase: Executing, now: Now) -> Step:
    """The step is done: begin the next one."""
    following = replace(phase, at=phase.at + 1)
    return _rule(following).begin(state, following, now)


def under_way(state: State, phase: Executing, effect: Callable[[int], Effect]) -> Step:
    """The step of ``phase`` as a task."""
    task, state = take_id(state)
    return enter(state, replace(phase, task=task, progress=None)), (effect(task),)


def call_off(
    state: State, phase: Executing, verdicts: tuple[Verdict, ...], now: Now, *, closing: Ending | None = None
) -> Step:
    """Take back what was begun; ``closing``: how the attempt ends, where it counts as one."""
    why = refusal(verdicts)
    armed = state.records.intent is not None
    state, effects = undoing.undo(state, undoing.Undoing(phase.target, phase.since, verdicts, closing), now)
    note = Announce(Topic.CALLED_OFF, NOTICE, f"called off: {why.message}", phase.target.version)
    return state, (*reply(phase.mandate.request, why), *((note,) if armed or effects else ()), *effects)


def advance_if_allowed(state: State, phase: Executing, now: Now) -> Step:
    """Go on after a step that took long: not against new settings, and not without a lock that they ask for now."""
    if state.shutting_down:
        return down_or_off(state, phase, now)
    lost = lock_duty.missing(state, phase.mandate)
    found = (*agent_waits(state, phase.target, phase.mandate), *(() if lost is None else (lost,)))
    return call_off(state, phase, found, now) if found else advance(state, phase, now)


def down_or_off(state: State, phase: Executing, now: Now) -> Step:
    """The host goes down for another reason: into the target where it is armed; else that is a no like any other."""
    intent = state.records.intent
    armed = intent is not None and intent.target.payload == phase.target.payload
    return going_down(state, phase, now) if armed else call_off(state, phase, (GOING_DOWN,), now)


def going_down(state: State, phase: Executing, now: Now) -> Step:
    """The host goes down into the target."""
    phase_then = rebooting.Rebooting(
        phase.target, phase.since, now.boot_secs + rebooting.REBOOT_GRACE_SECS, rebooting.STILL_UP
    )
    version = phase.target.version
    note = Announce(Topic.GOING_DOWN, NOTICE, f"the host goes down, next: {version}", version)
    return enter(state, phase_then), (*reply(phase.mandate.request, f"rebooting into {version}"), note)


def unexpected(phase: Executing, result: Result) -> TypeError:
    """The error for an answer of another kind than the step asks for."""
    return TypeError(f"{phase.step} was answered with {type(result).__name__}")
