"""Summarize the agent's state: one word for programs, one line for people."""

from __future__ import annotations

from tidegate.machine.phases import (
    Arming,
    CheckingGates,
    ConfirmingLock,
    Disarming,
    Finalizing,
    Locking,
    MarkingGood,
    Paused,
    RecheckingGates,
    RequestingReboot,
    RollbackPending,
    Staged,
    Staging,
    Starting,
    Steady,
    Verifying,
)
from tidegate.machine.state import State
from tidegate.report.explain import target_of, waits_of


def public_state(state: State) -> str:
    """The word for what the agent is doing. The set of words is part of the public interface."""
    if state.policy.blocked is not None and isinstance(state.phase, Steady | Staged):
        return "failed"
    match state.phase:
        case Starting() if state.trouble is not None:
            return "failed"
        case Steady() if not state.policy.enabled:
            return "disabled"
        case phase:
            return phase.word


def summary(state: State) -> str:
    """One line for people: what the agent is doing and, where it waits, for which gate."""
    if public_state(state) == "failed":
        return _failed(state)
    target = target_of(state)
    return _idle(state) if target is None else _busy(state, target.version)


def _failed(state: State) -> str:
    waits = waits_of(state)
    if state.policy.blocked is None and state.trouble is not None:
        return f"cannot read the host: {state.trouble.failure.message}"
    return f"does not update: {waits[0].reason}"


def _idle(state: State) -> str:
    if isinstance(state.phase, Starting):
        return "reading the host"
    if state.dead_end is not None:
        return f"no further updates: {state.dead_end}"
    if state.trouble is not None:
        return state.trouble.failure.message
    return "not checked yet" if state.poll.checked_at is None else "up to date"


def _busy(state: State, version: str) -> str:
    match state.phase:
        case Steady():
            return f"{version} is available"
        case Staging(progress=progress):
            share = "" if progress is None or progress.fraction is None else f": {progress.fraction:.0%}"
            return f"staging {version}{share}"
        case Staged():
            return _staged(state, version)
        case Finalizing() as phase:
            return _STEPS[type(phase)].format(version)
        case Disarming():
            return f"cancelling the reboot into {version}"
        case RollbackPending():
            return _rolling_back(state, version)
        case _:
            return _verifying(state, version)


def _verifying(state: State, version: str) -> str:
    match state.phase:
        case Verifying(pending=pending):
            return f"verifying {version}: {pending}" if pending else f"verifying {version}"
        case MarkingGood():
            return f"{version} is healthy; marking it as good"
        case Paused(reason=reason):
            return f"paused in {version}: {reason}"
        case _:
            return f"{public_state(state)} {version}"


def _staged(state: State, version: str) -> str:
    waits = waits_of(state)
    return f"{version} is staged and waits: {waits[0].gate}: {waits[0].reason}" if waits else f"{version} is staged"


def _rolling_back(state: State, version: str) -> str:
    due, waits = state.records.rollback, waits_of(state)
    why = "" if due is None else f" ({due.reason})"
    held = f" and waits: {waits[0].gate}: {waits[0].reason}" if waits else ""
    return f"rolling back to {version}{why}{held}"


_STEPS: dict[type[Finalizing], str] = {
    CheckingGates: "asking every gate whether the host may reboot into {}",
    Locking: "asking the lock server for a slot to reboot into {}",
    Arming: "making {} the default for the next boot",
    ConfirmingLock: "asking the lock server once more before the reboot into {}",
    RecheckingGates: "asking every gate once more before the reboot into {}",
    RequestingReboot: "asking logind to reboot into {}",
}
