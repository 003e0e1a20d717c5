"""From the verdicts to the reboot.

::

    Deciding --all allow--> Locking --granted--+
                  |  no lock is asked for      v
                  +--------> intent on disk, Arming --> Relocking --> Confirming --> Requesting --accepted--> Rebooting

After arming the lock server and then every gate is asked again, the local ones last: what they say is the freshest. Any
no, and any failure, leads to :mod:`.undo`; before arming, back to waiting. Logind may have heard a request that it did
not answer: that is waited for before anything is taken back.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from tidegate.clock import Now
from tidegate.discovery.graph_keys import ROLLBACK_FLOOR_KEY
from tidegate.errors import Failure
from tidegate.fleetlock.account import FLEET_LOCK, NOT_TAKEN, LockBusy, LockGranted
from tidegate.gates.base import Verdict, Wait
from tidegate.machine import lock_duty
from tidegate.machine.effects import NOTICE, WARNING, AcquireLock, Announce, Arm, AskGates, Reboot, Rollback
from tidegate.machine.events import HostView, LockAnswer
from tidegate.machine.parts import (
    booted_release,
    enter,
    left_alone_secs,
    recovered,
    refusal,
    reply,
    seen,
    take_id,
    troubled,
)
from tidegate.machine.phases import (
    Arming,
    CheckingGates,
    ConfirmingLock,
    Finalizing,
    Locking,
    Mandate,
    Rebooting,
    RecheckingGates,
    RequestingReboot,
)
from tidegate.machine.state import State, Step
from tidegate.machine.topics import Topic
from tidegate.machine.undo import call_off
from tidegate.machine.waiting import agent_waits, waiting, waits
from tidegate.reboot import RebootAccepted, RebootAnswer, RebootRefused
from tidegate.records.model import Intent, LockState, RebootRequest
from tidegate.release import Release

REBOOT_GRACE_SECS = 600.0
"""From logind's yes to the conclusion that the host does not go down: longer than the slowest honest shutdown (stop
timeouts are 90 s, a few in a row), far shorter than a day of waiting."""

UNCERTAIN_SECS = 60.0
"""As long when logind did not answer: a shutdown that has begun is announced on the bus within a second or two."""

GOING_DOWN = Wait("host", "the host is going down already")


# --------------------------------------------------------------------------- the lock


def proceed(state: State, phase: CheckingGates, now: Now) -> Step:
    """Every gate allows: take the lock, where one has to be held."""
    locking = lock_duty.wanted(state, phase.mandate)
    if locking is None or lock_duty.kept(state):
        return _arm(state, phase, now)
    state = lock_duty.taken(state, locking, now)
    return _ask_lock(state, Locking(phase.target, phase.since, phase.mandate, 0))


def locked(state: State, phase: Locking, answer: LockAnswer, now: Now) -> Step:
    """The lock server answered: arm, or wait. While it was asked the settings may have changed."""
    match answer:
        case LockGranted():
            own = agent_waits(state, phase.target, phase.mandate)
            held = (GOING_DOWN, *own) if state.shutting_down else own
            if held:
                return _without_lock(state, phase, held, LockState.HELD, now)
            return _arm(replace(state, records=state.records.lock_is(LockState.HELD)), phase, now)
        case LockBusy() as busy:
            return _without_lock(state, phase, (_busy(state, busy, now),), None, now)
        case _:
            assert_never(answer)


def lock_failed(state: State, phase: Locking, failure: Failure, now: Now) -> Step:
    """No answer, or none that counts. A lock that may have been taken all the same is given back."""
    left = None if failure.kind in NOT_TAKEN else LockState.RELEASE_OWED
    state = state if left is None else lock_duty.in_doubt(state, failure, now)
    wait = Wait(FLEET_LOCK, failure.message, _until(failure.retry_after_secs, now), failure.remedy)
    return _without_lock(state, phase, (wait,), left, now)


def _without_lock(state: State, phase: Locking, held: tuple[Wait, ...], left: LockState | None, now: Now) -> Step:
    records = state.records
    records = replace(records, lock=None) if left is None else records.lock_is(left)
    state = waiting(replace(state, records=records), phase.target, phase.since, held, now)
    return state, reply(phase.mandate.request, refusal(held))


def _busy(state: State, busy: LockBusy, now: Now) -> Wait:
    record = state.records.lock
    server = "" if record is None else f" at {record.account.server}"
    return Wait(
        FLEET_LOCK,
        f"no slot is free{server}: {busy.reason}",
        until=_until(busy.retry_after_secs, now),
        remedy=f"wait for it, or: tidegate apply --now --override {FLEET_LOCK} --reason TEXT",
    )


def _until(retry_after_secs: float | None, now: Now) -> datetime | None:
    return None if retry_after_secs is None else now.wall + timedelta(seconds=left_alone_secs(retry_after_secs))


def _ask_lock(state: State, phase: Locking | ConfirmingLock) -> Step:
    record = state.records.lock
    assert record is not None  # noqa: S101 - on disk before the server is asked
    task, state = take_id(state)
    update = lock_duty.told(state, record, phase.target)
    return enter(state, replace(phase, task=task)), (AcquireLock(task, record.account, update),)


# --------------------------------------------------------------------------- arming, the last look, the reboot


def _arm(state: State, phase: CheckingGates | Locking, now: Now) -> Step:
    target, mandate = phase.target, phase.mandate
    intent = _intent(state, target, mandate, now)
    task, state = take_id(state)
    state = replace(state, records=state.records.opened(intent))
    text = f"finalizing {target.version}: {intent.reason}, all gates allow"
    note = Announce(Topic.FINALIZING, NOTICE, text, target.version)
    switch = Arm(task, target) if state.records.rollback is None else Rollback(task, target)
    return enter(state, Arming(target, phase.since, mandate, task)), (note, switch)


def _intent(state: State, target: Release, mandate: Mandate, now: Now) -> Intent:
    assert state.host is not None  # noqa: S101 - a release was staged or left, so the host was read
    due = state.records.rollback
    return Intent(
        id=f"{now.wall:%Y%m%dT%H%M%SZ}-{state.boot.boot_id[:8]}",
        boot=state.boot,
        origin=booted_release(state),
        target=target,
        purpose=mandate.purpose,
        reason=mandate.reason,
        written_at=now.wall,
        had_entry=any(entry.payload == target.payload for entry in state.host.entries),
        failed_units=tuple(sorted(state.failed_units)) if due is None else due.failed_units,
        rollback_floor=target.metadata.get(ROLLBACK_FLOOR_KEY, ""),
    )


def armed(state: State, phase: Arming, host: HostView, now: Now) -> Step:
    """The engine has armed: look at everything once more, first at the lock, where there is one."""
    state = seen(state, host)
    if state.shutting_down:
        return _going_down(state, phase, now)
    if host.engine.next_boot != phase.target.payload:
        return call_off(state, phase, (Wait("engine", f"the next boot does not lead to {phase.target.version}"),))
    if state.records.lock is None or lock_duty.wanted(state, phase.mandate) is None:
        return _look_again(state, phase)
    return _ask_lock(state, ConfirmingLock(phase.target, phase.since, phase.mandate, 0))


def relocked(state: State, phase: ConfirmingLock, answer: LockAnswer, now: Now) -> Step:
    """The lock server has confirmed that the lock is ours, or has lost it."""
    if state.shutting_down:
        return _going_down(state, phase, now)
    match answer:
        case LockGranted():
            return _look_again(state, phase)
        case LockBusy() as busy:
            wait = _busy(state, busy, now)
            return call_off(lock_duty.lost(state), phase, (wait,))
        case _:
            assert_never(answer)


def _look_again(state: State, phase: Arming | ConfirmingLock) -> Step:
    task, state = take_id(state)
    mandate = phase.mandate
    ask = AskGates(task, phase.target, mandate.purpose, mandate.overrides, state.noticed)
    return enter(state, RecheckingGates(phase.target, phase.since, mandate, task)), (ask,)


def confirmed(state: State, phase: RecheckingGates, verdicts: tuple[Verdict, ...], now: Now) -> Step:
    """The last look: go, or take everything back."""
    if state.shutting_down:
        return _going_down(state, phase, now)
    lost = lock_duty.missing(state, phase.mandate)
    found = (*agent_waits(state, phase.target, phase.mandate), *(() if lost is None else (lost,)), *verdicts)
    if waits(found):
        return call_off(state, phase, found)
    return _request_reboot(state, phase, now)


def answered(state: State, phase: RequestingReboot, answer: RebootAnswer, now: Now) -> Step:
    """Logind said yes or no."""
    state = recovered(state, "reboot", "bus")
    match answer:
        case RebootAccepted():
            return _going_down(state, phase, now)
        case RebootRefused() if state.shutting_down:
            return _going_down(state, phase, now)
        case RebootRefused(reason, remedy):
            return call_off(state, phase, (Wait("logind", reason, remedy=remedy),))
        case _:
            assert_never(answer)


def finalizing_failed(
    state: State, phase: Arming | ConfirmingLock | RecheckingGates, failure: Failure, now: Now
) -> Step:
    """A step after the intent broke: take everything back."""
    wait = Wait(_GATES_OF[type(phase)], failure.message, remedy=failure.remedy)
    if isinstance(phase, ConfirmingLock) and lock_duty.kept(
        state
    ):  # granted, and never given back: a server that is down
        return _look_again(state, phase)  # must not keep a host in a release that is not well
    if not isinstance(phase, ConfirmingLock):
        state = troubled(state, failure, now)
    return call_off(state, phase, (wait,))


_GATES_OF: dict[type[Finalizing], str] = {
    Arming: "engine",
    ConfirmingLock: FLEET_LOCK,
    RecheckingGates: "gates",
}
"""In whose name a failure of the phase is a no."""


def request_failed(state: State, phase: RequestingReboot, failure: Failure, now: Now) -> Step:
    """Logind may have heard us or not. Disarming now could race the shutdown, so that comes a little later."""
    grace_secs = REBOOT_GRACE_SECS if state.shutting_down else UNCERTAIN_SECS
    rebooting = Rebooting(phase.target, phase.since, now.boot_secs + grace_secs, failure.message)
    answers = reply(phase.mandate.request, failure)
    note = Announce(Topic.REBOOT_FAILED, WARNING, failure.message, phase.target.version)
    return enter(troubled(state, failure, now), rebooting), (*answers, note)


def _request_reboot(state: State, phase: RecheckingGates, now: Now) -> Step:
    assert state.records.intent is not None  # noqa: S101 - written before arming, kept until disarmed
    intent = replace(state.records.intent, requested=RebootRequest(now.wall, now.boot_secs))
    task, state = take_id(state)
    state = replace(state, records=state.records.opened(intent))
    requesting = RequestingReboot(phase.target, phase.since, phase.mandate, task)
    announcement = f"Tidegate reboots this host into {phase.target.version} ({intent.reason})"
    return enter(state, requesting), (Reboot(task, announcement),)


def _going_down(state: State, phase: Finalizing, now: Now) -> Step:
    still_up = f"logind accepted, and the host was still up {REBOOT_GRACE_SECS:.0f} s later"
    rebooting = Rebooting(phase.target, phase.since, now.boot_secs + REBOOT_GRACE_SECS, still_up)
    version = phase.target.version
    note = Announce(Topic.GOING_DOWN, NOTICE, f"the host goes down, next: {version}", version)
    return enter(state, rebooting), (*reply(phase.mandate.request, f"rebooting into {version}"), note)


def shutdown_begun(state: State, phase: Rebooting, now: Now) -> State:
    """It is certain now that the host goes down: from here it has as long as the slowest honest shutdown takes."""
    deadline = max(phase.deadline, now.boot_secs + REBOOT_GRACE_SECS)
    return enter(state, replace(phase, deadline=deadline))
