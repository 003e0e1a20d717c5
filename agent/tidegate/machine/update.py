"""From a newer release to the reboot, and every way back.

::

    Steady --offers--> Staging --> Staged <------------------------------+
                        ^          |  evaluate, or a person applies    |
                        |          v                                   |
              a newer release   Deciding --wait-----------------------+|
                                   | all allow: intent on disk         |
                                   v                                   |
                                 Arming --> Confirming --> Requesting  |
                                   |  failed    | wait        | refused|
                                   +------------+-------------+--> Disarming
                                                              |        ^
                                                   accepted   v        | still up at the deadline
                                                          Rebooting ---+

Rules: the intent is on disk before the engine arms, and leaves it only when the engine has disarmed. Every gate is
asked again after arming. Nothing new begins while the host is going down.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import assert_never

from tidegate.clock import Now
from tidegate.errors import ErrorKind, Failure
from tidegate.gates.base import Verdict, Wait
from tidegate.machine.effects import (
    ERROR,
    NOTICE,
    WARNING,
    Announce,
    Arm,
    AskGates,
    Disarm,
    Effect,
    Reboot,
    Reply,
    Stage,
)
from tidegate.machine.events import Accepted, ApplyAsked, HostView, RebootAnswer, Refused
from tidegate.machine.parts import (
    HOST_GOING_DOWN,
    SWITCHING,
    backed_off,
    enter,
    phase_name,
    recovered,
    refusal,
    reply,
    take_id,
    troubled,
    turned_away,
)
from tidegate.machine.phases import (
    Arming,
    Confirming,
    Deciding,
    Disarming,
    Finalizing,
    Rebooting,
    Requesting,
    Staged,
    Staging,
    Steady,
)
from tidegate.machine.state import State, Step
from tidegate.purpose import Purpose
from tidegate.records import Intent, Outcome, RebootRequest
from tidegate.release import Release

MAX_ATTEMPTS = 3
"""Attempts in a row that came to nothing, after which only a person or a newer release starts another."""

REBOOT_GRACE_SECS = 600.0
"""From logind's yes to the conclusion that the host does not go down: longer than the slowest honest shutdown (stop
timeouts are 90 s, a few in a row), far shorter than a day of waiting."""

UNCERTAIN_SECS = 60.0
"""As long when logind did not answer: a shutdown that has begun is announced on the bus within a second or two."""

RETRY_BASE_SECS = 300.0
"""Before the second attempt; doubled before each further one."""

UNDO_RETRY_SECS = 30.0
"""Between two tries to disarm: soon, because until it is done any reboot leads into a release that was called off."""

# --------------------------------------------------------------------------- staging


def staged(state: State, phase: Staging, host: HostView, now: Now) -> Step:
    """The engine has staged the target, locked."""
    state = recovered(_seen(state, host), *SWITCHING)
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
    verdicts = _with_policy(state, phase.purpose, verdicts)
    if state.shutting_down:
        verdicts = (GOING_DOWN, *verdicts)
    if _all_allow(verdicts):
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


GOING_DOWN = Wait("host", "the host is going down already")


def _all_allow(verdicts: tuple[Verdict, ...]) -> bool:
    return not any(isinstance(verdict, Wait) for verdict in verdicts)


def _with_policy(state: State, purpose: Purpose, verdicts: tuple[Verdict, ...]) -> tuple[Verdict, ...]:
    """The settings may have changed while the gates were asked."""
    by_person = purpose is Purpose.MANUAL and state.policy.blocked is None
    held = None if by_person else _held_by_policy(state)
    return verdicts if held is None else (held, *verdicts)


def _held_by_policy(state: State) -> Wait | None:
    if state.policy.blocked is not None:
        return Wait("config", state.policy.blocked.message, remedy=state.policy.blocked.remedy)
    if not state.policy.enabled:
        return Wait("updates", "updates.enabled is false", remedy="tidegate apply --now --reason TEXT")
    return None


def _held_by_attempts(state: State, target: Release) -> Wait | None:
    failures = state.records.failures_in_a_row(target.payload)
    if failures < MAX_ATTEMPTS:
        return None
    last = state.records.history[-1]
    return Wait(
        "attempts",
        f"{failures} attempts in a row came to nothing, the last one: {last.detail}",
        remedy="mend the cause, then: tidegate apply --now --reason TEXT",
    )


def waiting(state: State, target: Release, since: datetime, verdicts: tuple[Verdict, ...], now: Now) -> State:
    """Staged, with the instant at which the gates are asked next."""
    held = _held_by_policy(state) or _held_by_attempts(state, target)
    if held is not None:
        return enter(state, Staged(target, since, None, (held,)))
    return enter(state, Staged(target, since, _next_evaluation(state, target, verdicts, now), verdicts))


def _next_evaluation(state: State, target: Release, verdicts: tuple[Verdict, ...], now: Now) -> float:
    """At once when nothing is known; else when a gate expects to open, at the latest at the steady interval."""
    failures = state.records.failures_in_a_row(target.payload)
    if failures:
        return now.boot_secs + RETRY_BASE_SECS * 2.0 ** (failures - 1)
    if not verdicts:
        return now.boot_secs
    steady = float(state.policy.steady_interval_secs)
    openings = [
        max(1.0, (verdict.until - now.wall).total_seconds())
        for verdict in verdicts
        if isinstance(verdict, Wait) and verdict.until is not None
    ]
    return now.boot_secs + min([steady, *openings])


# --------------------------------------------------------------------------- arming, the last look, the reboot


def armed(state: State, phase: Arming, host: HostView, now: Now) -> Step:
    """The engine has armed: ask every gate once more."""
    state = _seen(state, host)
    if state.shutting_down:
        return _going_down(state, phase, now)
    task, state = take_id(state)
    confirming = Confirming(phase.target, phase.since, phase.purpose, task, phase.request)
    return enter(state, confirming), (AskGates(task, phase.target, phase.purpose),)


def confirmed(state: State, phase: Confirming, verdicts: tuple[Verdict, ...], now: Now) -> Step:
    """The last look: go, or take everything back."""
    if state.shutting_down:
        return _going_down(state, phase, now)
    verdicts = _with_policy(state, phase.purpose, verdicts)
    if not _all_allow(verdicts):
        return call_off(state, phase, verdicts)
    return _request_reboot(state, phase, now)


def answered(state: State, phase: Requesting, answer: RebootAnswer, now: Now) -> Step:
    """Logind said yes or no."""
    state = recovered(state, "reboot", "bus")
    match answer:
        case Accepted():
            return _going_down(state, phase, now)
        case Refused() if state.shutting_down:
            return _going_down(state, phase, now)
        case Refused(reason, remedy):
            return call_off(state, phase, (Wait("logind", reason, remedy=remedy),))
        case _:
            assert_never(answer)


def finalizing_failed(state: State, phase: Arming | Confirming, failure: Failure, now: Now) -> Step:
    """A step after the intent broke: take everything back."""
    gate = "engine" if isinstance(phase, Arming) else "gates"
    return call_off(troubled(state, failure, now), phase, (Wait(gate, failure.message, remedy=failure.remedy),))


def request_failed(state: State, phase: Requesting, failure: Failure, now: Now) -> Step:
    """Logind may have heard us or not. Disarming now could race the shutdown, so that comes a little later."""
    grace_secs = REBOOT_GRACE_SECS if state.shutting_down else UNCERTAIN_SECS
    rebooting = Rebooting(phase.target, phase.since, now.boot_secs + grace_secs, failure.message)
    answers = reply(phase.request, failure)
    return enter(troubled(state, failure, now), rebooting), (*answers, Announce(WARNING, failure.message))


def _request_reboot(state: State, phase: Confirming, now: Now) -> Step:
    assert state.records.intent is not None  # noqa: S101 - written before arming, kept until disarmed
    intent = replace(state.records.intent, requested=RebootRequest(now.wall, now.boot_secs))
    task, state = take_id(state)
    state = replace(state, records=state.records.opened(intent))
    requesting = Requesting(phase.target, phase.since, phase.purpose, task, phase.request)
    announcement = f"Tidegate reboots this host into {phase.target.version} ({intent.reason})."
    return enter(state, requesting), (Reboot(task, announcement),)


def _going_down(state: State, phase: Finalizing, now: Now) -> Step:
    still_up = f"logind accepted, and the host was still up {REBOOT_GRACE_SECS:.0f} s later"
    rebooting = Rebooting(phase.target, phase.since, now.boot_secs + REBOOT_GRACE_SECS, still_up)
    note = Announce(NOTICE, f"the host goes down, next: {phase.target.version}")
    return enter(state, rebooting), (*reply(phase.request, f"rebooting into {phase.target.version}"), note)


def shutdown_begun(state: State, phase: Rebooting, now: Now) -> State:
    """It is certain now that the host goes down: from here it has as long as the slowest honest shutdown takes."""
    deadline = max(phase.deadline, now.boot_secs + REBOOT_GRACE_SECS)
    return enter(state, replace(phase, deadline=deadline))


# --------------------------------------------------------------------------- the way back


def call_off(state: State, phase: Finalizing, verdicts: tuple[Verdict, ...]) -> Step:
    """Disarm; the attempt never happened."""
    why = refusal(verdicts)
    state, effects = disarm(state, Disarming(phase.target, phase.since, None, verdicts))
    return state, (*reply(phase.request, why), Announce(NOTICE, f"called off: {why.message}"), *effects)


def did_not_go_down(state: State, phase: Rebooting, why: str) -> Step:
    """The reboot that logind accepted has not happened: it counts as an attempt, and is taken back."""
    state, effects = disarm(state, Disarming(phase.target, phase.since, None, (), closing=why))
    return state, (Announce(ERROR, f"expected reboot did not happen: {why}"), *effects)


def disarm(state: State, phase: Disarming) -> Step:
    """Ask the engine to take the arming back."""
    task, state = take_id(state)
    return enter(state, replace(phase, task=task, retry_at=None)), (Disarm(task, phase.target),)


def disarmed(state: State, phase: Disarming, host: HostView, now: Now) -> Step:
    """The next boot is the booted release again: now the intent may go."""
    state = recovered(_seen(state, host), *SWITCHING)
    records = state.records
    records = (
        records.abandoned() if phase.closing is None else records.closed(Outcome.NOT_ATTEMPTED, phase.closing, now)
    )
    state = replace(state, records=records)
    kept = host.engine.staged
    if kept is None or kept.payload != phase.target.payload or records.denial_of(kept.payload) is not None:
        return enter(state, Steady()), ()
    return waiting(state, phase.target, phase.since, phase.verdicts, now), ()


def disarm_failed(state: State, phase: Disarming, failure: Failure, now: Now) -> Step:
    """Say it loudly, and try again soon."""
    first = state.trouble is None or state.trouble.failure.kind is not failure.kind
    text = f"could not disarm {phase.target.version}, a reboot now would lead into it: {failure.message}"
    notes: tuple[Effect, ...] = (Announce(ERROR, text),) if first else ()
    again = replace(phase, task=None, retry_at=now.boot_secs + UNDO_RETRY_SECS)
    return enter(troubled(state, failure, now), again), notes


def _seen(state: State, host: HostView) -> State:
    return replace(state, host=host.engine, shutting_down=state.shutting_down or host.shutting_down)
