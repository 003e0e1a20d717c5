"""Verdicts of the state gates, which the agent knows without asking anything; :mod:`tidegate.gates.state` has their
specifications. Pure."""

from __future__ import annotations

from datetime import timedelta

from tidegate.clock import Now
from tidegate.discovery.policy import Cause, Rules, unwanted
from tidegate.fleetlock.account import FLEET_LOCK
from tidegate.gates.base import Wait
from tidegate.gates.state import ATTEMPTS, DENIED, UPDATES, VERSION_POLICY
from tidegate.machine import lock_duty
from tidegate.machine.mandate import AUTOMATIC, Mandate
from tidegate.machine.state import State
from tidegate.release import Purpose, Release

MAX_ATTEMPTS = 3
"""Consecutive failed attempts after which only an operator or a newer release starts another."""

RETRY_BASE_SECS = 300.0
"""Before the second attempt; doubled before each further one."""


def agent_waits(state: State, target: Release, mandate: Mandate) -> tuple[Wait, ...]:
    """Return the agent's own reasons against a reboot, apart from the gates.

    A person is not held by ``updates.enabled``, and one who does not wait for the strategy not by vain attempts.
    """
    found = (
        state.policy.block,
        _denied(state, target),
        _unwanted(state, target) if mandate.purpose in VERSION_POLICY.guards else None,
        _disabled(state) if mandate.request is None and mandate.purpose in UPDATES.guards else None,
        None if _by_a_person_now(mandate) else _exhausted(state, target),
    )
    return tuple(wait for wait in found if wait is not None)


def agent_waits_before_lock(state: State, target: Release, mandate: Mandate) -> tuple[Wait, ...]:
    """The same, with the pending release of an earlier lock, as long as nothing has been taken for this reboot."""
    owed = None if FLEET_LOCK in mandate.overrides else lock_duty.owed(state)
    own = agent_waits(state, target, mandate)
    return own if owed is None else (*own, owed)


def _by_a_person_now(mandate: Mandate) -> bool:
    return mandate.purpose not in ATTEMPTS.guards or (
        mandate.purpose is Purpose.ROLLBACK and mandate.request is not None
    )


def mandate_of(state: State) -> Mandate:
    """Return the mandate of an automatic reboot."""
    due = state.records.rollback
    return AUTOMATIC if due is None else Mandate(Purpose.ROLLBACK, due.reason)


def _denied(state: State, target: Release) -> Wait | None:
    denial = state.records.denial_of(target.payload)
    if denial is None:
        return None
    why = f"{target.version} is denied: {denial.evidence}"
    return Wait(DENIED.name, why, remedy=f"tidegate allow {target.version} --reason TEXT")


def _unwanted(state: State, target: Release) -> Wait | None:
    """The operator has changed their mind since the release was staged, or the clock by which it was old enough."""
    young = {one.release.payload: one.reason for one in state.passed_over if one.cause is Cause.YOUNG}
    rules = Rules({}, pin=state.policy.pin, max_version=state.policy.max_version, young=young)
    passed_over = unwanted(target, rules)
    if passed_over is None:
        return None
    return Wait(VERSION_POLICY.name, f"{target.version} {passed_over.reason}", remedy="tidegate config show --origin")


def _disabled(state: State) -> Wait | None:
    if state.policy.enabled:
        return None
    return Wait(UPDATES.name, "updates.enabled is false", remedy="tidegate apply --now --reason TEXT")


def _exhausted(state: State, target: Release) -> Wait | None:
    failures = state.records.failures_in_a_row(target.payload)
    if failures < MAX_ATTEMPTS:
        return None
    last = state.records.history[-1]
    return Wait(
        ATTEMPTS.name,
        f"{failures} consecutive attempts failed, the last one: {last.detail}",
        remedy=f"fix the cause, then: {_by_hand(state)}",
    )


def _by_hand(state: State) -> str:
    return "tidegate apply --now --reason TEXT" if state.records.rollback is None else "tidegate rollback --reason TEXT"


def pause_after_failed_attempt(state: State, target: Release, now: Now) -> float:
    """Seconds until the next attempt at ``target`` after a failed one; 0 if there was none."""
    failures = state.records.failures_in_a_row(target.payload)
    if not failures:
        return 0.0
    pause_secs = RETRY_BASE_SECS * 2.0 ** (failures - 1)
    passed_secs = (now.wall - state.records.history[-1].ended_at).total_seconds()
    return pause_secs if passed_secs < 0 else max(0.0, pause_secs - passed_secs)  # a clock set back: from now


def after_failed_attempt(state: State, target: Release, now: Now) -> tuple[Wait, ...]:
    """The pause after a failed attempt at ``target`` as a wait, where there is one and further attempts follow."""
    pause_secs = pause_after_failed_attempt(state, target, now)
    if not pause_secs or _exhausted(state, target) is not None:
        return ()
    until = now.wall + timedelta(seconds=pause_secs)
    why = f"the last attempt failed: {state.records.history[-1].detail}"
    return (Wait(ATTEMPTS.name, why, until, remedy=f"wait, or: {_by_hand(state)}"),)
