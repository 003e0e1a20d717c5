"""Update orders as data: the steps of each, what undoes a step, and the plan for one engine. Pure.

An *order* is the sequence of an update, as the operator wants it; a *plan* is that order made concrete: for what the
engine can do, with or without a lock and a workload. Steps that have an undo are on record before they begin.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType

from tidegate.engines.base import EngineTraits, RebootOwner


class Order(StrEnum):
    """The trade-off of an update: outage, memory, disk or availability. The words are those of the configuration."""

    DOWNLOAD_THEN_KILL = "download-then-kill"
    """The shortest outage: everything is prepared while the workload runs."""
    KILL_THEN_DOWNLOAD = "kill-then-download"
    """The least memory: the workload does not run while the release is fetched."""
    DELETE_THEN_DOWNLOAD = "delete-then-download"
    """The least disk: old releases go first, and with them the way back."""
    HAND_OVER = "hand-over"
    """No outage: what takes the workload over is started before the workload stops."""


class PlanStep(StrEnum):
    """A step of a plan. The words are on record."""

    STAGE = "stage"
    ASK_GATES = "ask_gates"
    TAKE_LOCK = "take_lock"
    HAND_OVER = "hand_over"
    STOP_WORKLOAD = "stop_workload"
    PRUNE = "prune"
    WRITE_INTENT = "write_intent"
    ARM = "arm"
    CONFIRM_LOCK = "confirm_lock"
    RECHECK_GATES = "recheck_gates"
    RECHECK_AFTER_STOP = "recheck_after_stop"
    """After the workload has stopped, which may take as long as its units are given."""
    REQUEST_REBOOT = "request_reboot"


class Undo(StrEnum):
    """The way to take a step back. Each is idempotent and works from the records alone."""

    RELEASE_LOCK = "release_lock"
    END_HAND_OVER = "end_hand_over"
    START_WORKLOAD = "start_workload"
    DISARM = "disarm"
    """The intent leaves the disk only when this has been verified."""


UNDO: Mapping[PlanStep, Undo | None] = MappingProxyType(
    {
        PlanStep.STAGE: None,  # what was downloaded is kept; where staging arms, the intent's undo disarms it
        PlanStep.ASK_GATES: None,
        PlanStep.TAKE_LOCK: Undo.RELEASE_LOCK,
        PlanStep.HAND_OVER: Undo.END_HAND_OVER,
        PlanStep.STOP_WORKLOAD: Undo.START_WORKLOAD,
        PlanStep.PRUNE: None,  # the last safe point of the way back: what is deleted is gone
        PlanStep.WRITE_INTENT: Undo.DISARM,
        PlanStep.ARM: Undo.DISARM,
        PlanStep.CONFIRM_LOCK: None,
        PlanStep.RECHECK_GATES: None,
        PlanStep.RECHECK_AFTER_STOP: None,
        PlanStep.REQUEST_REBOOT: None,  # the last step: what follows is waited for before anything is undone
    }
)
"""Every step with its undo, or None where there is nothing to undo."""

_LAST_LOOK = (PlanStep.CONFIRM_LOCK, PlanStep.RECHECK_GATES)
_STOP = (PlanStep.STOP_WORKLOAD, PlanStep.RECHECK_AFTER_STOP)

ORDERS: Mapping[Order, tuple[PlanStep, ...]] = MappingProxyType(
    {
        Order.DOWNLOAD_THEN_KILL: (
            PlanStep.STAGE,
            PlanStep.ASK_GATES,
            PlanStep.TAKE_LOCK,
            PlanStep.WRITE_INTENT,
            PlanStep.ARM,
            *_LAST_LOOK,
            *_STOP,
            PlanStep.REQUEST_REBOOT,
        ),
        Order.KILL_THEN_DOWNLOAD: (
            PlanStep.ASK_GATES,
            PlanStep.TAKE_LOCK,
            PlanStep.STOP_WORKLOAD,
            PlanStep.STAGE,
            PlanStep.WRITE_INTENT,
            PlanStep.ARM,
            *_LAST_LOOK,
            PlanStep.REQUEST_REBOOT,
        ),
        Order.DELETE_THEN_DOWNLOAD: (
            PlanStep.ASK_GATES,
            PlanStep.TAKE_LOCK,
            PlanStep.STOP_WORKLOAD,
            PlanStep.PRUNE,
            PlanStep.STAGE,
            PlanStep.WRITE_INTENT,
            PlanStep.ARM,
            *_LAST_LOOK,
            PlanStep.REQUEST_REBOOT,
        ),
        Order.HAND_OVER: (
            PlanStep.STAGE,
            PlanStep.ASK_GATES,
            PlanStep.TAKE_LOCK,
            PlanStep.HAND_OVER,
            PlanStep.WRITE_INTENT,
            PlanStep.ARM,
            *_LAST_LOOK,
            *_STOP,
            PlanStep.REQUEST_REBOOT,
        ),
    }
)
"""The orders for an engine that stages locked, arms, disarms and leaves the reboot to the agent."""


def plan_for(order: Order, traits: EngineTraits, *, locking: bool, workload: bool) -> tuple[PlanStep, ...]:
    """The steps of ``order`` for this engine.

    ``locking``: a fleet lock has to be held. ``workload``: there are units to stop and to start.
    """
    steps = ORDERS[order]
    if not traits.stages_locked:
        steps = _staging_arms(steps)
    return _narrowed(_for_arming(steps, traits), locking=locking, workload=workload)


def rollback_plan(traits: EngineTraits, *, locking: bool, workload: bool) -> tuple[PlanStep, ...]:
    """The steps of the way back to a release that is on this host: nothing is fetched, whatever the order.

    Arming writes the boot order of the running host instead of leaving that to the shutdown. So nothing slow comes
    after it: the lock server is asked and the workload stopped before, the gates once more after it.
    """
    if traits.reboots is RebootOwner.ENGINE:
        steps = _without(ORDERS[Order.DOWNLOAD_THEN_KILL], PlanStep.STAGE)
        return _narrowed(_for_arming(steps, traits), locking=locking, workload=workload)
    locked = (PlanStep.TAKE_LOCK, *_LAST_LOOK) if locking else ()
    stopped = (PlanStep.STOP_WORKLOAD,) if workload else ()
    armed = (PlanStep.WRITE_INTENT, PlanStep.ARM, PlanStep.RECHECK_GATES, PlanStep.REQUEST_REBOOT)
    return (PlanStep.ASK_GATES, *locked, *stopped, *armed)


def undos_of(begun: Iterable[str]) -> tuple[Undo, ...]:
    """The undos of the steps on record, each once; steps of a newer agent that this one does not know have none."""
    known = (PlanStep(step) for step in begun if step in set(PlanStep))
    return tuple(dict.fromkeys(undo for step in known if (undo := UNDO[step]) is not None))


def arming_step(plan: tuple[PlanStep, ...]) -> PlanStep:
    """The step of ``plan`` that changes what the next boot leads to."""
    return PlanStep.ARM if PlanStep.ARM in plan else PlanStep.STAGE


def downloads_first(plan: tuple[PlanStep, ...]) -> bool:
    """Whether the release is staged before the gates are asked."""
    return plan[0] is PlanStep.STAGE


def _staging_arms(steps: tuple[PlanStep, ...]) -> tuple[PlanStep, ...]:
    """With staging at the place of arming: after gates, lock and intent."""
    placed = (PlanStep.STAGE if step is PlanStep.ARM else step for step in steps if step is not PlanStep.STAGE)
    return tuple(placed)


def _for_arming(steps: tuple[PlanStep, ...], traits: EngineTraits) -> tuple[PlanStep, ...]:
    """With the last questions where a no still counts.

    Where arming is the reboot, right before it. Where it cannot be taken back, there and after it: a no then leaves the
    release armed, and the host waits.
    """
    start = steps.index(PlanStep.WRITE_INTENT)
    head, tail = steps[:start], steps[start:]
    if traits.reboots is RebootOwner.ENGINE:
        arm = arming_step(steps)
        asked = _without(tail, PlanStep.WRITE_INTENT, arm, PlanStep.REQUEST_REBOOT)
        return (*head, *asked, PlanStep.WRITE_INTENT, arm)
    return steps if traits.can_disarm else (*head, *_LAST_LOOK, *tail)


def _narrowed(steps: tuple[PlanStep, ...], *, locking: bool, workload: bool) -> tuple[PlanStep, ...]:
    if not locking:
        steps = _without(steps, PlanStep.TAKE_LOCK, PlanStep.CONFIRM_LOCK)
    if not workload:
        steps = _without(steps, *_STOP, PlanStep.HAND_OVER)
    return steps


def _without(steps: tuple[PlanStep, ...], *gone: PlanStep) -> tuple[PlanStep, ...]:
    return tuple(step for step in steps if step not in gone)
