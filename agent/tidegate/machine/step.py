"""The machine's one door: ``step(state, event, now) -> (state, effects)``.

Pure: it reads nothing and does nothing. The loop saves the records of the new state, then runs the effects, and feeds
their answers back in here. Each phase has its own rules (:mod:`tidegate.machine.phases`); discovery (:mod:`.polling`)
and the release of locks (:mod:`.lock_duty`) go on beside all phases.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from tidegate.clock import Now
from tidegate.discovery.base import Offers
from tidegate.errors import Failure
from tidegate.fleetlock.account import LockReleased
from tidegate.health.base import ProbeResult
from tidegate.machine import ages, denials, lock_duty, polling
from tidegate.machine.effects import Reply
from tidegate.machine.events import (
    AllowAsked,
    ApplyAsked,
    CheckAsked,
    ClockSet,
    Completed,
    DenyAsked,
    Errored,
    Event,
    ForgetLockAsked,
    PolicyChanged,
    Progressed,
    RecordsUnwritable,
    Result,
    ResumeAsked,
    RollbackAsked,
    ShutdownSignal,
    StageAsked,
    Tick,
)
from tidegate.machine.parts import HOST_GOING_DOWN, enter, troubled, turned_away
from tidegate.machine.phases import paused, rebooting, rollback, starting, waiting
from tidegate.machine.state import Policy, Poll, Request, State, Step
from tidegate.records.model import Records
from tidegate.system.boot import BootInstance


def begin(boot: BootInstance, policy: Policy, records: Records, now: Now) -> Step:
    """The state of an agent that has just started, and its first effect."""
    state = State(boot, policy, records, starting.Starting(None), Poll(due=now.boot_secs), next_id=1)
    return starting.read_host(replace(state, poll=Poll(due=polling.first_due(state, now)), clock_base=now))


def next_wakeup(state: State) -> float | None:
    """The boot clock's reading at which a :class:`Tick` is due, or None while only outside events matter."""
    deadlines = (lock_duty.due(state), polling.poll_due(state), state.phase.wakeup(state))
    return min((deadline for deadline in deadlines if deadline is not None), default=None)


def step(state: State, event: Event, now: Now) -> Step:
    """Return the state after ``event``, and the effects that follow from it.

    Raises:
        TypeError: a task answered with a result of another kind; a defect in what runs the effects.
    """
    match event:
        case Completed(task, result):
            return _completed(state, task, result, now)
        case Errored(task, failure):
            return _errored(state, task, failure, now)
        case Progressed(task, progress):
            return enter(state, state.phase.progressed(task, progress)), ()
        case ShutdownSignal(active):
            return _shutdown(replace(state, shutting_down=active), now)
        case CheckAsked(request):
            return polling.asked(state, Request(request, wants_staging=False), now)
        case StageAsked(request):
            return polling.asked(state, Request(request, wants_staging=True), now)
        case ApplyAsked():
            return waiting.apply_asked(state, event, now)
        case ForgetLockAsked():
            return lock_duty.forget_asked(state, event)
        case ResumeAsked():
            return paused.resume_asked(state, event)
        case RollbackAsked():
            return rollback.asked(state, event, now)
        case DenyAsked():
            return denials.deny_asked(state, event, now)
        case AllowAsked():
            return denials.allow_asked(state, event, now)
        case PolicyChanged(policy):
            return _policy(replace(state, policy=policy), now)
        case ClockSet():
            return _asked_anew(ages.clock_set(state, now), now), ()
        case RecordsUnwritable(failure, lost):
            return _unwritable(state, failure, lost, now)
        case Tick():
            return _tick(state, now)
        case _:
            assert_never(event)


def _tick(state: State, now: Now) -> Step:
    """Do the one thing that is due; the phase's own deadline before a check, which would put a reboot off."""
    owed = lock_duty.due(state)
    if owed is not None and owed <= now.boot_secs:
        return lock_duty.attend(state)
    at = state.phase.wakeup(state)
    if at is not None and at <= now.boot_secs:
        return state.phase.due(state, now)
    due = polling.poll_due(state)
    if due is not None and due <= now.boot_secs:
        return polling.poll(state, now)
    return state, ()


def _completed(state: State, task: int, result: Result, now: Now) -> Step:
    if task == state.poll.task:
        return polling.offers_found(state, _expect_offers(result), now)
    if task == state.lock.task:
        return _lock_answered(state, result, now)
    return state.phase.answered(state, task, result, now) if state.phase.awaits(task) else (state, ())


def _lock_answered(state: State, result: Result, now: Now) -> Step:
    match result:
        case LockReleased() as answer:
            return lock_duty.released(state, answer)
        case ProbeResult() as found:
            return lock_duty.health_read(state, found, now)
        case _:
            raise TypeError(f"the release of the lock was answered with {type(result).__name__}")


def _expect_offers(result: Result) -> Offers:
    if not isinstance(result, Offers):
        raise TypeError(f"discovery was answered with {type(result).__name__}")
    return result


def _errored(state: State, task: int, failure: Failure, now: Now) -> Step:
    if task == state.poll.task:
        return polling.find_failed(state, failure, now)
    if task == state.lock.task:
        return lock_duty.failed(state, failure, now)
    return state.phase.failed(state, task, failure, now) if state.phase.awaits(task) else (state, ())


def _shutdown(state: State, now: Now) -> Step:
    """A shutdown that is called off leaves the host up with a release armed: take that back."""
    match state.phase:
        case rebooting.Rebooting() as phase if not state.shutting_down:
            return rebooting.did_not_go_down(state, phase, "the shutdown was called off", now)
        case rebooting.Rebooting() as phase:
            state = rebooting.shutdown_begun(state, phase, now)
        case _:
            pass
    return turned_away(state, HOST_GOING_DOWN) if state.shutting_down else (state, ())


def _policy(state: State, now: Now) -> Step:
    """New settings: ask the gates anew, and let a running wait for discovery stand."""
    blocked = state.policy.blocked
    state, answers = (state, ()) if blocked is None else turned_away(state, blocked)
    return _asked_anew(state, now), answers


def _asked_anew(state: State, now: Now) -> State:
    """Ask the gates anew: their last verdicts may no longer hold."""
    match state.phase:
        case waiting.Waiting(target=target, since=since):
            return waiting.wait(state, target, since, (), now)
        case _:
            return state


def _unwritable(state: State, failure: Failure, lost: Event, now: Now) -> Step:
    """The step that ``lost`` made could not be recorded, so it was not taken: back to where nothing depends on it.

    The records stay what they are on disk. A step that would only have made a note, of since when something waits say,
    is taken without that note: new settings are not to be lost to a full disk. One that only ends what was under way is
    taken as well, with its records, which are saved with a later step: giving a lock back needs no disk.
    """
    retaken, effects = step(state, lost, now)
    if retaken.records.obligations == state.records.obligations:
        return troubled(replace(retaken, records=state.records), failure, now), effects
    if isinstance(lost, ForgetLockAsked | ResumeAsked | RollbackAsked | DenyAsked | AllowAsked):
        return state, (Reply(lost.request_id, failure),)
    if retaken.records.only_ends(state.records):
        return troubled(retaken, failure, now), effects
    if isinstance(lost, Completed | Errored) and lost.task_id == state.lock.task:
        return lock_duty.failed(state, failure, now)
    records = state.records
    task = lost.task_id if isinstance(lost, Completed | Errored) else None
    state, effects = state.phase.unsaved(state, task, failure, now)
    return replace(state, records=records), effects
