"""A staged release that waits: what holds it, and when the gates are asked next."""

from __future__ import annotations

from datetime import datetime

from tidegate.clock import Now
from tidegate.gates.base import Verdict, Wait
from tidegate.machine.parts import (
    enter,
)
from tidegate.machine.phases import (
    Staged,
)
from tidegate.machine.state import State
from tidegate.purpose import Purpose
from tidegate.release import Release

MAX_ATTEMPTS = 3
"""Attempts in a row that came to nothing, after which only a person or a newer release starts another."""

RETRY_BASE_SECS = 300.0
"""Before the second attempt; doubled before each further one."""


def all_allow(verdicts: tuple[Verdict, ...]) -> bool:
    """Whether no gate waits."""
    return not any(isinstance(verdict, Wait) for verdict in verdicts)


def with_policy(state: State, purpose: Purpose, verdicts: tuple[Verdict, ...]) -> tuple[Verdict, ...]:
    """The settings may have changed while the gates were asked."""
    by_person = purpose is Purpose.MANUAL and state.policy.blocked is None
    held = None if by_person else _held_by_policy(state)
    return verdicts if held is None else (held, *verdicts)


def _held_by_policy(state: State) -> Wait | None:
    if state.policy.block is not None:
        return state.policy.block
    if not state.policy.enabled:
        return Wait("updates", "updates.enabled is false", remedy="tidegate apply --now --reason TEXT")
    return None


def _held_by_attempts(state: State, target: Release) -> Wait | None:
    failures = state.records.failures_in_a_row(target.payload)
    if failures < MAX_ATTEMPTS:
        return None
    last = state.records.history[-1]
    return Wait(
        "attempts",
        f"{failures} attempts in a row came to nothing, the last one: {last.detail}",
        remedy="mend the cause, then: tidegate apply --now --reason TEXT",
    )


def waiting(state: State, target: Release, since: datetime, verdicts: tuple[Verdict, ...], now: Now) -> State:
    """Staged, with the instant at which the gates are asked next."""
    held = _held_by_policy(state) or _held_by_attempts(state, target)
    if held is not None:
        return enter(state, Staged(target, since, None, (held,)))
    return enter(state, Staged(target, since, _next_evaluation(state, target, verdicts, now), verdicts))


def _next_evaluation(state: State, target: Release, verdicts: tuple[Verdict, ...], now: Now) -> float:
    """At once when nothing is known; else when a gate expects to open, at the latest at the steady interval."""
    failures = state.records.failures_in_a_row(target.payload)
    if failures:
        return now.boot_secs + RETRY_BASE_SECS * 2.0 ** (failures - 1)
    if not verdicts:
        return now.boot_secs
    steady = float(state.policy.steady_interval_secs)
    openings = [
        max(1.0, (verdict.until - now.wall).total_seconds())
        for verdict in verdicts
        if isinstance(verdict, Wait) and verdict.until is not None
    ]
    return now.boot_secs + min([steady, *openings])
