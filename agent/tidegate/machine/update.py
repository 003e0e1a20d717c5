"""From a newer release to the word of every gate.

::

    Steady --offers--> Staging --> Staged <--wait-- Deciding --all allow--> the lock, arming: .finalize
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
from tidegate.machine.effects import ERROR, NOTICE, Announce, AskGates, Effect, GiveNotice, Reply, Stage
from tidegate.machine.events import ApplyAsked, HostView
from tidegate.machine.finalize import GOING_DOWN, proceed
from tidegate.machine.parts import (
    HOST_GOING_DOWN,
    SWITCHING,
    backed_off,
    enter,
    recovered,
    refusal,
    reply,
    seen,
    take_id,
    troubled,
    turned_away,
)
from tidegate.machine.phases import (
    CheckingGates,
    Disarming,
    Finalizing,
    Mandate,
    Rebooting,
    RollbackPending,
    Staged,
    Staging,
    Steady,
)
from tidegate.machine.state import State, Step
from tidegate.machine.topics import Topic
from tidegate.machine.waiting import agent_waits_before_lock, mandate_of, waiting, waiting_since, waits
from tidegate.release import Release

# --------------------------------------------------------------------------- staging


def staged(state: State, phase: Staging, host: HostView, now: Now) -> Step:
    """The engine has staged the target, locked."""
    state = recovered(seen(state, host), *SWITCHING)
    answers = tuple(Reply(request.id, f"{phase.target.version} is staged") for request in state.requests)
    state = replace(state, requests=(), poll=replace(state.poll, staging_failures=0))
    version = phase.target.version
    note = Announce(Topic.STAGED, NOTICE, f"staged {version}", version)
    if state.records.denial_of(phase.target.payload) is not None:
        return enter(state, Steady()), (*answers, note)
    return waiting(state, phase.target, waiting_since(state, now), (), now), (*answers, note)


def staging_failed(state: State, phase: Staging, failure: Failure, now: Now) -> Step:
    """Back to steady; the next check, later each time, tries again."""
    failures = state.poll.staging_failures + 1
    later = replace(state.poll, due=backed_off(state, failures, now), staging_failures=failures)
    state, answers = turned_away(replace(troubled(state, failure, now), poll=later), failure)
    version = phase.target.version
    note = Announce(Topic.STAGING_FAILED, ERROR, f"could not stage {version}: {failure.message}", version)
    return enter(state, Steady(wanted=phase.target)), (*answers, note)


def stage(state: State, target: Release, since: datetime) -> Step:
    task, state = take_id(state)
    return enter(state, Staging(target, since, task)), (Stage(task, target),)


# --------------------------------------------------------------------------- deciding


def evaluate(state: State, phase: Staged | RollbackPending) -> Step:
    """Ask the gates, as the strategy would have it."""
    return decide(state, phase, mandate_of(state))


def apply_asked(state: State, event: ApplyAsked) -> Step:
    """A person wants the staged release finalized now."""
    if not isinstance(state.phase, Staged):
        return state, (Reply(event.request_id, _nothing_to_apply(state)),)
    mandate = Mandate(event.purpose, event.reason, event.request_id, event.overrides)
    held = agent_waits_before_lock(state, state.phase.target, mandate)
    why_not = HOST_GOING_DOWN if state.shutting_down else state.policy.blocked or (refusal(held) if held else None)
    if why_not is not None:
        return state, (Reply(event.request_id, why_not),)
    return decide(state, state.phase, mandate)


def _nothing_to_apply(state: State) -> Failure:
    if isinstance(state.phase, Finalizing | Rebooting | Disarming):
        return Failure(ErrorKind.AGENT_BUSY, f"the agent is {state.phase.activity}", "ask again when that is over")
    why = f"no release is staged (the agent is {state.phase.activity})"
    return Failure(ErrorKind.AGENT_NOTHING_TO_APPLY, why, "stage one first: tidegate stage")


def decide(state: State, phase: Staged | RollbackPending, mandate: Mandate) -> Step:
    """Ask every gate that guards the purpose of ``order``."""
    task, state = take_id(state)
    ask = AskGates(task, phase.target, mandate.purpose, mandate.overrides, state.noticed)
    return enter(state, CheckingGates(phase.target, phase.since, mandate, task)), (ask,)


def decided(state: State, phase: CheckingGates, verdicts: tuple[Verdict, ...], now: Now) -> Step:
    """The gates answered: go on to the lock, give people notice, or wait."""
    found = (*agent_waits_before_lock(state, phase.target, phase.mandate), *verdicts)
    if state.shutting_down:
        found = (GOING_DOWN, *found)
    held = waits(found)
    if not held:
        return proceed(state, phase, now)
    state, notices = _noticed(state, held, now)
    state = waiting(state, phase.target, phase.since, found, now)
    return state, (*reply(phase.mandate.request, refusal(held)), *notices)


def gates_failed(state: State, phase: CheckingGates, failure: Failure, now: Now) -> Step:
    """The gates could not be asked: that is a no."""
    return decided(state, phase, (Wait("gates", failure.message, remedy=failure.remedy),), now)


def _noticed(state: State, held: tuple[Wait, ...], now: Now) -> Step:
    """People are told where nothing else holds the reboot: what may not come for days is not announced."""
    if any(wait.notice is None for wait in held):
        return state, ()
    effects: list[Effect] = []
    for wait in held:
        if wait.notice is not None:
            task, state = take_id(state)
            effects.append(GiveNotice(task, wait.notice))
    given = {wait.gate: now for wait in held}
    return replace(state, noticed={**state.noticed, **given}), tuple(effects)
