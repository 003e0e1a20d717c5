"""An attempt on record: its plan, the steps that have begun, and the intent that the next boot is judged by."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tidegate.clock import Now
from tidegate.discovery.graph_keys import ROLLBACK_FLOOR_KEY
from tidegate.engines.base import RebootOwner
from tidegate.machine import lock_duty
from tidegate.machine.mandate import Mandate
from tidegate.machine.parts import booted_release
from tidegate.machine.plan import PlanStep, arming_step, plan_for, rollback_plan
from tidegate.machine.state import State
from tidegate.records.model import AttemptRecord, Ending, Intent, Outcome, RebootRequest
from tidegate.release import Release
from tidegate.system.reboot import RebootKind

if TYPE_CHECKING:
    from tidegate.machine.phases.executing import Executing


def plan_of(state: State, target: Release, mandate: Mandate) -> tuple[PlanStep, ...]:
    """The steps that lead to ``target`` from here: without what is done already and stays so."""
    policy = state.policy
    locking, workload = lock_duty.wanted(state, mandate) is not None, policy.workload
    if state.records.rollback is not None:
        plan = rollback_plan(state.traits, locking=locking, workload=workload)
    else:
        plan = plan_for(policy.order, state.traits, locking=locking, workload=workload)
    done = _done(state, target, plan)
    return tuple(step for step in plan if step not in done)


def _done(state: State, target: Release, plan: tuple[PlanStep, ...]) -> frozenset[PlanStep]:
    host = state.host
    if host is not None and not host.traits.can_disarm and host.next_boot == target.payload:
        armed = {PlanStep.STAGE, PlanStep.ARM}  # by an attempt that was called off: armed for good
        return frozenset(armed if host.traits.reboots is RebootOwner.AGENT else armed - {arming_step(plan)})
    return frozenset({PlanStep.STAGE}) if state.has_staged(target) and PlanStep.ARM in plan else frozenset()


def begun(state: State, phase: Executing, now: Now) -> State:
    """With the step of ``phase`` on record as begun."""
    known = state.records.attempt or _new_record(state, phase, now)
    if phase.step in known.begun:
        return state
    record = replace(known, begun=(*known.begun, phase.step.value))
    return replace(state, records=replace(state.records, attempt=record))


def _new_record(state: State, phase: Executing, now: Now) -> AttemptRecord:
    return AttemptRecord(
        boot=state.boot,
        target=phase.target,
        order=state.policy.order,
        purpose=phase.mandate.purpose,
        reason=phase.mandate.reason,
        since=now.wall,
        next_boot="" if state.host is None else state.host.next_boot,
    )


def intent(state: State, target: Release, mandate: Mandate, now: Now) -> Intent:
    """The intent of an attempt that begins now."""
    assert state.host is not None  # noqa: S101 - a release was found or left, so the host was read
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
        kind=reboot_kind(state),
    )


def requested(known: Intent, now: Now) -> Intent:
    """With the reboot requested now."""
    return replace(known, requested=RebootRequest(now.wall, now.boot_secs))


def failed(state: State, phase: Executing, detail: str, now: Now) -> tuple[State, Ending | None]:
    """An attempt that failed of ``detail``: with it in the history where nothing was armed, else to be closed with that
    ending once it is disarmed."""
    ending = Ending(Outcome.NOT_ATTEMPTED, detail)
    known = state.records.intent
    if known is not None and known.target.payload == phase.target.payload:
        return state, ending
    opened = state.records.opened(intent(state, phase.target, phase.mandate, now))
    closed = opened.closed(ending, now)
    return replace(state, records=replace(closed, intent=known, attempt=state.records.attempt)), None


def reboot_kind(state: State) -> RebootKind:
    """How the host goes down: as configured, where the engine's releases can be booted so."""
    wanted = state.policy.reboot_kind
    return wanted if wanted in state.traits.reboot_kinds else RebootKind.REBOOT
