"""The steps of a plan that change what the host boots: staging, deleting, the intent, arming, the reboot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from tidegate.clock import Now
from tidegate.engines.base import RebootOwner
from tidegate.errors import Failure
from tidegate.gates.base import Wait
from tidegate.gates.state import ENGINE, LOGIND
from tidegate.machine import attempts
from tidegate.machine.effects import NOTICE, WARNING, Announce, Arm, Prune, Reboot, Rollback, Stage
from tidegate.machine.events import HostView, Result
from tidegate.machine.parts import enter, recovered, reply, seen, troubled, without_effect
from tidegate.machine.phases import executing, rebooting
from tidegate.machine.phases.step_rule import StepRule
from tidegate.machine.plan import PlanStep, arming_step
from tidegate.machine.topics import Topic
from tidegate.system.reboot import RebootAccepted, RebootKind, RebootRefused

if TYPE_CHECKING:
    from tidegate.machine.phases.executing import Executing
    from tidegate.machine.state import State, Step


def stage(state: State, phase: Executing, now: Now) -> Step:
    """Let the engine download and prepare the release."""
    return executing.under_way(state, phase, lambda task: Stage(task, phase.target))


def staged(state: State, phase: Executing, result: Result, now: Now) -> Step:
    """Staged, by the engine's own status; where staging arms, armed."""
    host = _view(phase, result)
    if phase.step is arming_step(phase.plan):
        return armed(state, phase, result, now)
    state = seen(state, host)
    if not state.has_staged(phase.target):
        return failed(state, phase, without_effect(f"{phase.target.version} is not staged"), now)
    return executing.advance_if_allowed(recovered(state, "engine", "bus"), phase, now)


def prune(state: State, phase: Executing, now: Now) -> Step:
    """Delete older releases. There is no way back from here but to the running one."""
    return executing.under_way(state, phase, lambda task: Prune(task, phase.target))


def pruned(state: State, phase: Executing, result: Result, now: Now) -> Step:
    """There is as much room as there can be."""
    return executing.advance_if_allowed(seen(state, _view(phase, result)), phase, now)


def write_intent(state: State, phase: Executing, now: Now) -> Step:
    """The intent goes to disk in one write with the record of the step that follows, before that step begins."""
    intent = attempts.intent(state, phase.target, phase.mandate, now)
    if state.traits.reboots is RebootOwner.ENGINE:
        intent = attempts.requested(intent, now)
    state = attempts.begun(state, phase, now)
    state = replace(state, records=state.records.opened(intent))
    text = f"finalizing {phase.target.version}: {phase.mandate.reason}, all gates allow"
    note = Announce(Topic.FINALIZING, NOTICE, text, phase.target.version)
    state, effects = executing.advance(state, phase, now)
    return state, (note, *effects)


def never_asked(state: State, phase: Executing, result: Result, now: Now) -> Step:
    """A step that is done as soon as it begins gets no answer."""
    raise executing.unexpected(phase, result)


def arm(state: State, phase: Executing, now: Now) -> Step:
    """Let the next boot lead to the target."""
    state = attempts.begun(state, phase, now)
    timeout_secs = state.traits.arm_timeout_secs
    verb = Arm if state.records.rollback is None else Rollback
    return executing.under_way(state, phase, lambda task: verb(task, phase.target, timeout_secs))


def armed(state: State, phase: Executing, result: Result, now: Now) -> Step:
    """Armed, by the engine's own status: an engine may report success and have done nothing."""
    host = _view(phase, result)
    state = seen(state, host)
    if state.traits.reboots is RebootOwner.ENGINE or state.shutting_down:
        return executing.going_down(state, phase, now)
    if host.engine.next_boot != phase.target.payload:
        text = f"the next boot does not lead to {phase.target.version}"
        return failed(state, phase, without_effect(text), now)
    return executing.advance(state, phase, now)


def failed(state: State, phase: Executing, failure: Failure, now: Now) -> Step:
    """The engine could not: called off. It counts as an attempt."""
    wait = Wait(ENGINE.name, failure.message, remedy=failure.remedy)
    return attempt_failed(state, phase, wait, failure, now)


def attempt_failed(state: State, phase: Executing, wait: Wait, failure: Failure, now: Now) -> Step:
    """Called off, and counted: what cannot be done is not tried for ever with the fleet's lock taken each time.

    A record that could not be saved says nothing of the host, and is not counted.
    """
    state = troubled(state, failure, now)
    if failure.area == "record":
        return executing.call_off(state, phase, (wait,), now)
    version, closing = phase.target.version, f"{_NOUNS[phase.step]} failed: {failure.message}"
    note = Announce(Topic.ATTEMPT_FAILED, WARNING, f"{version}: {closing}", version)
    state, ending = attempts.failed(state, phase, closing, now)
    state, effects = executing.call_off(state, phase, (wait,), now, closing=ending)
    return state, (note, *effects)


_NOUNS = {
    PlanStep.STAGE: "staging",
    PlanStep.PRUNE: "deleting older releases",
    PlanStep.WRITE_INTENT: "arming",
    PlanStep.ARM: "arming",
    PlanStep.HAND_OVER: "the hand-over",
    PlanStep.STOP_WORKLOAD: "stopping the workload",
}


def request_reboot(state: State, phase: Executing, now: Now) -> Step:
    """Ask logind; that it was asked is on record first."""
    assert state.records.intent is not None  # noqa: S101 - every plan writes it before
    intent = attempts.requested(state.records.intent, now)
    state = replace(state, records=state.records.opened(intent))
    kind = RebootKind(intent.kind)  # what is asked for is what the next boot is compared with
    announcement = f"Tidegate reboots this host into {phase.target.version} ({intent.reason})"
    return executing.under_way(state, phase, lambda task: Reboot(task, kind, announcement))


def reboot_answered(state: State, phase: Executing, result: Result, now: Now) -> Step:
    """Logind accepted or refused."""
    state = recovered(state, "reboot", "bus")
    match result:
        case RebootAccepted():
            return executing.going_down(state, phase, now)
        case RebootRefused() if state.shutting_down:
            return executing.going_down(state, phase, now)
        case RebootRefused(reason, remedy):
            return executing.call_off(state, phase, (Wait(LOGIND.name, reason, remedy=remedy),), now)
        case _:
            raise executing.unexpected(phase, result)


def request_failed(state: State, phase: Executing, failure: Failure, now: Now) -> Step:
    """The request may have been heard. Disarming now could race the shutdown, so that comes a little later."""
    grace_secs = rebooting.REBOOT_GRACE_SECS if state.shutting_down else rebooting.UNCERTAIN_SECS
    then = rebooting.Rebooting(phase.target, phase.since, now.boot_secs + grace_secs, failure.message)
    note = Announce(Topic.REBOOT_FAILED, WARNING, failure.message, phase.target.version)
    return enter(troubled(state, failure, now), then), (*reply(phase.mandate.request, failure), note)


def _view(phase: Executing, result: Result) -> HostView:
    if not isinstance(result, HostView):
        raise executing.unexpected(phase, result)
    return result


RULES: Mapping[PlanStep, StepRule] = {
    PlanStep.STAGE: StepRule(stage, staged, failed, "staging {}"),
    PlanStep.PRUNE: StepRule(prune, pruned, failed, "deleting older releases to make room for {}"),
    PlanStep.WRITE_INTENT: StepRule(write_intent, never_asked, failed, "making {} the default for the next boot"),
    PlanStep.ARM: StepRule(arm, armed, failed, "making {} the default for the next boot"),
    PlanStep.REQUEST_REBOOT: StepRule(
        request_reboot, reboot_answered, request_failed, "asking logind to reboot into {}"
    ),
}
