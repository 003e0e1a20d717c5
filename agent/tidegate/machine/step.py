"""The machine's one door: ``step(state, event, now) -> (state, effects)``.

Pure: it reads nothing and does nothing. The loop saves the records of the new state, then runs the effects, and feeds
what they come to back in here. Which phase takes which answer stands below; what happens then, in :mod:`.polling`,
:mod:`.update`, :mod:`.finalize`, :mod:`.undo` and :mod:`.verify`; what goes on beside all phases, in :mod:`.lock`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from tidegate.boot import BootInstance
from tidegate.clock import Now
from tidegate.discovery.base import Offers
from tidegate.engines.base import Progress
from tidegate.errors import Failure
from tidegate.lockserver import LockBusy, LockGranted, LockReleased
from tidegate.machine import finalize, lock, polling, undo, update, verify
from tidegate.machine.effects import Reply
from tidegate.machine.events import (
    Accepted,
    ApplyAsked,
    CheckAsked,
    ClockSet,
    Completed,
    Errored,
    Event,
    ForgetLockAsked,
    HealthPending,
    Healthy,
    HostView,
    PolicyChanged,
    Progressed,
    RecordsUnwritable,
    Refused,
    Result,
    ShutdownSignal,
    StageAsked,
    Tick,
    Unhealthy,
)
from tidegate.machine.parts import HOST_GOING_DOWN, enter, troubled, turned_away
from tidegate.machine.phases import (
    Arming,
    Confirming,
    Deciding,
    Disarming,
    Locking,
    Paused,
    Rebooting,
    Relocking,
    Requesting,
    Staged,
    Staging,
    Starting,
    Verifying,
)
from tidegate.machine.state import Policy, Poll, Request, State, Step
from tidegate.machine.waiting import waiting
from tidegate.machine.wakeups import phase_deadline
from tidegate.records import Records


def begin(boot: BootInstance, policy: Policy, records: Records, now: Now) -> Step:
    """The state of an agent that has just started, and its first effect."""
    state = State(boot, policy, records, Starting(None), Poll(due=now.boot_secs), next_id=1)
    return verify.read_host(state)


def step(state: State, event: Event, now: Now) -> Step:
    """What ``event`` changes and what is to be done about it.

    Raises:
        TypeError: a task answered with a result of another kind; a defect in what runs the effects.
    """
    match event:
        case Completed(task, result):
            return _completed(state, task, result, now)
        case Errored(task, failure):
            return _errored(state, task, failure, now)
        case Progressed(task, progress):
            return _progressed(state, task, progress)
        case ShutdownSignal(active):
            return _shutdown(replace(state, shutting_down=active), now)
        case CheckAsked(request):
            return polling.asked(state, Request(request, wants_staging=False), now)
        case StageAsked(request):
            return polling.asked(state, Request(request, wants_staging=True), now)
        case ApplyAsked():
            return update.apply_asked(state, event)
        case ForgetLockAsked():
            return lock.forget_asked(state, event)
        case PolicyChanged(policy):
            return _policy(replace(state, policy=policy), now)
        case ClockSet():
            return _asked_anew(state, now), ()
        case RecordsUnwritable(failure, lost):
            return _unwritable(state, failure, lost, now)
        case Tick():
            return _tick(state, now)
        case _:
            assert_never(event)


def _progressed(state: State, task: int, progress: Progress) -> Step:
    match state.phase:
        case Staging(task=current) as phase if current == task:
            return enter(state, replace(phase, progress=progress)), ()
        case _:
            return state, ()


def _tick(state: State, now: Now) -> Step:
    """Do the one thing that is due; the phase's own deadline before a check, which would put a reboot off."""
    owed = lock.due(state)
    if owed is not None and owed <= now.boot_secs:
        return lock.attend(state)
    at = phase_deadline(state)
    if at is not None and at <= now.boot_secs:
        return _deadline_passed(state)
    due = polling.poll_due(state)
    if due is not None and due <= now.boot_secs:
        return polling.poll(state)
    return state, ()


def _deadline_passed(state: State) -> Step:
    match state.phase:
        case Starting():
            return verify.read_host(state)
        case Verifying() as phase:
            return verify.look(state, phase)
        case Disarming() as phase:
            return undo.disarm(state, phase)
        case Rebooting() as phase:
            return undo.did_not_go_down(state, phase, phase.otherwise)
        case Paused() as phase:
            return verify.look_again(state, phase)
        case Staged() as phase:
            return update.evaluate(state, phase)
        case _:
            return state, ()


def _completed(state: State, task: int, result: Result, now: Now) -> Step:
    if task == state.poll.task:
        return polling.offers_found(state, _expect_offers(result), now)
    if task == state.lock.task:
        return _lock_answered(state, result, now)
    if task != getattr(state.phase, "task", None):
        return state, ()
    match state.phase, result:
        case Starting(), HostView() as host:
            return verify.host_read(state, host, now)
        case Verifying(healthy=True), HostView() as host:
            return verify.good(state, host, now)
        case Verifying() as phase, Healthy() | HealthPending() | Unhealthy() as health:
            return verify.health_read(state, phase, health, now)
        case Paused() as phase, Healthy() | HealthPending() | Unhealthy() as health:
            return verify.paused_health(state, phase, health, now)
        case Staging() as phase, HostView() as host:
            return update.staged(state, phase, host, now)
        case Deciding() as phase, tuple() as verdicts:
            return update.decided(state, phase, verdicts, now)
        case Locking() as phase, LockGranted() | LockBusy() as answer:
            return finalize.locked(state, phase, answer, now)
        case Arming() as phase, HostView() as host:
            return finalize.armed(state, phase, host, now)
        case Relocking() as phase, LockGranted() | LockBusy() as answer:
            return finalize.relocked(state, phase, answer, now)
        case Confirming() as phase, tuple() as verdicts:
            return finalize.confirmed(state, phase, verdicts, now)
        case Requesting() as phase, Accepted() | Refused() as answer:
            return finalize.answered(state, phase, answer, now)
        case Disarming() as phase, HostView() as host:
            return undo.disarmed(state, phase, host, now)
        case _:
            raise TypeError(f"{type(state.phase).__name__} was answered with {type(result).__name__}")


def _lock_answered(state: State, result: Result, now: Now) -> Step:
    match result:
        case LockReleased() as answer:
            return lock.released(state, answer)
        case Healthy() | HealthPending() | Unhealthy() as health:
            return lock.health_read(state, health, now)
        case _:
            raise TypeError(f"what is owed to the lock server was answered with {type(result).__name__}")


def _expect_offers(result: Result) -> Offers:
    if not isinstance(result, Offers):
        raise TypeError(f"discovery was answered with {type(result).__name__}")
    return result


def _errored(state: State, task: int, failure: Failure, now: Now) -> Step:
    if task == state.poll.task:
        return polling.find_failed(state, failure, now)
    if task == state.lock.task:
        return lock.failed(state, failure, now)
    if task != getattr(state.phase, "task", None):
        return state, ()
    match state.phase:
        case Starting():
            return verify.host_unreadable(state, failure, now)
        case Verifying(healthy=True) as phase:
            return verify.mark_good_failed(state, phase, failure, now)
        case Verifying() as phase:
            return verify.health_unreadable(state, phase, failure, now)
        case Paused() as phase:
            return verify.paused_health(state, phase, HealthPending(failure.message), now)
        case Staging() as phase:
            return update.staging_failed(state, phase, failure, now)
        case Deciding() as phase:
            return update.gates_failed(state, phase, failure, now)
        case Locking() as phase:
            return finalize.lock_failed(state, phase, failure, now)
        case Arming() | Relocking() | Confirming() as phase:
            return finalize.finalizing_failed(state, phase, failure, now)
        case Requesting() as phase:
            return finalize.request_failed(state, phase, failure, now)
        case Disarming() as phase:
            return undo.disarm_failed(state, phase, failure, now)
        case _:
            return state, ()


def _shutdown(state: State, now: Now) -> Step:
    """A shutdown that is called off leaves the host up with a release armed: take that back."""
    match state.phase:
        case Rebooting() as phase if not state.shutting_down:
            return undo.did_not_go_down(state, phase, "the shutdown was called off")
        case Rebooting() as phase:
            state = finalize.shutdown_begun(state, phase, now)
        case _:
            pass
    return turned_away(state, HOST_GOING_DOWN) if state.shutting_down else (state, ())


def _policy(state: State, now: Now) -> Step:
    """New settings: ask the gates anew, and let a running wait for discovery stand."""
    blocked = state.policy.blocked
    state, answers = (state, ()) if blocked is None else turned_away(state, blocked)
    return _asked_anew(state, now), answers


def _asked_anew(state: State, now: Now) -> State:
    """What the gates said last no longer holds."""
    match state.phase:
        case Staged(target, since):
            return waiting(state, target, since, (), now)
        case _:
            return state


def _unwritable(state: State, failure: Failure, lost: Event, now: Now) -> Step:
    """The step that ``lost`` made could not be recorded, so it was not taken: back to where nothing depends on it.

    The records stay what they are on disk. A step that would only have noted since when something waits is taken
    without that note: new settings, say, are not to be lost to a full disk.
    """
    retaken, effects = step(state, lost, now)
    if replace(retaken.records, waiting=None) == replace(state.records, waiting=None):
        return troubled(replace(retaken, records=state.records), failure, now), effects
    if isinstance(lost, Completed | Errored) and lost.task_id == state.lock.task:
        return lock.failed(state, failure, now)
    if isinstance(lost, ForgetLockAsked):
        return state, (Reply(lost.request_id, failure),)
    records = state.records
    state, effects = _back_off(state, failure, now)
    return replace(state, records=records), effects


def _back_off(state: State, failure: Failure, now: Now) -> Step:
    match state.phase:
        case Starting():
            return verify.host_unreadable(state, failure, now)
        case Verifying() as phase:
            return verify.mark_good_failed(state, phase, failure, now)
        case Deciding() as phase:
            return update.gates_failed(state, phase, failure, now)
        case Locking() as phase:
            return finalize.lock_failed(state, phase, failure, now)
        case Arming() | Relocking() | Confirming() as phase:
            return finalize.finalizing_failed(state, phase, failure, now)
        case Disarming() as phase:
            return undo.disarm_failed(state, phase, failure, now)
        case _:
            return state, ()
