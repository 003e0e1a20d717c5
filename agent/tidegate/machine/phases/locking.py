"""The steps of a plan that ask the lock server: take the lock, and confirm it right before the reboot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tidegate.clock import Now
from tidegate.errors import Failure
from tidegate.fleetlock.account import FLEET_LOCK, NOT_TAKEN, LockBusy, LockGranted
from tidegate.gates.base import Wait, override_command
from tidegate.machine import attempts, lock_duty
from tidegate.machine.effects import AcquireLock
from tidegate.machine.events import Result
from tidegate.machine.parts import left_alone_secs, refusal, reply
from tidegate.machine.phases import executing, waiting
from tidegate.machine.phases.step_rule import StepRule
from tidegate.machine.plan import PlanStep
from tidegate.machine.state_gates import agent_waits
from tidegate.records.model import LockState

if TYPE_CHECKING:
    from tidegate.machine.phases.executing import Executing
    from tidegate.machine.state import State, Step


def take(state: State, phase: Executing, now: Now) -> Step:
    """Ask for a slot, with the lock on record; a lock that is kept for the way back serves."""
    wanted = lock_duty.wanted(state, phase.mandate)
    if wanted is None or lock_duty.kept(state):
        return executing.advance(state, phase, now)
    return _ask(lock_duty.taken(attempts.begun(state, phase, now), wanted, now), phase, now)


def taken(state: State, phase: Executing, answer: Result, now: Now) -> Step:
    """The lock server answered: go on, or wait. While it was asked the settings may have changed."""
    state = lock_duty.answered(state)
    match answer:
        case LockGranted():
            own = agent_waits(state, phase.target, phase.mandate)
            held = (executing.GOING_DOWN, *own) if state.shutting_down else own
            if held:
                return _without_lock(state, phase, held, LockState.HELD, now)
            return executing.advance(replace(state, records=state.records.lock_is(LockState.HELD)), phase, now)
        case LockBusy() as busy:
            return _without_lock(state, phase, (_busy(state, busy, now),), None, now)
        case _:
            raise executing.unexpected(phase, answer)


def failed(state: State, phase: Executing, failure: Failure, now: Now) -> Step:
    """No answer, or none that counts. A lock that may have been taken all the same is released."""
    left = None if failure.kind in NOT_TAKEN else LockState.RELEASE_OWED
    state = lock_duty.answered(state) if left is None else lock_duty.in_doubt(state, failure, now)
    wait = Wait(FLEET_LOCK, failure.message, _until(failure.retry_after_secs, now), failure.remedy)
    return _without_lock(state, phase, (wait,), left, now)


def confirm(state: State, phase: Executing, now: Now) -> Step:
    """Ask the lock server whether the lock is still this host's."""
    if state.records.lock is None or lock_duty.wanted(state, phase.mandate) is None:
        return executing.advance(state, phase, now)
    return _ask(state, phase, now)


def confirmed(state: State, phase: Executing, answer: Result, now: Now) -> Step:
    """The lock server has confirmed that the lock is this host's, or has lost it."""
    state = lock_duty.answered(state)
    if state.shutting_down:
        return executing.down_or_off(state, phase, now)
    match answer:
        case LockGranted():
            return executing.advance(state, phase, now)
        case LockBusy() as busy:
            wait = _busy(state, busy, now)
            return executing.call_off(lock_duty.lost(state), phase, (wait,), now)
        case _:
            raise executing.unexpected(phase, answer)


def unconfirmed(state: State, phase: Executing, failure: Failure, now: Now) -> Step:
    """No answer. A lock that was granted once and never released counts for the way back: a server that is down must
    not keep a host in a release that is not healthy."""
    unsent = failure.kind in NOT_TAKEN
    state = lock_duty.answered(state) if unsent else lock_duty.in_doubt(state, failure, now)
    if lock_duty.kept(state):
        return executing.advance(state, phase, now)
    return executing.call_off(state, phase, (Wait(FLEET_LOCK, failure.message, remedy=failure.remedy),), now)


def _ask(state: State, phase: Executing, now: Now) -> Step:
    state = lock_duty.asked(state, now)
    record = state.records.lock
    assert record is not None  # noqa: S101 - it was asked for just now
    update = lock_duty.update_params(state, record, phase.target)
    return executing.under_way(state, phase, lambda task: AcquireLock(task, record.account, update))


def _without_lock(state: State, phase: Executing, held: tuple[Wait, ...], left: LockState | None, now: Now) -> Step:
    """Wait again. Nothing but the lock has begun: whatever stops anything comes after it in every plan."""
    records = state.records
    records = replace(records, lock=None) if left is None else records.lock_is(left)
    state = replace(state, records=replace(records, attempt=None))
    state = waiting.wait(state, phase.target, phase.since, held, now)
    return state, reply(phase.mandate.request, refusal(held))


def _busy(state: State, busy: LockBusy, now: Now) -> Wait:
    record = state.records.lock
    server = "" if record is None else f" at {record.account.server}"
    return Wait(
        FLEET_LOCK,
        f"no slot is free{server}: {busy.reason}",
        until=_until(busy.retry_after_secs, now),
        remedy=f"wait for it, or: {override_command(FLEET_LOCK)}",
    )


def _until(retry_after_secs: float | None, now: Now) -> datetime | None:
    return None if retry_after_secs is None else now.wall + timedelta(seconds=left_alone_secs(retry_after_secs))


RULES: Mapping[PlanStep, StepRule] = {
    PlanStep.TAKE_LOCK: StepRule(take, taken, failed, "asking the lock server for a slot to reboot into {}"),
    PlanStep.CONFIRM_LOCK: StepRule(
        confirm, confirmed, unconfirmed, "asking the lock server once more before the reboot into {}"
    ),
}
