"""The steps of a plan that touch the workload: handing it over, and stopping it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tidegate.clock import Now
from tidegate.errors import Failure
from tidegate.gates.base import Wait
from tidegate.gates.state import WORKLOAD
from tidegate.machine import attempts
from tidegate.machine.effects import HandOver, StopWorkload
from tidegate.machine.events import Result, WorkloadDone
from tidegate.machine.phases import executing, switching
from tidegate.machine.phases.step_rule import StepRule
from tidegate.machine.plan import PlanStep

if TYPE_CHECKING:
    from tidegate.machine.phases.executing import Executing
    from tidegate.machine.state import State, Step


def hand_over(state: State, phase: Executing, now: Now) -> Step:
    """Start what takes the workload over, and wait until it has."""
    return executing.under_way(attempts.begun(state, phase, now), phase, HandOver)


def stop(state: State, phase: Executing, now: Now) -> Step:
    """Stop the workload. From here every way back starts it again."""
    return executing.under_way(attempts.begun(state, phase, now), phase, StopWorkload)


def done(state: State, phase: Executing, result: Result, now: Now) -> Step:
    """Handed over, or stopped."""
    if not isinstance(result, WorkloadDone):
        raise executing.unexpected(phase, result)
    return executing.advance_if_allowed(state, phase, now)


def failed(state: State, phase: Executing, failure: Failure, now: Now) -> Step:
    """A workload that will not stop is a reason not to go down. It counts as an attempt."""
    wait = Wait(WORKLOAD.name, failure.message, remedy=failure.remedy)
    return switching.attempt_failed(state, phase, wait, failure, now)


RULES: Mapping[PlanStep, StepRule] = {
    PlanStep.HAND_OVER: StepRule(hand_over, done, failed, "handing the workload over before the reboot into {}"),
    PlanStep.STOP_WORKLOAD: StepRule(stop, done, failed, "stopping the workload before the reboot into {}"),
}
