"""When the machine wants to be woken."""

from __future__ import annotations

from tidegate.machine import lock_duty, polling
from tidegate.machine.phases import (
    Disarming,
    MarkingGood,
    Paused,
    Rebooting,
    RollbackPending,
    Staged,
    Starting,
    Verifying,
)
from tidegate.machine.state import State


def next_wakeup(state: State) -> float | None:
    """The boot clock's reading at which a :class:`Tick` is due, or None while only outside events matter."""
    deadlines = (lock_duty.due(state), polling.poll_due(state), phase_deadline(state))
    return min((deadline for deadline in deadlines if deadline is not None), default=None)


def phase_deadline(state: State) -> float | None:
    """When (boot clock) the phase itself wants to go on, or None."""
    match state.phase:
        case Starting(retry_at=at) | MarkingGood(retry_at=at) | Disarming(retry_at=at):
            return at
        case Verifying(look_at=at):
            return at
        case Rebooting(deadline=at):
            return at
        case Paused(look_at=at, task=None):
            return at
        case Staged(evaluate_at=at) | RollbackPending(evaluate_at=at) if _may_decide(state):
            return at
        case _:
            return None


def _may_decide(state: State) -> bool:
    """One thing at a time: not while discovery is asked, and no lock is taken before the last one is given back."""
    return state.poll.task is None and not state.shutting_down and lock_duty.owed(state) is None
