"""Armed: the last look, the reboot, and every way back.

::

    Arming --> Confirming --> Requesting --accepted--> Rebooting
       |  failed    | wait        | refused               | still up at the deadline, or called off
       +------------+-------------+-----------------------+--> Disarming --> Staged

Every gate is asked again after arming. The intent leaves the disk only when the engine has disarmed. Logind may have
heard a request that it did not answer: that is waited for before anything is taken back.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from tidegate.clock import Now
from tidegate.errors import Failure
from tidegate.gates.base import Verdict, Wait
from tidegate.machine.effects import (
    ERROR,
    NOTICE,
    WARNING,
    Announce,
    AskGates,
    Disarm,
    Effect,
    Reboot,
)
from tidegate.machine.events import Accepted, HostView, RebootAnswer, Refused
from tidegate.machine.parts import (
    SWITCHING,
    enter,
    recovered,
    refusal,
    reply,
    seen,
    take_id,
    troubled,
)
from tidegate.machine.phases import (
    Arming,
    Confirming,
    Disarming,
    Finalizing,
    Rebooting,
    Requesting,
    Steady,
)
from tidegate.machine.state import State, Step
from tidegate.machine.waiting import all_allow, waiting, with_policy
from tidegate.records import Outcome, RebootRequest

REBOOT_GRACE_SECS = 600.0
"""From logind's yes to the conclusion that the host does not go down: longer than the slowest honest shutdown (stop
timeouts are 90 s, a few in a row), far shorter than a day of waiting."""

UNCERTAIN_SECS = 60.0
"""As long when logind did not answer: a shutdown that has begun is announced on the bus within a second or two."""

UNDO_RETRY_SECS = 30.0
"""Between two tries to disarm: soon, because until it is done any reboot leads into a release that was called off."""


# --------------------------------------------------------------------------- arming, the last look, the reboot


def armed(state: State, phase: Arming, host: HostView, now: Now) -> Step:
    """The engine has armed: ask every gate once more."""
    state = seen(state, host)
    if state.shutting_down:
        return _going_down(state, phase, now)
    task, state = take_id(state)
    confirming = Confirming(phase.target, phase.since, phase.purpose, task, phase.request)
    return enter(state, confirming), (AskGates(task, phase.target, phase.purpose),)


def confirmed(state: State, phase: Confirming, verdicts: tuple[Verdict, ...], now: Now) -> Step:
    """The last look: go, or take everything back."""
    if state.shutting_down:
        return _going_down(state, phase, now)
    verdicts = with_policy(state, phase.purpose, verdicts)
    if not all_allow(verdicts):
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
    announcement = f"Tidegate reboots this host into {phase.target.version} ({intent.reason})"
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
    state = recovered(seen(state, host), *SWITCHING)
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
