"""Waiting for gates: with a staged release, with one that is staged after the gates, or with a rollback that is due."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from tidegate.clock import Now
from tidegate.errors import ErrorKind, Failure
from tidegate.fleetlock.account import FLEET_LOCK
from tidegate.gates.base import Verdict, Wait, waits
from tidegate.machine.effects import Reply
from tidegate.machine.events import ApplyAsked
from tidegate.machine.lock_duty import owed
from tidegate.machine.mandate import Mandate
from tidegate.machine.parts import HOST_GOING_DOWN, enter, refusal, spread
from tidegate.machine.phase import LockUse, Taskless
from tidegate.machine.phases import executing, rebooting, undoing
from tidegate.machine.phases.steady import Steady
from tidegate.machine.state_gates import (
    after_failed_attempt,
    agent_waits,
    agent_waits_before_lock,
    mandate_of,
    pause_after_failed_attempt,
)
from tidegate.records import model
from tidegate.release import Release

if TYPE_CHECKING:
    from tidegate.machine.state import State, Step


@dataclass(frozen=True, slots=True)
class Waiting(Taskless):
    """``target`` waits for gates.

    ``since`` is when the host could first have rebooted; a newer release takes it over. ``evaluate_at`` (boot clock) is
    when the gates are asked next, None while only a person can start an attempt. ``verdicts`` are their last answers.
    """

    target: Release
    since: datetime
    evaluate_at: float | None
    verdicts: tuple[Verdict, ...] = ()

    def wakeup(self, state: State) -> float | None:
        """When the gates are asked next: not while discovery is asked, and not before an old lock is released."""
        free = state.poll.task is None and not state.shutting_down and owed(state) is None
        return self.evaluate_at if free else None

    def due(self, state: State, now: Now) -> Step:
        """Ask the gates, on the strategy's behalf."""
        return executing.start(state, self.target, self.since, mandate_of(state), now)

    def release(self, state: State) -> Release | None:
        """The release that waits."""
        return self.target

    def last_verdicts(self) -> tuple[Verdict, ...]:
        """The last answers of the gates."""
        return self.verdicts


@dataclass(frozen=True, slots=True)
class Staged(Waiting):
    """``target`` is staged, and waits."""

    word: ClassVar[str] = "staged"
    activity: ClassVar[str] = "waiting to reboot into the staged release"
    lock_use: ClassVar[LockUse] = LockUse.NONE
    checks_for_releases: ClassVar[bool] = True

    def sentence(self, state: State, waits: tuple[Wait, ...]) -> str:
        """With the first reason."""
        return f"{self.target.version} is staged{_and_waits(waits)}"


@dataclass(frozen=True, slots=True)
class Available(Waiting):
    """``target`` waits to be staged: its order, or its engine, asks the gates first."""

    word: ClassVar[str] = "steady"
    activity: ClassVar[str] = "waiting to begin the update"
    lock_use: ClassVar[LockUse] = LockUse.NONE
    checks_for_releases: ClassVar[bool] = True

    def sentence(self, state: State, waits: tuple[Wait, ...]) -> str:
        """With the first reason."""
        return f"{self.target.version} is available{_and_waits(waits)}"


@dataclass(frozen=True, slots=True)
class RollbackPending(Waiting):
    """The rollback that is due waits, in the release that is to be left; ``target`` is where it leads."""

    word: ClassVar[str] = "paused"
    activity: ClassVar[str] = "waiting to roll back"
    lock_use: ClassVar[LockUse] = LockUse.WAY_BACK

    def sentence(self, state: State, waits: tuple[Wait, ...]) -> str:
        """With the reason of the rollback, and the first why it has to wait."""
        due = state.records.rollback
        why = "" if due is None else f" ({due.reason})"
        return f"rolling back to {self.target.version}{why}{_and_waits(waits)}"


def _and_waits(waits: tuple[Wait, ...]) -> str:
    return f" and waits: {waits[0].gate}: {waits[0].reason}" if waits else ""


def apply_asked(state: State, event: ApplyAsked, now: Now) -> Step:
    """A person wants the host in the release that waits, now."""
    phase = state.phase
    if not isinstance(phase, Staged | Available):
        return state, (Reply(event.request_id, _nothing_to_apply(state)),)
    mandate = Mandate(event.purpose, event.reason, event.request_id, event.overrides)
    held = agent_waits_before_lock(state, phase.target, mandate)
    why_not = HOST_GOING_DOWN if state.shutting_down else state.policy.blocked or (refusal(held) if held else None)
    if why_not is not None:
        return state, (Reply(event.request_id, why_not),)
    return executing.start(state, phase.target, phase.since, mandate, now)


def _nothing_to_apply(state: State) -> Failure:
    if isinstance(state.phase, executing.Executing | rebooting.Rebooting | undoing.Undoing):
        return Failure(ErrorKind.AGENT_BUSY, f"the agent is {state.phase.activity}", "ask again when that is over")
    why = f"no release is staged (the agent is {state.phase.activity})"
    return Failure(ErrorKind.AGENT_NOTHING_TO_APPLY, why, "stage one first: tidegate stage")


def wait(state: State, target: Release, since: datetime, verdicts: tuple[Verdict, ...], now: Now) -> State:
    """Staged, or about to leave the release that the host runs, with the instant at which the gates are asked next.

    Since when each gate waits is remembered. A release that was denied while its gates were asked waits no longer.
    """
    if state.records.rollback is None and state.records.denial_of(target.payload) is not None:
        return enter(state, Steady())
    own = agent_waits(state, target, mandate_of(state))
    evaluate_at = None if own else _next_evaluation(state, target, verdicts, now)
    verdicts = (*verdicts, *after_failed_attempt(state, target, now))
    state = _named(_remembered(state, since, own, verdicts, now), target)
    return enter(state, _phase_for(state, target)(target, since, evaluate_at, verdicts))


def _phase_for(state: State, target: Release) -> type[Waiting]:
    if state.records.rollback is not None:
        return RollbackPending
    return Staged if state.has_staged(target) or state.stages_first else Available


def adopted(state: State, now: Now) -> State | None:
    """Waiting with the release that the agent before had staged, whatever its source says by now; None without one.

    The source has the first word all the same: the gates are asked when it has answered, or after an interval.
    """
    known, host = state.records.waiting, state.host
    if known is None or host is None or host.staged is None or not host.staged.locked or not state.stages_first:
        return None
    staged = Release(host.staged.version, host.staged.payload)
    if (known.booted, known.target) != (host.booted.payload, staged.payload) or state.records.denial_of(staged.payload):
        return None
    state = wait(state, staged, known.since, (), now)
    phase = state.phase
    if not isinstance(phase, Waiting) or phase.evaluate_at is None:
        return state
    later = now.boot_secs + spread(state, float(state.policy.steady_interval_secs))
    return enter(state, replace(phase, evaluate_at=later))


def still_offered(state: State, phase: Staged, target: Release, now: Now) -> State:
    """With all that the source says of the staged release; one whose gates were not asked since the start is asked."""
    evaluate_at = phase.evaluate_at if phase.verdicts or phase.evaluate_at is None else now.boot_secs
    return enter(state, replace(phase, target=target, evaluate_at=evaluate_at))


def without_lost_rollback(state: State) -> State:
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


def _named(state: State, target: Release) -> State:
    """With the release that waits on record, for an agent that is restarted."""
    known = state.records.waiting
    assert known is not None  # noqa: S101 - it is remembered since when it waits
    return replace(state, records=replace(state.records, waiting=replace(known, target=target.payload)))


def _remembered(state: State, since: datetime, own: tuple[Wait, ...], verdicts: tuple[Verdict, ...], now: Now) -> State:
    assert state.host is not None  # noqa: S101 - a release was found, so the host was read
    booted = state.host.booted.payload
    known = state.records.waiting
    before = model.Waiting(booted, since) if known is None or known.booted != booted else known
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
    return now.boot_secs + max(pause_secs, wished, pause_after_failed_attempt(state, target, now))


def _secs_until(instant: datetime, now: Now) -> float:
    return max(1.0, (instant - now.wall).total_seconds())
