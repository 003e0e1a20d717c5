"""From a newer release to the intent on disk.

::

    Steady --offers--> Staging --> Staged <--wait-- Deciding --all allow: intent on disk--> Arming
                          ^           |  evaluate, or a person applies  ^
                          +-----------+---------------------------------+
                        a newer release

What follows is in :mod:`.finalize`, what holds a staged release in :mod:`.waiting`. Nothing new begins while the
host is going down.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from tidegate.clock import Now
from tidegate.errors import ErrorKind, Failure
from tidegate.gates.base import Verdict, Wait
from tidegate.machine.effects import (
    ERROR,
    NOTICE,
    Announce,
    Arm,
    AskGates,
    Reply,
    Stage,
)
from tidegate.machine.events import ApplyAsked, HostView
from tidegate.machine.parts import (
    HOST_GOING_DOWN,
    SWITCHING,
    backed_off,
    enter,
    phase_name,
    recovered,
    refusal,
    reply,
    seen,
    take_id,
    troubled,
    turned_away,
)
from tidegate.machine.phases import (
    Arming,
    Deciding,
    Disarming,
    Finalizing,
    Rebooting,
    Staged,
    Staging,
    Steady,
)
from tidegate.machine.state import State, Step
from tidegate.machine.waiting import all_allow, waiting, with_policy
from tidegate.purpose import Purpose
from tidegate.records import Intent
from tidegate.release import Release

GOING_DOWN = Wait("host", "the host is going down already")

# --------------------------------------------------------------------------- staging


def staged(state: State, phase: Staging, host: HostView, now: Now) -> Step:
    """The engine has staged the target, locked."""
    state = recovered(seen(state, host), *SWITCHING)
    answers = tuple(Reply(request.id, f"{phase.target.version} is staged") for request in state.requests)
    state = replace(state, requests=(), poll=replace(state.poll, staging_failures=0))
    note = Announce(NOTICE, f"staged {phase.target.version}")
    return waiting(state, phase.target, phase.since, (), now), (*answers, note)


def staging_failed(state: State, phase: Staging, failure: Failure, now: Now) -> Step:
    """Back to steady; the next check, later each time, tries again."""
    failures = state.poll.staging_failures + 1
    later = replace(state.poll, due=backed_off(state, failures, now), staging_failures=failures)
    state, answers = turned_away(replace(troubled(state, failure, now), poll=later), failure)
    note = Announce(ERROR, f"could not stage {phase.target.version}: {failure.message}")
    return enter(state, Steady(wanted=phase.target)), (*answers, note)


def stage(state: State, target: Release, since: datetime) -> Step:
    task, state = take_id(state)
    return enter(state, Staging(target, since, task)), (Stage(task, target),)


# --------------------------------------------------------------------------- deciding


def evaluate(state: State, phase: Staged) -> Step:
    """Ask the gates, as the strategy would have it."""
    return _decide(state, phase, Purpose.UPDATE, "automatic", None)


def apply_asked(state: State, event: ApplyAsked) -> Step:
    """A person wants the staged release finalized now."""
    if not isinstance(state.phase, Staged):
        return state, (Reply(event.request_id, _nothing_to_apply(state)),)
    why_not = HOST_GOING_DOWN if state.shutting_down else state.policy.blocked
    if why_not is not None:
        return state, (Reply(event.request_id, why_not),)
    return _decide(state, state.phase, Purpose.MANUAL, event.reason, event.request_id)


def _nothing_to_apply(state: State) -> Failure:
    name = phase_name(state)
    if isinstance(state.phase, Finalizing | Rebooting | Disarming):
        return Failure(ErrorKind.AGENT_BUSY, f"the agent is {name} already", "ask again when that is over")
    why = f"no release is staged (the agent is {name})"
    return Failure(ErrorKind.AGENT_NOTHING_TO_APPLY, why, "stage one first: tidegate stage")


def decided(state: State, phase: Deciding, verdicts: tuple[Verdict, ...], now: Now) -> Step:
    """The gates answered: write the intent and arm, or wait."""
    verdicts = with_policy(state, phase.purpose, verdicts)
    if state.shutting_down:
        verdicts = (GOING_DOWN, *verdicts)
    if all_allow(verdicts):
        return _arm(state, phase, now)
    return waiting(state, phase.target, phase.since, verdicts, now), reply(phase.request, refusal(verdicts))


def gates_failed(state: State, phase: Deciding, failure: Failure, now: Now) -> Step:
    """The gates could not be asked: that is a no."""
    return decided(state, phase, (Wait("gates", failure.message, remedy=failure.remedy),), now)


def _decide(state: State, phase: Staged, purpose: Purpose, reason: str, request: int | None) -> Step:
    task, state = take_id(state)
    deciding = Deciding(phase.target, phase.since, purpose, task, request, reason)
    return enter(state, deciding), (AskGates(task, phase.target, purpose),)


def _arm(state: State, phase: Deciding, now: Now) -> Step:
    assert state.host is not None  # noqa: S101 - a release was staged, so the host was read
    booted = state.host.booted
    intent = Intent(
        id=f"{now.wall:%Y%m%dT%H%M%SZ}-{state.boot.boot_id[:8]}",
        boot=state.boot,
        origin=Release(booted.version, booted.payload),
        target=phase.target,
        purpose=phase.purpose,
        reason=phase.reason,
        written_at=now.wall,
        had_entry=any(entry.payload == phase.target.payload for entry in state.host.entries),
    )
    task, state = take_id(state)
    state = replace(state, records=state.records.opened(intent))
    arming = Arming(phase.target, phase.since, phase.purpose, task, phase.request)
    note = Announce(NOTICE, f"finalizing {phase.target.version}: {phase.reason}, all gates allow")
    return enter(state, arming), (note, Arm(task, phase.target))
