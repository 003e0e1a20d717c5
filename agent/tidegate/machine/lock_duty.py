"""The duty to release a lock that this host may hold, whatever happens in between.

What is owed follows from the record and from what the agent is busy with, and from nothing that could be forgotten:

==================================================  ==========================================================
an attempt is under way, or the host goes down      nothing: the lock is being used
a record of this boot, and no attempt               give it back: it was taken for a reboot that will not be
a record of an earlier boot, the boot verified      give it back
a record of an earlier boot, being verified         nothing: it serves for the way back, too
a record of an earlier boot, no attempt to verify   look at the boot's health, then give it back
no record, not yet greeted since the agent's start  one steady-state: a record may have been lost with its disk
==================================================  ==========================================================

It is done beside everything else: checks and staging go on, and only finalization waits for it. Always with what the
record says, never with the configuration of the day.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum, auto
from typing import assert_never

from tidegate import __version__
from tidegate.clock import Now
from tidegate.errors import ErrorKind, Failure
from tidegate.fleetlock.account import FLEET_LOCK, FleetLocking, LockAccount, LockRelease, LockReleased
from tidegate.fleetlock.protocol import ReleaseTag, UpdateParams
from tidegate.gates.base import Wait
from tidegate.health.base import ProbeResult
from tidegate.health.judgement import failing
from tidegate.machine.effects import NOTICE, WARNING, Announce, Effect, ReadHealth, ReleaseLock, Reply
from tidegate.machine.events import ForgetLockAsked
from tidegate.machine.mandate import Mandate
from tidegate.machine.parts import left_alone_secs, spread, take_id
from tidegate.machine.phase import LockUse
from tidegate.machine.state import LockObligation, State, Step
from tidegate.machine.topics import Topic
from tidegate.records.model import LockRecord, LockState
from tidegate.release import Release

RETRY_BASE_SECS = 5.0
RETRY_MAX_SECS = 300.0
REQUEST_MARGIN_SECS = 5.0
"""From the record of a request to the start of the process that sends it, whose deadline counts from there."""

MAX_DOUBLINGS = 6
"""A lock that is not released keeps other hosts waiting, so the first tries come soon; a server that is down must not
be stormed by its whole fleet."""


class Duty(Enum):
    """The duty as of now."""

    NOTHING = auto()
    LOOK = auto()
    RELEASE = auto()


def duty(state: State) -> Duty:
    """See the table above."""
    record = state.records.lock
    if _in_use(state):
        return Duty.NOTHING
    if record is None:
        return Duty.RELEASE if state.lock.startup_release and state.policy.fleet_lock is not None else Duty.NOTHING
    taken_in_vain = record.boot == state.boot
    if record.state == LockState.RELEASE_OWED or record.release == LockRelease.AFTER_BOOT or taken_in_vain:
        return Duty.RELEASE
    return Duty.NOTHING if state.phase.lock_use is LockUse.WAY_BACK else Duty.LOOK


def _in_use(state: State) -> bool:
    """An unlock must not race a reboot; before the host was read, nobody knows whether there is one."""
    return state.shutting_down or state.phase.lock_use is LockUse.ATTEMPT


def owed(state: State) -> Wait | None:
    """Return the release of an earlier lock as a wait: no lock is requested before it; None if there is none."""
    record, locking = state.records.lock, state.policy.fleet_lock
    if kept(state):
        return None
    if record is not None:
        what = f"the lock of group {record.account.group} at {record.account.server} has not been released yet"
    elif state.lock.startup_release and locking is not None:
        what = f"the lock server {locking.account.server} was not reached since the agent's start"
    else:
        return None
    why = f": {state.lock.why}" if state.lock.why else ""
    return Wait(
        FLEET_LOCK, what + why, remedy="wait; or, if that server is gone for good: tidegate lock forget --reason TEXT"
    )


def kept(state: State) -> bool:
    """Whether the lock of the update that went wrong is held still, and serves for the rollback that is due."""
    record = state.records.lock
    return (
        state.records.rollback is not None
        and record is not None
        and record.boot != state.boot
        and record.state != LockState.RELEASE_OWED
        and record.release != LockRelease.AFTER_BOOT
    )


def lost(state: State) -> State:
    """The server has given a lock that was kept to somebody else: it is to be asked for like any other from now on."""
    return replace(state, records=state.records.lock_is(LockState.RELEASE_OWED)) if kept(state) else state


def wanted(state: State, mandate: Mandate) -> FleetLocking | None:
    """The lock that has to be held for the reboot that ``mandate`` is about, or None."""
    return None if FLEET_LOCK in mandate.overrides else state.policy.fleet_lock


def missing(state: State, mandate: Mandate) -> Wait | None:
    """That the lock which has to be held by now is not the one that is held: the configuration has changed."""
    locking, record = wanted(state, mandate), state.records.lock
    if locking is None or kept(state) or (record is not None and record.account == locking.account):
        return None
    return Wait(FLEET_LOCK, f"the configuration asks for another lock now, at {locking.account.server}")


def taken(state: State, locking: FleetLocking, now: Now) -> State:
    """With the record of a lock that is about to be asked for."""
    record = LockRecord(
        locking.account, state.boot, LockState.MAYBE_HELD, now.wall, release=locking.release, tells=locking.tells
    )
    return replace(state, records=replace(state.records, lock=record))


def asked(state: State, now: Now) -> State:
    """With the record of a lock that is being asked for: from here on a server may be carrying the request out."""
    record = state.records.lock
    assert record is not None  # noqa: S101 - on disk before the server is asked
    until_secs = now.boot_secs + record.account.timeout_secs + REQUEST_MARGIN_SECS
    return _with_record(state, replace(record, unanswered_until_secs=until_secs))


def answered(state: State) -> State:
    """With the record of a lock whose server has answered, or was never sent the request."""
    record = state.records.lock
    return state if record is None else _with_record(state, replace(record, unanswered_until_secs=0.0))


def _with_record(state: State, record: LockRecord) -> State:
    return replace(state, records=replace(state.records, lock=record))


def update_params(state: State, record: LockRecord, target: Release | None) -> UpdateParams | None:
    """Return the update parameters of a request; None if the server gets none."""
    if not record.tells or state.host is None:
        return None
    booted = state.host.booted
    return UpdateParams(
        agent=f"tidegate/{__version__}",
        boot_id=state.boot.boot_id.replace("-", ""),
        current=ReleaseTag(booted.version, booted.payload),
        target=None if target is None else ReleaseTag(target.version, target.payload),
    )


# --------------------------------------------------------------------------- doing what is owed


def due(state: State) -> float | None:
    """When (boot clock) there is something to do, or None."""
    if state.lock.task is not None or duty(state) is Duty.NOTHING:
        return None
    return max(state.lock.retry_at or 0.0, _unanswered_until_secs(state))


def _unanswered_until_secs(state: State) -> float:
    """Until when (boot clock) an unlock could be overtaken by a request for the lock. A boot ends that: it takes longer
    than any request."""
    record = state.records.lock
    return record.unanswered_until_secs if record is not None and record.boot.shares_kernel_with(state.boot) else 0.0


def attend(state: State) -> Step:
    """Do what is owed."""
    owes = duty(state)
    match owes:
        case Duty.NOTHING:
            return state, ()
        case Duty.LOOK:
            task, state = _take_id(state)
            return state, (ReadHealth(task),)
        case Duty.RELEASE:
            return _release(state)
        case _:
            assert_never(owes)


def health_read(state: State, look: ProbeResult, now: Now) -> Step:
    """The boot is healthy, and the lock that was taken for it may be released; or the release has to wait."""
    wrong = failing(look)
    if wrong:
        return put_off(state, f"this boot is not known to be well: {wrong}", now)
    records = state.records.lock_is(LockState.RELEASE_OWED)
    return replace(state, records=records, lock=replace(state.lock, task=None)), ()


def released(state: State, answer: LockReleased) -> Step:
    """The server has it back."""
    record = state.records.lock
    state = replace(state, records=replace(state.records, lock=None), lock=LockObligation(startup_release=False))
    if record is None:
        return state, ()
    detail = f" ({answer.detail})" if answer.detail else ""
    return state, (Announce(Topic.LOCK_RETURNED, NOTICE, f"gave the lock back: {record.account.place}{detail}"),)


def failed(state: State, failure: Failure, now: Now) -> Step:
    """No answer, or none that counts: it stays owed."""
    return put_off(state, failure.message, now, left_alone_secs(failure.retry_after_secs))


def forget_asked(state: State, event: ForgetLockAsked) -> Step:
    """Drop the duty: the operator knows that nobody waits for this lock."""
    record = state.records.lock
    if record is not None and _in_use(state):
        busy = Failure(ErrorKind.AGENT_BUSY, "the lock is being used", "ask again when the reboot is over")
        return state, (Reply(event.request_id, busy),)
    if state.lock.task is not None:  # its answer would come amid the next request, and undo what that has taken
        busy = Failure(ErrorKind.AGENT_BUSY, "the lock is being released", "ask again in a minute")
        return state, (Reply(event.request_id, busy),)
    if record is None and owed(state) is None:
        nothing = Failure(ErrorKind.AGENT_BAD_REQUEST, "no lock is owed to any server", "tidegate status")
        return state, (Reply(event.request_id, nothing),)
    state = replace(state, records=replace(state.records, lock=None), lock=LockObligation(startup_release=False))
    what = "the steady-state of this start" if record is None else f"the lock of {record.account.place}"
    note = Announce(Topic.LOCK_FORGOTTEN, WARNING, f"{what} is forgotten without the server's word: {event.reason}")
    return state, (Reply(event.request_id, f"{what} is forgotten"), note)


def in_doubt(state: State, failure: Failure, now: Now) -> State:
    """With the unlock put off for as long as the request was given, on record: also for an agent that is restarted.

    A server that is slow to carry out a request whose answer nobody waited for must not do so after it was told
    that the slot is free: the slot would be ours, and nobody would know.
    """
    record = state.records.lock
    if record is not None:
        state = _with_record(state, replace(record, unanswered_until_secs=now.boot_secs + record.account.timeout_secs))
    retry_at = now.boot_secs + left_alone_secs(failure.retry_after_secs)
    return replace(state, lock=replace(state.lock, retry_at=retry_at, why=failure.message))


def put_off(state: State, why: str, now: Now, wished_secs: float = 0.0) -> Step:
    """Try again, later each time and no sooner than the server wished; the first time, say so."""
    known = state.lock
    pause_secs = min(RETRY_BASE_SECS * 2.0 ** min(known.failures, MAX_DOUBLINGS), RETRY_MAX_SECS)
    retry_at = now.boot_secs + spread(state, max(pause_secs, wished_secs))
    state = replace(state, lock=replace(known, task=None, retry_at=retry_at, failures=known.failures + 1, why=why))
    first: tuple[Effect, ...] = (Announce(Topic.LOCK_OWED, WARNING, f"a lock has not been released yet: {why}"),)
    return state, first if known.failures == 0 and state.records.lock is not None else ()


def _release(state: State) -> Step:
    record = state.records.lock
    account = _account(state)
    task, state = _take_id(state)
    return state, (ReleaseLock(task, account, None if record is None else update_params(state, record, None)),)


def _account(state: State) -> LockAccount:
    record, locking = state.records.lock, state.policy.fleet_lock
    if record is not None:
        return record.account
    assert locking is not None  # noqa: S101 - without a record, this is pending only where the strategy is in force
    return locking.account


def _take_id(state: State) -> tuple[int, State]:
    task, state = take_id(state)
    return task, replace(state, lock=replace(state.lock, task=task, retry_at=None))
