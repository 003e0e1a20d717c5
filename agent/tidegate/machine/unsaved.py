"""A step whose records could not be saved was not taken: where each phase goes back to, so that it is tried again."""

from __future__ import annotations

from tidegate.clock import Now
from tidegate.errors import Failure
from tidegate.machine import finalize, undo, update, verify, watch
from tidegate.machine.phases import (
    Arming,
    CheckingGates,
    ConfirmingLock,
    Disarming,
    Locking,
    MarkingGood,
    Paused,
    RecheckingGates,
    Starting,
    Verifying,
)
from tidegate.machine.state import State, Step


def back_off(state: State, failure: Failure, now: Now) -> Step:
    """Nothing of the step was done; ``failure`` says why it could not be recorded."""
    match state.phase:
        case Starting():
            return verify.host_unreadable(state, failure, now)
        case Verifying() | MarkingGood() | Paused() as phase:
            return watch.unrecorded(state, phase, failure, now)
        case CheckingGates() as phase:
            return update.gates_failed(state, phase, failure, now)
        case Locking() as phase:
            return finalize.lock_failed(state, phase, failure, now)
        case Arming() | ConfirmingLock() | RecheckingGates() as phase:
            return finalize.finalizing_failed(state, phase, failure, now)
        case Disarming() as phase:
            return undo.disarm_failed(state, phase, failure, now)
        case _:
            return state, ()
