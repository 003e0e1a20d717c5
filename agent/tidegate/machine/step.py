"""The machine's one door: ``step(state, event, now) -> (state, effects)``.

Pure: it reads nothing and does nothing. The loop saves the records of the new state, then runs the effects, and feeds
what they come to back in here. Which phase takes which answer stands below; what happens then, in :mod:`.polling`,
:mod:`.update`, :mod:`.finalize`, :mod:`.undo` and :mod:`.verify`; what goes on beside all phases, in :mod:`.lock_duty`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from tidegate.clock import Now
from tidegate.discovery.base import Offers
from tidegate.engines.base import Progress
from tidegate.errors import Failure
from tidegate.fleetlock.account import LockBusy, LockGranted, LockReleased
from tidegate.health.base import ProbeResult
from tidegate.machine import denials, finalize, lock_duty, polling, rollback, undo, update, verify, watch
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
    HostView,
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
from tidegate.machine.phases import (
    Arming,
    CheckingGates,
    ConfirmingLock,
    Disarming,
    Locking,
    MarkingGood,
    Paused,
    Rebooting,
    RecheckingGates,
    RequestingReboot,
    RollbackPending,
    Staged,
    Staging,
    Starting,
    Verifying,
)
from tidegate.machine.state import Policy, Poll, Request, State, Step
from tidegate.machine.unsaved import back_off
from tidegate.machine.waiting import waiting
from tidegate.machine.wakeups import phase_deadline
from tidegate.reboot import RebootAccepted, RebootRefused
from tidegate.records.model import Records
from tidegate.system.boot import BootInstance


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
            return lock_duty.forget_asked(state, event)
        case ResumeAsked():
            return watch.resume_asked(state, event)
        case RollbackAsked():
            return rollback.asked(state, event, now)
        case DenyAsked():
            return denials.deny_asked(state, event, now)
        case AllowAsked():
            return denials.allow_asked(state, event, now)
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
    owed = lock_duty.due(state)
    if owed is not None and owed <= now.boot_secs:
        return lock_duty.attend(state)
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
            return watch.look(state, phase)
        case MarkingGood() as phase:
            return watch.confirm(state, phase)
        case Disarming() as phase:
            return undo.disarm(state, phase)
        case Rebooting() as phase:
            return undo.did_not_go_down(state, phase, phase.otherwise)
        case Paused() as phase:
            return watch.look_again(state, phase)
        case Staged() | RollbackPending() as phase:
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
        case Verifying() as phase, ProbeResult() as found:
            return watch.health_read(state, phase, found, now)
        case MarkingGood() as phase, HostView() as host:
            return watch.accepted(state, phase, host, now)
        case Paused() as phase, ProbeResult() as found:
            return watch.paused_health(state, phase, found, now)
        case Staging() as phase, HostView() as host:
            return update.staged(state, phase, host, now)
        case CheckingGates() as phase, tuple() as verdicts:
            return update.decided(state, phase, verdicts, now)
        case Locking() as phase, LockGranted() | LockBusy() as answer:
            return finalize.locked(state, phase, answer, now)
        case Arming() as phase, HostView() as host:
            return finalize.armed(state, phase, host, now)
        case ConfirmingLock() as phase, LockGranted() | LockBusy() as answer:
            return finalize.relocked(state, phase, answer, now)
        case RecheckingGates() as phase, tuple() as verdicts:
            return finalize.confirmed(state, phase, verdicts, now)
        case RequestingReboot() as phase, RebootAccepted() | RebootRefused() as answer:
            return finalize.answered(state, phase, answer, now)
        case Disarming() as phase, HostView() as host:
            return undo.disarmed(state, phase, host, now)
        case _:
            raise TypeError(f"{type(state.phase).__name__} was answered with {type(result).__name__}")


def _lock_answered(state: State, result: Result, now: Now) -> Step:
    match result:
        case LockReleased() as answer:
            return lock_duty.released(state, answer)
        case ProbeResult() as found:
            return lock_duty.health_read(state, found, now)
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
        return lock_duty.failed(state, failure, now)
    if task != getattr(state.phase, "task", None):
        return state, ()
    match state.phase:
        case Starting():
            return verify.host_unreadable(state, failure, now)
        case Verifying() as phase:
            return watch.health_unreadable(state, phase, failure, now)
        case MarkingGood() as phase:
            return watch.accept_failed(state, phase, failure, now)
        case Paused() as phase:
            return watch.look_later(state, phase, now), ()
        case Staging() as phase:
            return update.staging_failed(state, phase, failure, now)
        case CheckingGates() as phase:
            return update.gates_failed(state, phase, failure, now)
        case Locking() as phase:
            return finalize.lock_failed(state, phase, failure, now)
        case Arming() | ConfirmingLock() | RecheckingGates() as phase:
            return finalize.finalizing_failed(state, phase, failure, now)
        case RequestingReboot() as phase:
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
        case Staged(target, since) | RollbackPending(target, since):
            return waiting(state, target, since, (), now)
        case _:
            return state


def _unwritable(state: State, failure: Failure, lost: Event, now: Now) -> Step:
    """The step that ``lost`` made could not be recorded, so it was not taken: back to where nothing depends on it.

    The records stay what they are on disk. A step that would only have made a note, of since when something waits say,
    is taken without that note: new settings are not to be lost to a full disk.
    """
    retaken, effects = step(state, lost, now)
    if retaken.records.obligations == state.records.obligations:
        return troubled(replace(retaken, records=state.records), failure, now), effects
    if isinstance(lost, Completed | Errored) and lost.task_id == state.lock.task:
        return lock_duty.failed(state, failure, now)
    if isinstance(lost, ForgetLockAsked | ResumeAsked | RollbackAsked | DenyAsked | AllowAsked):
        return state, (Reply(lost.request_id, failure),)
    records = state.records
    state, effects = back_off(state, failure, now)
    return replace(state, records=records), effects
