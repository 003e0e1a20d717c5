"""The watch over a boot: looks at its health until it is found well or not, and what follows.

::

    Verifying --well to the end of the watch--> Accepting --the engine knows--> Steady, the attempt is closed
       |  not well
       +-- pause -----> Paused --well after all--> Verifying        --a person resumes--> Accepting
       +-- continue --> Accepting, on record
       +-- rollback --> .rollback, or Paused where there is no way back

The watch is on disk while it lasts, so that an agent that is restarted goes on with it. A host that comes up in the
target again, after a power cut say, is watched from the beginning: what cut it off says nothing about the release.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from tidegate.clock import Now
from tidegate.errors import ErrorKind, Failure
from tidegate.health.base import ProbeResult
from tidegate.health.judgement import NO_CHECKS, Bad, CheckState, Good, Watching, failing, judge, updated
from tidegate.machine import rollback
from tidegate.machine.effects import ERROR, NOTICE, WARNING, Announce, Effect, MarkGood, ReadHealth, Reply
from tidegate.machine.events import HostView, ResumeAsked
from tidegate.machine.parts import SWITCHING, booted_release, enter, recovered, take_id, troubled
from tidegate.machine.parts import seen as host_seen
from tidegate.machine.phases import MarkingGood, Paused, Steady, Verifying
from tidegate.machine.state import FailureAction, State, Step
from tidegate.machine.topics import Topic
from tidegate.records.model import LockState, Outcome, Verification
from tidegate.release import Purpose

RETRY_SECS = 30.0
"""Between two tries at what the disk or the engine did not take."""

PAUSED_LOOK_SECS = 60.0
"""Between two looks at a boot that was found not well: a person may be mending it."""

LOOKING = ("health", "agent", "bus")
"""What may go wrong with a look: areas of kinds."""

# --------------------------------------------------------------------------- watching


def begin(state: State, now: Now) -> Step:
    """The host has come up in the target of the intent: watch it, or go on with that where this boot is watched."""
    version = booted_release(state).version
    known = state.records.verification
    if known is not None and known.boot == state.boot and known.bad:
        return enter(state, Paused(known.bad, look_at=now.boot_secs)), ()
    if known is not None and known.boot == state.boot:
        return look(state, Verifying(known.began_secs))
    boots = 1 if known is None else known.boots + 1
    state, effects = _watch(state, boots, now)
    again = f", for the {boots}. time: the boots before did not last" if boots > 1 else ""
    note = Announce(Topic.VERIFYING, WARNING if again else NOTICE, f"booted into {version}, verifying{again}", version)
    return state, (note, *effects)


def _watch(state: State, boots: int, now: Now) -> Step:
    watch = Verification(state.boot, now.boot_secs, boots)
    state = replace(state, records=replace(state.records, verification=watch))
    return look(state, Verifying(now.boot_secs, checks=checks_of(state)))


def checks_of(state: State) -> tuple[CheckState, ...]:
    """What is known of the checks, while anybody watches."""
    match state.phase:
        case Verifying(checks=checks) | MarkingGood(checks=checks) | Paused(checks=checks):
            return checks
        case _:
            return NO_CHECKS


def look(state: State, phase: Verifying) -> Step:
    """Look at the boot's health."""
    task, state = take_id(state)
    return enter(state, replace(phase, task=task, look_at=None)), (_read_health(state, task),)


def _read_health(state: State, task: int) -> ReadHealth:
    intent = state.records.intent
    return ReadHealth(task, frozenset() if intent is None else frozenset(intent.failed_units))


def health_read(state: State, phase: Verifying, found: ProbeResult, now: Now) -> Step:
    """One look at the boot's health."""
    terms, elapsed_secs = state.policy.health, now.boot_secs - phase.began
    phase = replace(phase, checks=updated(phase.checks, found, terms, elapsed_secs))
    state = enter(recovered(state, *LOOKING), phase)
    match judge(phase.checks, terms, elapsed_secs):  # of three; both type checkers see that none is missing
        case Watching(reason):
            return _look_later(state, replace(phase, pending=reason), now), ()
        case Good(remark):
            return accept(state, f"verified{remark and f', though not all is well: {remark}'}")
        case Bad(evidence):
            return _not_well(state, evidence, found.journal_cursor, now)


def health_unreadable(state: State, phase: Verifying, failure: Failure, now: Now) -> Step:
    """Not being able to look says nothing about the boot: nothing is concluded until somebody can."""
    first = state.trouble is None or state.trouble.failure.kind is not failure.kind
    version = booted_release(state).version
    text = f"the health of {version} is not known: {failure.message}"
    notes = (Announce(Topic.VERIFYING, WARNING, text, version),) if first else ()
    return _look_later(troubled(state, failure, now), replace(phase, pending=text), now), notes


def _look_later(state: State, phase: Verifying, now: Now) -> State:
    end = phase.began + state.policy.health.monitor_secs
    later = now.boot_secs + state.policy.health.interval_secs
    return enter(state, replace(phase, task=None, look_at=min(later, end) if now.boot_secs < end else later))


def unrecorded(state: State, phase: Verifying | MarkingGood | Paused, failure: Failure, now: Now) -> Step:
    """A verdict that the disk did not take is none: look, or confirm, again."""
    match phase:
        case Verifying():
            again = replace(phase, task=None, look_at=now.boot_secs + RETRY_SECS)
            return enter(troubled(state, failure, now), again), ()
        case MarkingGood():
            return accept_failed(state, phase, failure, now)
        case Paused():
            return look_later(state, phase, now), ()
        case _:
            assert_never(phase)


# --------------------------------------------------------------------------- well


def accept(state: State, detail: str) -> Step:
    """The boot counts as good: tell the engine."""
    return confirm(state, MarkingGood(detail, checks_of(state)))


def confirm(state: State, phase: MarkingGood) -> Step:
    """Ask the engine to note that the boot is good."""
    task, state = take_id(state)
    return enter(state, replace(phase, task=task, retry_at=None)), (MarkGood(task, booted_release(state)),)


def accepted(state: State, phase: MarkingGood, host: HostView, now: Now) -> Step:
    """The engine has taken the confirmation: the attempt is over."""
    state = recovered(host_seen(state, host), *SWITCHING)
    booted = booted_release(state)
    records = state.records.closed(Outcome.APPLIED, phase.detail, now).lock_is(LockState.RELEASE_OWED)
    state = replace(state, records=replace(records, settled=booted))
    return enter(state, Steady()), (_applied(booted.version, phase.detail),)


def _applied(version: str, detail: str) -> Effect:
    return Announce(Topic.APPLIED, NOTICE, f"{version} is applied: {detail}", version)


def accept_failed(state: State, phase: MarkingGood, failure: Failure, now: Now) -> Step:
    """The boot is well and that could not be noted: until it is, a boot loader may still fall back."""
    again = replace(phase, task=None, retry_at=now.boot_secs + RETRY_SECS)
    return enter(troubled(state, failure, now), again), ()


# --------------------------------------------------------------------------- not well


def _not_well(state: State, evidence: str, cursor: str, now: Now) -> Step:
    intent = state.records.intent
    if intent is None or intent.purpose == Purpose.ROLLBACK:
        return _pause(state, f"neither it nor the release that was left for it is well: {evidence}", now)
    action = state.policy.failure_action
    match action:
        case FailureAction.PAUSE:
            return _pause(state, evidence, now)
        case FailureAction.CONTINUE:
            return _keep(state, evidence, now)
        case FailureAction.ROLLBACK if objection := rollback.objection(state, intent):
            return _pause(state, f"{evidence}; it is not rolled back: {objection}", now)
        case FailureAction.ROLLBACK:
            return rollback.unhealthy(state, evidence, cursor, now)
        case _:
            assert_never(action)


def _keep(state: State, evidence: str, now: Now) -> Step:
    version = booted_release(state).version
    text = f"{version} is not well and is kept, as health.failure_action has it: {evidence}"
    failure = Failure(ErrorKind.HEALTH_BAD, text, "mend it, or: tidegate rollback --reason TEXT")
    state, effects = accept(troubled(state, failure, now), f"kept though not well: {evidence}")
    return state, (Announce(Topic.UNHEALTHY, ERROR, text, version), *effects)


def _pause(state: State, reason: str, now: Now) -> Step:
    """Nothing more is done, the lock is kept, and everybody is told."""
    version = booted_release(state).version
    known = state.records.verification or Verification(state.boot, now.boot_secs)
    paused = Paused(reason, now.boot_secs + PAUSED_LOOK_SECS, checks_of(state))
    state = replace(state, records=replace(state.records, verification=replace(known, bad=reason)))
    text = f"{version} is not well, updates are paused: {reason}"
    return enter(state, paused), (Announce(Topic.PAUSED, ERROR, text, version),)


def look_again(state: State, phase: Paused) -> Step:
    """Has somebody mended it?"""
    task, state = take_id(state)
    return enter(state, replace(phase, task=task)), (_read_health(state, task),)


def paused_health(state: State, phase: Paused, found: ProbeResult, now: Now) -> Step:
    """Watch it anew where nothing fails any more; stay paused otherwise."""
    terms = state.policy.health
    phase = replace(phase, checks=updated(phase.checks, found, terms, terms.monitor_secs))
    if failing(found):
        return look_later(state, phase, now), ()
    known = state.records.verification
    return _watch(enter(state, phase), 1 if known is None else known.boots, now)


def look_later(state: State, phase: Paused, now: Now) -> State:
    """Paused, with the next look in a minute."""
    return enter(state, replace(phase, task=None, look_at=now.boot_secs + PAUSED_LOOK_SECS))


def resume_asked(state: State, event: ResumeAsked) -> Step:
    """A person takes the release as it is."""
    if not isinstance(state.phase, Paused):
        remedy = "tidegate allow VERSION" if state.records.rollback is not None else "tidegate status"
        why = Failure(ErrorKind.AGENT_BAD_REQUEST, f"nothing is paused (the agent is {state.phase.activity})", remedy)
        return state, (Reply(event.request_id, why),)
    version = booted_release(state).version
    detail = f"not well ({state.phase.reason}), and taken as it is: {event.reason}"
    state, effects = accept(state, detail)
    note = Announce(Topic.RESUMED, WARNING, f"{version} is {detail}", version)
    return state, (Reply(event.request_id, f"updates go on, with {version} as it is"), note, *effects)
