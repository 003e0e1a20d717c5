"""The way back to the release before: decided, due until it has happened, and held by gates like any other reboot.

::

    Verifying, bad -------+
    a person asks --------+--> attempt closed, release denied, rollback due --> RollbackPending --> Executing

All of the decision is on disk in one write. A lock that is still held for the update that went wrong serves for the way
back, too. There is one automatic rollback a release: what comes up unhealthy again stays up, and says so.
"""

from __future__ import annotations

from dataclasses import replace

from tidegate.clock import Now
from tidegate.errors import ErrorKind, Failure
from tidegate.machine.effects import ERROR, WARNING, Announce, Reply
from tidegate.machine.events import RollbackAsked
from tidegate.machine.mandate import Mandate
from tidegate.machine.parts import HOST_GOING_DOWN, booted_release
from tidegate.machine.phases import executing, paused, verifying, waiting
from tidegate.machine.phases.steady import Steady
from tidegate.machine.state import State, Step
from tidegate.machine.topics import Topic
from tidegate.records.model import Denial, DenialCause, Ending, Intent, Outcome, RollbackDue
from tidegate.release import Purpose, Release
from tidegate.versions import compare

NO_WAY_BACK = "the engine of this host cannot go back to the release before"


def objection(state: State, intent: Intent) -> str:
    """Why the agent must not leave the release that ``intent`` led to by itself; empty where it may."""
    back = _release_before(state)
    if back is None:
        return "there is no release before it on this host"
    if not state.traits.can_rollback:
        return NO_WAY_BACK
    if (denial := state.records.denial_of(back.payload)) is not None:
        return f"{back.version}, the release before it, is denied ({denial.cause})"
    if intent.rollback_floor and compare(back.version, intent.rollback_floor) < 0:
        return f"it allows no way back below {intent.rollback_floor}, and the release before it is {back.version}"
    if state.records.was_left(intent.target.payload):
        return "it was rolled back once already"
    return ""


def unhealthy(state: State, evidence: str, cursor: str, now: Now) -> Step:
    """Deny the booted release, which is unhealthy, and prepare the rollback."""
    booted = booted_release(state)
    denial = Denial(booted, DenialCause.UNHEALTHY, evidence, now.wall, state.boot.boot_id, cursor)
    note = Announce(
        Topic.UNHEALTHY, ERROR, f"{booted.version} is unhealthy and has been denied: {evidence}", booted.version
    )
    state = replace(state, records=state.records.with_denied(denial))
    state = _decided(state, evidence, f"{booted.version} is unhealthy", now)
    return state, (note, _leaving(state))


def unproven(state: State, evidence: str, now: Now) -> Step:
    """Prepare the rollback from a release that does not last, though nothing proves that this is its fault."""
    booted = booted_release(state)
    note = Announce(Topic.UNHEALTHY, ERROR, f"{booted.version} is left, and not denied: {evidence}", booted.version)
    state = _decided(state, evidence, evidence, now)
    return state, (note, _leaving(state))


def asked(state: State, event: RollbackAsked, now: Now) -> Step:
    """A person wants to leave the booted release. What is decided stays decided where a gate has to be waited for."""
    why_not = _why_not(state)
    if why_not is not None:
        return state, (Reply(event.request_id, why_not),)
    if state.records.rollback is None:
        booted = booted_release(state)
        denial = Denial(booted, DenialCause.PERSON, event.reason, now.wall, state.boot.boot_id)
        state = replace(state, records=state.records.with_denied(denial))
        state = _decided(state, event.reason, event.reason, now)
    assert isinstance(state.phase, waiting.RollbackPending)  # noqa: S101 - it is due, or was decided just now
    note = _leaving(state)
    mandate = Mandate(Purpose.ROLLBACK, event.reason, event.request_id, event.overrides)
    state, effects = executing.start(state, state.phase.target, state.phase.since, mandate, now)
    return state, (note, *effects)


def _why_not(state: State) -> Failure | None:
    if state.shutting_down:
        return HOST_GOING_DOWN
    if state.policy.blocked is not None:
        return state.policy.blocked
    idle = Steady | waiting.Waiting | verifying.Verifying | paused.Paused
    if not isinstance(state.phase, idle):
        return Failure(ErrorKind.AGENT_BUSY, f"the agent is {state.phase.activity}", "ask again when that is over")
    back = _release_before(state)
    if back is None:
        none = "there is no release before the booted one on this host"
        return Failure(ErrorKind.ROLLBACK_IMPOSSIBLE, none, "stage another release: tidegate stage")
    if not state.traits.can_rollback:
        return Failure(ErrorKind.ROLLBACK_IMPOSSIBLE, NO_WAY_BACK, "stage another release: tidegate stage")
    denial = state.records.denial_of(back.payload)
    if denial is not None:
        denied = f"{back.version}, the release before the booted one, is denied ({denial.cause}: {denial.evidence})"
        return Failure(ErrorKind.ROLLBACK_IMPOSSIBLE, denied, f"tidegate allow {back.version} --reason TEXT")
    return None


def _release_before(state: State) -> Release | None:
    due = state.records.rollback
    if due is not None:
        return due.target
    found = None if state.host is None else state.host.rollback
    return None if found is None else Release(found.version, found.payload)


def _decided(state: State, evidence: str, reason: str, now: Now) -> State:
    """The booted release is rejected on this ``evidence``, and to be left for ``reason``."""
    target = _release_before(state)
    assert target is not None  # noqa: S101 - checked by those who decide
    booted, intent = booted_release(state), state.records.intent
    failed_before = sorted(state.failed_units) if intent is None else intent.failed_units
    due = RollbackDue(booted, target, reason, now.wall, tuple(failed_before))
    records = state.records.closed(Ending(Outcome.REJECTED, evidence), now)
    state = replace(state, records=replace(records, rollback=due, waiting=None, settled=booted))
    return waiting.wait(state, target, now.wall, (), now)


def _leaving(state: State) -> Announce:
    due = state.records.rollback
    assert due is not None  # noqa: S101 - decided just now, or before
    text = f"leaving {due.origin.version} for {due.target.version}: {due.reason}"
    return Announce(Topic.ROLLING_BACK, WARNING, text, due.origin.version)
