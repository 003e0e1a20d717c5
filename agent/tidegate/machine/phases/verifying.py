"""Verifying: the health of a boot is probed until it is found good or bad.

::

    Verifying --good to the end of the watch--> MarkingGood --the engine knows--> Steady, the attempt is closed
       |  bad
       +-- pause -----> Paused --healthy again--> Verifying        --a person resumes--> MarkingGood
       +-- continue --> MarkingGood, on record
       +-- rollback --> RollbackPending, or Paused where there is no way back

The watch is on disk while it lasts, so that an agent that is restarted goes on with it. A host that comes up in the
target again, after a power cut say, is watched again: what cut it off says nothing about the release, and what was
watched before counts for up to half. Boots that end without a shutdown are counted all the same, since a release that
resets the host within the watch would be booted for ever (``health.max_boots``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, assert_never

from tidegate.clock import Now, rfc3339
from tidegate.errors import ErrorKind, Failure
from tidegate.gates.base import Wait
from tidegate.gates.state import HEALTH
from tidegate.health.base import ProbeResult
from tidegate.health.judgement import Bad, CheckState, Good, Watching, failing, judge, pending, updated
from tidegate.machine.effects import ERROR, NOTICE, WARNING, Announce, ReadHealth
from tidegate.machine.events import Result
from tidegate.machine.parts import booted_release, enter, recovered, take_id, troubled
from tidegate.machine.phase import LockUse, Phase
from tidegate.machine.phases import marking_good, paused, rollback
from tidegate.machine.state import FailureAction
from tidegate.machine.topics import Topic
from tidegate.records.model import EndCause, Verification
from tidegate.release import Purpose, Release

if TYPE_CHECKING:
    from tidegate.machine.state import State, Step

RETRY_SECS = 30.0
"""Between two tries at what could not be saved."""

SAVE_SECS = 60.0
"""Between two times that the progress of a watch is saved: a power cut costs no more of it."""

CUTS_WITHOUT_EVIDENCE = 4
"""How many times ``health.max_boots`` boots may end without a shutdown while nothing speaks against the release."""

PROBING = ("health", "agent", "bus")
"""Areas of the errors of a probe."""


@dataclass(frozen=True, slots=True)
class Verifying(Phase):
    """The host runs the target of the intent, and is watched; nothing counts until it is found good.

    ``began`` (boot clock) is when the watch did; ``healthy_before_secs`` is what earlier boots count for. ``task`` is a
    probe under way, else ``look_at`` (boot clock) is when the next one is due. ``pending`` says what is still waited
    for.
    """

    word: ClassVar[str] = "verifying"
    activity: ClassVar[str] = "verifying this boot"
    lock_use: ClassVar[LockUse] = LockUse.WAY_BACK

    began: float
    task: int | None = None
    checks: tuple[CheckState, ...] = ()
    pending: str = ""
    look_at: float | None = None
    healthy_before_secs: float = 0.0

    def wakeup(self, state: State) -> float | None:
        """At the next probe."""
        return self.look_at

    def due(self, state: State, now: Now) -> Step:
        """Probe."""
        return _probe(state, self)

    def awaits(self, task: int) -> bool:
        """For the probe."""
        return task == self.task

    def answered(self, state: State, task: int, result: Result, now: Now) -> Step:
        """Judge the boot by this probe and those before it."""
        if not isinstance(result, ProbeResult):
            raise self.unexpected(result)
        terms, elapsed_secs = state.policy.health, now.boot_secs - self.began
        phase = replace(self, checks=updated(self.checks, result, terms, elapsed_secs))
        state = enter(recovered(state, *PROBING), phase)
        match judge(
            phase.checks, terms, elapsed_secs, self.healthy_before_secs
        ):  # of three; both type checkers see that none is missing
            case Watching(reason):
                state = _saved(state, phase, result, elapsed_secs)
                return _probe_later(state, replace(phase, pending=reason), now), ()
            case Good(remark):
                return marking_good.accept(state, f"verified{remark and f', with failed checks: {remark}'}")
            case Bad(evidence):
                return _unhealthy(state, Rejection(evidence, result.journal_cursor), now)

    def failed(self, state: State, task: int, failure: Failure, now: Now) -> Step:
        """A probe that could not be made says nothing about the boot: nothing is concluded until one can."""
        first = state.trouble is None or state.trouble.failure.kind is not failure.kind
        version = booted_release(state).version
        text = f"the health of {version} is not known: {failure.message}"
        notes = (Announce(Topic.VERIFYING, WARNING, text, version),) if first else ()
        return _probe_later(troubled(state, failure, now), replace(self, pending=text), now), notes

    def unsaved(self, state: State, task: int | None, failure: Failure, now: Now) -> Step:
        """A verdict that was not saved does not count: probe again."""
        again = replace(self, task=None, look_at=now.boot_secs + RETRY_SECS)
        return enter(troubled(state, failure, now), again), ()

    def release(self, state: State) -> Release | None:
        """The one that runs."""
        return booted_release(state)

    def last_checks(self) -> tuple[CheckState, ...]:
        """Those of this watch."""
        return self.checks

    def hindrances(self, state: State) -> tuple[Wait, ...]:
        """The watch has to end."""
        return (Wait(HEALTH.name, f"this boot is being verified{self.pending and f': {self.pending}'}"),)

    def sentence(self, state: State, waits: tuple[Wait, ...]) -> str:
        """With what is waited for."""
        version = booted_release(state).version
        return f"verifying {version}: {self.pending}" if self.pending else f"verifying {version}"


def begin(state: State, now: Now) -> Step:
    """The host has come up in the target of the intent: watch it, or go on with that where this boot is watched."""
    version = booted_release(state).version
    known = state.records.verification
    if known is not None and known.boot == state.boot and known.bad:
        return enter(state, paused.Paused(known.bad, look_at=now.boot_secs)), ()
    if known is not None and known.boot == state.boot:
        return _probe(state, Verifying(known.began_secs, healthy_before_secs=known.healthy_secs))
    verification = _next_boot(state, known, now)
    boots = verification.boots
    again = f", for the {boots}. time: the boots before did not last" if boots > 1 else ""
    note = Announce(Topic.VERIFYING, WARNING if again else NOTICE, f"booted into {version}, verifying{again}", version)
    state = replace(state, records=replace(state.records, verification=verification))
    state, effects = _given_up(state, verification, now) or watch(state, verification, (), now)
    return state, (note, *effects)


def _next_boot(state: State, known: Verification | None, now: Now) -> Verification:
    """The record of a watch that begins with this boot."""
    if known is None:
        return Verification(state.boot, now.boot_secs, healthy_secs=_healthy_in_attempts_before(state))
    return Verification(
        state.boot,
        now.boot_secs,
        boots=known.boots + 1,
        cut_boots=known.cut_boots + (state.last_boot.shut_down is None or state.last_boot.cut_short(known.boot)),
        healthy_secs=known.healthy_secs + known.healthy_now_secs,
    )


def _healthy_in_attempts_before(state: State) -> float:
    """What the release was watched for before the boot loader took another in the last attempt at it."""
    for last in state.records.history[-1:]:
        if last.cause == EndCause.AFTER_HEALTHY_BOOTS and last.target.payload == booted_release(state).payload:
            return last.healthy_secs
    return 0.0


def _given_up(state: State, verification: Verification, now: Now) -> Step | None:
    """Do what ``health.failure_action`` says of a release on which the host does not stay up; None while it may try."""
    cuts, limit = verification.cut_boots, state.policy.health.max_boots
    against = _evidence_against(state)
    if cuts < (limit if against else limit * CUTS_WITHOUT_EVIDENCE):
        return None
    text = f"{cuts} boots into it ended within the watch, without a shutdown{against and f': {against}'}"
    proven = bool(against) or not verification.healthy_secs
    return _unhealthy(state, Rejection(text, proven=proven), now)


def _evidence_against(state: State) -> str:
    """Why the boots before ended, where the release is to blame; empty where that is not known."""
    intent, last = state.records.intent, state.last_boot
    if last.reset_by_watchdog:
        return "the watchdog has reset the host"
    if intent is not None and last.crashed_at is not None and last.crashed_at >= intent.written_at:
        return f"the kernel crashed at {rfc3339(last.crashed_at)}"
    return ""


def watch(state: State, verification: Verification, checks: tuple[CheckState, ...], now: Now) -> Step:
    """Begin the watch, on record as ``verification``."""
    state = replace(state, records=replace(state.records, verification=verification))
    phase = Verifying(now.boot_secs, checks=checks, healthy_before_secs=verification.healthy_secs)
    return _probe(state, phase)


def _saved(state: State, phase: Verifying, result: ProbeResult, elapsed_secs: float) -> State:
    """With the progress of the watch on record, where every required check passes; from time to time."""
    known = state.records.verification
    if known is None or failing(result) or pending(phase.checks):
        return state
    if known.healthy_now_secs and elapsed_secs < known.healthy_now_secs + SAVE_SECS:
        return state
    progress = replace(known, healthy_now_secs=max(elapsed_secs, 1.0))
    return replace(state, records=replace(state.records, verification=progress))


def probe(state: State, task: int) -> ReadHealth:
    """The effect: units that had failed before the reboot are no news."""
    intent = state.records.intent
    return ReadHealth(task, frozenset() if intent is None else frozenset(intent.failed_units))


def _probe(state: State, phase: Verifying) -> Step:
    task, state = take_id(state)
    return enter(state, replace(phase, task=task, look_at=None)), (probe(state, task),)


def _probe_later(state: State, phase: Verifying, now: Now) -> State:
    end = phase.began + state.policy.health.monitor_secs
    later = now.boot_secs + state.policy.health.interval_secs
    return enter(state, replace(phase, task=None, look_at=min(later, end) if now.boot_secs < end else later))


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a boot is unhealthy. ``proven``: the release is to blame, and not the power supply."""

    evidence: str
    journal_cursor: str = ""
    proven: bool = True


def _unhealthy(state: State, why: Rejection, now: Now) -> Step:
    """Do what ``health.failure_action`` says."""
    intent, evidence = state.records.intent, why.evidence
    if intent is None or intent.purpose == Purpose.ROLLBACK:
        return paused.pause(state, f"it and the release before it are both unhealthy: {evidence}", now)
    action = state.policy.failure_action
    match action:
        case FailureAction.PAUSE:
            return paused.pause(state, evidence, now)
        case FailureAction.CONTINUE:
            return _keep(state, evidence, now)
        case FailureAction.ROLLBACK if objection := rollback.objection(state, intent):
            return paused.pause(state, f"{evidence}; it is not rolled back: {objection}", now)
        case FailureAction.ROLLBACK if not why.proven:
            return rollback.unproven(state, evidence, now)
        case FailureAction.ROLLBACK:
            return rollback.unhealthy(state, evidence, why.journal_cursor, now)
        case _:
            assert_never(action)


def _keep(state: State, evidence: str, now: Now) -> Step:
    version = booted_release(state).version
    text = f"{version} is unhealthy and is kept, as health.failure_action says: {evidence}"
    failure = Failure(ErrorKind.HEALTH_BAD, text, "fix it, or: tidegate rollback --reason TEXT")
    state, effects = marking_good.accept(troubled(state, failure, now), f"kept though unhealthy: {evidence}")
    return state, (Announce(Topic.UNHEALTHY, ERROR, text, version), *effects)
