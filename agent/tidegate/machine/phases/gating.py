"""The steps of a plan that ask the gates: before anything is done, and again right before the reboot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from tidegate.clock import Now
from tidegate.errors import Failure
from tidegate.gates.base import Verdict, Wait, waits
from tidegate.gates.state import GATES
from tidegate.machine import attempts, lock_duty
from tidegate.machine.effects import AskGates, Effect, GiveNotice
from tidegate.machine.events import Result
from tidegate.machine.parts import refusal, reply, take_id, troubled
from tidegate.machine.phases import executing, waiting
from tidegate.machine.phases.step_rule import StepRule
from tidegate.machine.plan import PlanStep
from tidegate.machine.state_gates import agent_waits, agent_waits_before_lock

if TYPE_CHECKING:
    from tidegate.machine.phases.executing import Executing
    from tidegate.machine.state import State, Step


def ask(state: State, phase: Executing, now: Now) -> Step:
    """Ask every gate that guards the purpose of the mandate."""
    target, mandate, noticed = phase.target, phase.mandate, state.noticed
    return executing.under_way(
        state, phase, lambda task: AskGates(task, target, mandate.purpose, mandate.overrides, noticed)
    )


def asked(state: State, phase: Executing, result: Result, now: Now) -> Step:
    """Go on, give people notice, or wait."""
    found = (*agent_waits_before_lock(state, phase.target, phase.mandate), *_verdicts(phase, result))
    if state.shutting_down:
        found = (executing.GOING_DOWN, *found)
    held = waits(found)
    if not held:
        return executing.advance(state, _replanned(state, phase), now)
    state, notices = _noticed(state, held, now)
    state = waiting.wait(state, phase.target, phase.since, found, now)
    return state, (*reply(phase.mandate.request, refusal(held)), *notices)


def _replanned(state: State, phase: Executing) -> Executing:
    """With the plan as it is now: while the gates were asked the settings may have changed, and nothing has begun."""
    plan = attempts.plan_of(state, phase.target, phase.mandate)
    return replace(phase, plan=plan, at=plan.index(PlanStep.ASK_GATES))


def not_asked(state: State, phase: Executing, failure: Failure, now: Now) -> Step:
    """Gates that cannot be asked do not allow."""
    return asked(state, phase, (Wait(GATES.name, failure.message, remedy=failure.remedy),), now)


def _noticed(state: State, held: tuple[Wait, ...], now: Now) -> Step:
    """People get notice where nothing else holds the reboot: one that may not come for days is not announced."""
    if any(wait.notice is None for wait in held):
        return state, ()
    effects: list[Effect] = []
    for wait in held:
        if wait.notice is not None:
            task, state = take_id(state)
            effects.append(GiveNotice(task, wait.notice))
    given = {wait.gate: now for wait in held}
    return replace(state, noticed={**state.noticed, **given}), tuple(effects)


def asked_again(state: State, phase: Executing, result: Result, now: Now) -> Step:
    """Go on, or take everything back."""
    if state.shutting_down:
        return executing.down_or_off(state, phase, now)
    lost = lock_duty.missing(state, phase.mandate)
    own = agent_waits(state, phase.target, phase.mandate)
    found = (*own, *(() if lost is None else (lost,)), *_verdicts(phase, result))
    return executing.call_off(state, phase, found, now) if waits(found) else executing.advance(state, phase, now)


def not_asked_again(state: State, phase: Executing, failure: Failure, now: Now) -> Step:
    """Gates that cannot be asked do not allow."""
    wait = Wait(GATES.name, failure.message, remedy=failure.remedy)
    return executing.call_off(troubled(state, failure, now), phase, (wait,), now)


def _verdicts(phase: Executing, result: Result) -> tuple[Verdict, ...]:
    if not isinstance(result, tuple):
        raise executing.unexpected(phase, result)
    return result


RULES: Mapping[PlanStep, StepRule] = {
    PlanStep.ASK_GATES: StepRule(ask, asked, not_asked, "asking every gate whether the host may reboot into {}"),
    PlanStep.RECHECK_GATES: StepRule(
        ask, asked_again, not_asked_again, "asking every gate once more before the reboot into {}"
    ),
    PlanStep.RECHECK_AFTER_STOP: StepRule(
        ask, asked_again, not_asked_again, "asking every gate a last time before the reboot into {}"
    ),
}
