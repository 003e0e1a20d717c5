"""A staged release that waits: what holds it, since when, and when the gates are asked next."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from tidegate.clock import Now
from tidegate.discovery.policy import Rules, unwanted
from tidegate.fleetlock.account import FLEET_LOCK
from tidegate.gates.base import Verdict, Wait
from tidegate.machine import lock_duty
from tidegate.machine.parts import enter, spread
from tidegate.machine.phases import AUTOMATIC, Mandate, RollbackPending, Staged, Steady
from tidegate.machine.state import State
from tidegate.records.model import Waiting
from tidegate.release import Purpose, Release

MAX_ATTEMPTS = 3
"""Attempts in a row that came to nothing, after which only a person or a newer release starts another."""

ATTEMPTS = "attempts"

RETRY_BASE_SECS = 300.0
"""Before the second attempt; doubled before each further one."""


def waits(verdicts: tuple[Verdict, ...]) -> tuple[Wait, ...]:
    """The verdicts that hold the reboot."""
    return tuple(verdict for verdict in verdicts if isinstance(verdict, Wait))


def agent_waits(state: State, target: Release, mandate: Mandate) -> tuple[Wait, ...]:
    """What the agent itself has against a reboot, whatever the gates say.

    A person is not held by ``updates.enabled``, and one who does not wait for the strategy not by vain attempts.
    """
    found = (
        state.policy.block,
        _denied(state, target),
        _unwanted(state, target) if mandate.purpose is not Purpose.ROLLBACK else None,
        _disabled(state) if mandate.request is None and mandate.purpose is Purpose.UPDATE else None,
        None if _by_a_person_now(mandate) else _exhausted(state, target),
    )
    return tuple(wait for wait in found if wait is not None)


def agent_waits_before_lock(state: State, target: Release, mandate: Mandate) -> tuple[Wait, ...]:
    """The same, and what is owed to the lock server, as long as nothing has been taken for this reboot."""
    owed = None if FLEET_LOCK in mandate.overrides else lock_duty.owed(state)
    own = agent_waits(state, target, mandate)
    return own if owed is None else (*own, owed)


def _by_a_person_now(mandate: Mandate) -> bool:
    return mandate.purpose is Purpose.MANUAL or (mandate.purpose is Purpose.ROLLBACK and mandate.request is not None)


def mandate_of(state: State) -> Mandate:
    """What the host is to reboot for when nobody asks."""
    due = state.records.rollback
    return AUTOMATIC if due is None else Mandate(Purpose.ROLLBACK, due.reason)


def _denied(state: State, target: Release) -> Wait | None:
    denial = state.records.denial_of(target.payload)
    if denial is None:
        return None
    why = f"{target.version} is denied: {denial.evidence}"
    return Wait("denied", why, remedy=f"tidegate allow {target.version} --reason TEXT")


def _unwanted(state: State, target: Release) -> Wait | None:
    """The operator has changed their mind since the release was staged."""
    rules = Rules({}, pin=state.policy.pin, max_version=state.policy.max_version)
    passed_over = unwanted(target, rules)
    if passed_over is None:
        return None
    return Wait("updates", f"{target.version} {passed_over.reason}", remedy="tidegate config show --origin")


def _disabled(state: State) -> Wait | None:
    if state.policy.enabled:
        return None
    return Wait("updates", "updates.enabled is false", remedy="tidegate apply --now --reason TEXT")


def _exhausted(state: State, target: Release) -> Wait | None:
    failures = state.records.failures_in_a_row(target.payload)
    if failures < MAX_ATTEMPTS:
        return None
    last = state.records.history[-1]
    return Wait(
        ATTEMPTS,
        f"{failures} attempts in a row came to nothing, the last one: {last.detail}",
        remedy=f"mend the cause, then: {_by_hand(state)}",
    )


def _by_hand(state: State) -> str:
    return "tidegate apply --now --reason TEXT" if state.records.rollback is None else "tidegate rollback --reason TEXT"


def waiting(state: State, target: Release, since: datetime, verdicts: tuple[Verdict, ...], now: Now) -> State:
    """Staged, or about to leave the release that the host runs, with the instant at which the gates are asked next.

    Since when each of them waits is remembered. A release that was denied while its gates or its lock were asked waits
    no longer.
    """
    if state.records.rollback is None and _denied(state, target) is not None:
        return enter(state, Steady())
    own = agent_waits(state, target, mandate_of(state))
    evaluate_at = None if own else _next_evaluation(state, target, verdicts, now)
    verdicts = (*verdicts, *_after_vain_attempt(state, target, now))
    state = _remembered(state, since, own, verdicts, now)
    kind = Staged if state.records.rollback is None else RollbackPending
    return enter(state, kind(target, since, evaluate_at, verdicts))


def without_vain_rollback(state: State) -> State:
    """Without a rollback that is due to a release which is no longer on this host: somebody else has removed it."""
    due, host = state.records.rollback, state.host
    if due is None or host is None or any(entry.payload == due.target.payload for entry in host.entries):
        return state
    return replace(state, records=replace(state.records, rollback=None))


def waiting_since(state: State, now: Now) -> datetime:
    """Since when this host has had a release to reboot into: a newer one, or a new agent, does not start it anew."""
    known = state.records.waiting
    same = known is not None and state.host is not None and known.booted == state.host.booted.payload
    return known.since if known is not None and same else now.wall


def _remembered(state: State, since: datetime, own: tuple[Wait, ...], verdicts: tuple[Verdict, ...], now: Now) -> State:
    assert state.host is not None  # noqa: S101 - a release was staged, so the host was read
    booted = state.host.booted.payload
    known = state.records.waiting
    before = Waiting(booted, since) if known is None or known.booted != booted else known
    holding = {wait.gate: before.gates.get(wait.gate, now.wall) for wait in (*own, *waits(verdicts))}
    gates = holding if verdicts else {**before.gates, **holding}  # nobody was asked: what they said last stands
    after = replace(before, since=since, gates=gates)
    return replace(state, records=replace(state.records, waiting=after))


def _next_evaluation(state: State, target: Release, verdicts: tuple[Verdict, ...], now: Now) -> float:
    """At once when nothing is known; else when a gate expects to open, at the latest at the steady interval.

    A lock server's wish is heard: it is asked no sooner than it said.
    """
    openings = {wait.gate: _secs_until(wait.until, now) for wait in waits(verdicts) if wait.until is not None}
    wished = openings.get(FLEET_LOCK, 0.0)
    steady = spread(state, float(state.policy.steady_interval_secs))
    pause_secs = min([steady, *openings.values()]) if verdicts else 0.0
    return now.boot_secs + max(pause_secs, wished, _pause_after_vain_attempt(state, target, now))


def _pause_after_vain_attempt(state: State, target: Release, now: Now) -> float:
    """Seconds until the next attempt at ``target`` after one that came to nothing; 0 where there was none."""
    failures = state.records.failures_in_a_row(target.payload)
    if not failures:
        return 0.0
    pause_secs = RETRY_BASE_SECS * 2.0 ** (failures - 1)
    passed_secs = (now.wall - state.records.history[-1].ended_at).total_seconds()
    return pause_secs if passed_secs < 0 else max(0.0, pause_secs - passed_secs)  # a clock set back: from now


def _after_vain_attempt(state: State, target: Release, now: Now) -> tuple[Wait, ...]:
    pause_secs = _pause_after_vain_attempt(state, target, now)
    if not pause_secs or _exhausted(state, target) is not None:
        return ()
    until = now.wall + timedelta(seconds=pause_secs)
    why = f"the last attempt came to nothing: {state.records.history[-1].detail}"
    return (Wait(ATTEMPTS, why, until, remedy=f"wait, or: {_by_hand(state)}"),)


def _secs_until(instant: datetime, now: Now) -> float:
    return max(1.0, (instant - now.wall).total_seconds())
