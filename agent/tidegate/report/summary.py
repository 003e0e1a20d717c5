"""Summarize the agent's state: one word for programs, one line for people."""

from __future__ import annotations

from tidegate.machine.phases.starting import Starting
from tidegate.machine.phases.steady import Steady
from tidegate.machine.phases.waiting import Available, Staged
from tidegate.machine.state import State
from tidegate.report.explain import waits_of


def public_state(state: State) -> str:
    """The word for what the agent is doing. The set of words is part of the public interface."""
    if state.policy.blocked is not None and isinstance(state.phase, Steady | Staged | Available):
        return "failed"
    match state.phase:
        case Starting() if state.trouble is not None:
            return "failed"
        case Steady() | Available() if not state.policy.enabled:
            return "disabled"
        case phase:
            return phase.word


def summary(state: State) -> str:
    """One line for people: what the agent is doing and, where it waits, for which gate."""
    if public_state(state) == "failed":
        return _failed(state)
    return state.phase.sentence(state, waits_of(state))


def _failed(state: State) -> str:
    waits = waits_of(state)
    if state.policy.blocked is None and state.trouble is not None:
        return f"cannot read the host: {state.trouble.failure.message}"
    return f"does not update: {waits[0].reason}"
