"""The machine's rules, as far as they can be checked from outside.

They are checked against the events that it gets, the effects that it wants, the records on disk and what the lock
servers count, never against the machine's own opinion of its obligations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from tests.fakes.builders import at
from tests.fakes.engine import payload_of
from tests.fakes.lock_server import (
    ACCOUNT,
    ELSEWHERE,
    FakeLockServer,
)
from tests.model.simulated_host import Host
from tests.model.world import FLEET_LOCK, GATES, mandate_in
from tidegate.engines.base import RebootOwner
from tidegate.fleetlock.account import LockAccount, LockBusy, LockGranted, LockRelease
from tidegate.gates.base import Allow
from tidegate.health.base import ProbeResult
from tidegate.health.judgement import failing
from tidegate.machine.effects import (
    AcquireLock,
    Arm,
    Disarm,
    EndHandOver,
    FindOffers,
    GiveNotice,
    MarkGood,
    ReadHealth,
    ReadHost,
    Reboot,
    ReleaseLock,
    Rollback,
    Stage,
    StartWorkload,
    Task,
)
from tidegate.machine.events import (
    AllowAsked,
    ApplyAsked,
    Completed,
    DenyAsked,
    Event,
    ResumeAsked,
    RollbackAsked,
)
from tidegate.machine.mandate import AUTOMATIC, Mandate
from tidegate.machine.phases.executing import Executing
from tidegate.machine.phases.rebooting import Rebooting
from tidegate.machine.phases.staging import Staging
from tidegate.machine.phases.starting import Starting
from tidegate.machine.phases.steady import Steady
from tidegate.machine.phases.undoing import Undoing
from tidegate.machine.phases.verifying import Verifying
from tidegate.machine.phases.waiting import Available, RollbackPending, Staged
from tidegate.machine.plan import Order, PlanStep
from tidegate.machine.state import FailureAction, State
from tidegate.machine.step import next_wakeup
from tidegate.records.model import Denial, DenialCause, LockState, Outcome, Records
from tidegate.release import Purpose

UNLOCK_RETRY_SECS = 330.0
"""The longest pause between two tries to give a lock back: five minutes, and the tenth by which hosts differ."""


@dataclass
class Attempt:
    """What has been seen of the attempt under way since it armed, and of its lock."""

    allowed: set[str] = field(default_factory=set[str])
    granted: LockAccount | None = None
    confirmed: bool = False
    """Granted since it was armed, or right before on the way back; or the settings changed meanwhile, which may have
    taken the question away."""


class Rules:
    """One history so far, and the rules that must hold of it."""

    state: State
    tasks: list[Task]

    def __init__(self) -> None:
        self.host = Host()
        self.servers = {account.base_url: FakeLockServer(strict=True) for account in (ACCOUNT, ELSEWHERE)}
        self.disk = Records()
        self.secs = 0.0
        self.unanswered: dict[int, Event] = {}
        self.records_lost = False
        self.owed_before_boot = False
        self.well = False
        self.unhealthy = False
        self.vouched = False
        self.given_away = False
        """The server has said that somebody else has the slot."""
        self.begin_anew()

    def begin_anew(self) -> None:
        """The agent starts; nobody waits for an answer of the one before."""
        self.tasks = []
        self.unanswered.clear()
        self.attempt = Attempt()
        self.unlock_failed_at = -math.inf

    def forget_slot(self) -> None:
        """A person vouches for it that no server counts this host: one that did is gone, or was told by hand."""
        for server in self.servers.values():
            server.forget()

    def note(self, event: Event) -> None:
        """Take note of an event, as far as the rules depend on it."""
        match event:
            case Completed(task_id, ProbeResult() as look):
                self.well = not failing(look)
                self.unhealthy |= task_id != self.state.lock.task and not self.well
                self.vouched |= self.state.policy.failure_action is FailureAction.CONTINUE
            case ResumeAsked() | AllowAsked():
                self.vouched = True
            case Completed(result=LockGranted()):
                record = self.disk.lock
                self.attempt.granted = None if record is None else record.account
                self.attempt.confirmed, self.given_away = True, False
            case Completed(result=LockBusy()):
                self.given_away = True
            case Completed(result=tuple() as verdicts):
                allowing = {verdict.gate for verdict in verdicts if isinstance(verdict, Allow)}
                self.attempt.allowed = allowing
            case _:
                pass

    def _lane(self, task: Task) -> str:
        match task:
            case FindOffers():
                return "discovery"
            case GiveNotice():
                return f"notice {task.id}"
            case ReadHealth() if task.id not in (self.state.lock.task, getattr(self.state.phase, "task", None)):
                return f"look {task.id}"  # a person has decided meanwhile, and nobody waits for it
            case Disarm() | ReadHost() | StartWorkload() | EndHandOver():
                return type(task).__name__  # undone beside each other
            case _:
                return "lock" if task.id == self.state.lock.task else "phase"

    def check(self, task: Task, before: State) -> None:
        """What must hold when the machine wants ``task`` done."""
        rival = [one for one in self.tasks if self._lane(one) == self._lane(task)]
        assert not rival, f"{task} while {rival} is under way"
        match task:
            case Arm() | Rollback():
                self._check_arm(task)
            case Stage() if not self.host.traits.stages_locked:
                self._check_arm(task)
            case Reboot():
                self._check_reboot()
            case AcquireLock():
                self._check_acquire(task)
            case ReleaseLock():
                self._check_release(task)
            case _:
                self._check_engine_and_discovery(task, before)

    def _check_engine_and_discovery(self, task: Task, before: State) -> None:
        match task:
            case Stage():
                self._check_stage(task, before)
            case MarkGood(target=target):
                assert target.payload == payload_of(self.host.booted)
            case FindOffers():
                assert not self.state.shutting_down
                assert self.state.policy.blocked is None
            case Disarm(target=target):
                own = self.disk.intent is None or self.disk.intent.target.payload == target.payload
                assert own or self.disk.rollback is not None, "takes back what somebody else has done"
            case _:
                pass

    def _check_workload(self) -> None:
        """It is down only for an attempt that is on record, and runs again wherever nothing of one is under way."""
        if self.host.workload_runs and not self.host.handed_over:
            return
        attempt = self.disk.attempt
        assert attempt is not None, "the workload is down, and no record says so"
        assert attempt.boot == self.host.boot
        step = PlanStep.HAND_OVER if self.host.handed_over else PlanStep.STOP_WORKLOAD
        assert step in attempt.begun, "the workload is down, and no record says so"
        busy = isinstance(self.state.phase, Starting | Executing | Undoing | Rebooting) or self.state.shutting_down
        assert busy, "the workload was left stopped"

    def _check_stage(self, task: Stage, before: State) -> None:
        state = self.state
        assert state.policy.blocked is None
        if (mandate := mandate_in(state)) is not None:
            assert before.policy.order in (Order.KILL_THEN_DOWNLOAD, Order.DELETE_THEN_DOWNLOAD)
            self._check_permitted(mandate)
            return
        armed_for_good = self.disk.intent is not None and not self.host.traits.can_disarm
        assert self.disk.intent is None or armed_for_good, "staging while an attempt is not settled"
        assert self.disk.rollback is None, "staging while the host is to be left"
        assert not isinstance(before.phase, Verifying)
        assert self.disk.denial_of(task.target.payload) is None, "a denied release is staged"
        assert state.policy.enabled or any(request.wants_staging for request in before.requests)
        assert not state.shutting_down

    def _mandate(self) -> Mandate:
        """The mandate of the attempt, which has to be what was asked for."""
        mandate = mandate_in(self.state)
        assert mandate is not None, "no attempt is under way"
        due = self.disk.rollback is not None
        if mandate.request is None:
            purpose = Purpose.ROLLBACK if due else AUTOMATIC.purpose
            assert (mandate.purpose, mandate.overrides) == (purpose, frozenset()), "an override that stuck"
            return mandate
        asked = self.unanswered[mandate.request]
        assert isinstance(asked, RollbackAsked if due else ApplyAsked)
        purpose = asked.purpose if isinstance(asked, ApplyAsked) else Purpose.ROLLBACK
        assert (purpose, asked.overrides) == (mandate.purpose, mandate.overrides)
        return mandate

    def _keeps_lock(self) -> bool:
        """Whether the lock was taken in an earlier boot, for an update that is being left again."""
        record = self.disk.lock
        return self.disk.rollback is not None and record is not None and record.boot != self.state.boot

    def _check_arm(self, task: Arm | Rollback | Stage) -> None:
        state, opened, mandate = self.state, self.disk.intent, self._mandate()
        assert opened is not None, "armed without an intent on disk"
        assert (opened.target.payload, opened.boot) == (task.target.payload, state.boot)
        assert opened.purpose == mandate.purpose
        self._check_permitted(mandate)
        assert self.disk.denial_of(task.target.payload) is None, "a denied release is armed"
        back = isinstance(task, Rollback)
        assert back == (mandate.purpose is Purpose.ROLLBACK) == (self.disk.rollback is not None)
        if back:
            booted = payload_of(self.host.booted)
            assert self.disk.denial_of(booted) is not None, "a release is left that nobody denied"
        if state.policy.fleet_lock is not None and FLEET_LOCK not in mandate.overrides and not self._keeps_lock():
            assert self.attempt.granted is not None, "armed without the lock"
        if self.host.traits.reboots is RebootOwner.ENGINE:
            self._check_last_look(mandate)
        self.attempt = Attempt(granted=self.attempt.granted, confirmed=back and self.attempt.confirmed)

    def _check_reboot(self) -> None:
        opened, mandate = self.disk.intent, self._mandate()
        assert opened is not None
        assert opened.requested is not None
        self._check_permitted(mandate)
        assert self.disk.denial_of(opened.target.payload) is None, "a denied release is booted into"
        self._check_last_look(mandate)

    def _check_last_look(self, mandate: Mandate) -> None:
        """Every gate and the lock server have allowed once more: since arming, or right before it where it reboots."""
        state, down = self.state, not self.host.workload_runs
        assert down == state.policy.workload, "goes down with the workload running, or stopped what nobody named"
        for gate in GATES:
            if gate.asked(mandate.purpose, mandate.overrides):
                assert gate.name in self.attempt.allowed, f"{gate.name} did not allow since arming"
        locking, record = state.policy.fleet_lock, self.disk.lock
        if locking is not None and FLEET_LOCK not in mandate.overrides and not self._keeps_lock():
            assert record is not None, "no lock record"
            same = (record.boot, record.account) == (state.boot, locking.account)
            assert same, "the lock is another than the one asked for"
            assert self.attempt.granted == locking.account, "the lock was not granted"
            assert self.attempt.confirmed, "the lock was not asked for again after arming"

    def _check_permitted(self, mandate: Mandate) -> None:
        state = self.state
        assert not state.shutting_down
        assert state.policy.blocked is None, "the settings block it"
        leaves = self.disk.rollback is not None
        assert state.policy.enabled or mandate.request is not None or leaves, "updates are disabled"

    def _check_acquire(self, task: AcquireLock) -> None:
        self._check_alone()
        record = self.disk.lock
        assert record is not None, "asked for a lock without a record on disk"
        assert record.account == task.account
        assert record.boot == self.state.boot or self._keeps_lock(), "asked for with the record of an earlier boot"
        self.attempt.granted = None
        self.attempt.confirmed = False
        self.unlock_failed_at = -math.inf

    def _check_release(self, task: ReleaseLock) -> None:
        self._check_alone()
        record, opened = self.disk.lock, self.disk.intent
        assert not self.state.shutting_down, "unlocks while the host goes down"
        assert self.secs > self.unlock_failed_at, "storms a server that did not take the lock back"
        stays_armed = isinstance(self.state.phase, Staged | Available | RollbackPending | Steady | Staging)
        stays_armed &= not self.host.traits.can_disarm
        under_way = opened is not None and opened.boot == self.state.boot and not stays_armed
        assert not under_way, "unlocks while a reboot of this boot is under way"
        self.attempt.granted = None
        if record is None:
            return
        assert task.account == record.account, "unlocks with something else than the record says"
        if record.boot != self.state.boot and record.release == LockRelease.AFTER_HEALTH:
            lost = record.state == LockState.RELEASE_OWED and (self.disk.rollback is not None or self.given_away)
            known = self.well or self.vouched or lost
            assert known or self.owed_before_boot, "unlocks before the boot was found well"

    def _check_alone(self) -> None:
        others = [task for task in self.tasks if isinstance(task, AcquireLock | ReleaseLock)]
        assert not others, f"two lock requests at once: {others}"

    def check_denials(self, records: Records) -> None:
        """Only what a boot loader had to choose and did not, what was found not well, or what a person says."""
        for denial in records.denied:
            if denial not in self.disk.denied:
                self._check_denial(denial)

    def _check_denial(self, denial: Denial) -> None:
        asked = any(isinstance(request, RollbackAsked | DenyAsked) for request in self.unanswered.values())
        booted = denial.release.version == self.host.booted
        match denial.cause:
            case DenialCause.FELL_BACK:
                applied = any(
                    attempt.target == denial.release and attempt.outcome == Outcome.APPLIED
                    for attempt in self.disk.history
                )
                assert not applied, f"denied without evidence, it was healthy before: {denial}"
                assert denial.release.version in self.host.passed_over, f"denied without evidence: {denial}"
            case DenialCause.UNHEALTHY:
                assert booted, f"denied without evidence: {denial}"
                assert self.unhealthy, f"denied without evidence: {denial}"
            case _:
                left = denial.release.version in self.host.left
                assert asked or left, f"nobody denied it: {denial}"

    def _check_host(self) -> None:
        assert not self.host.armed_by_agent or self.disk.intent is not None, "armed, and no record says so"
        assert not self.host.led_back or self.disk.intent is not None, "led back, and no record says so"

    def _check_lock(self) -> None:
        """A slot that the host has, or may be getting, is known on disk; and what is known there is attended to."""
        self.records_lost &= self.state.lock.startup_release
        counted = {url for url, server in self.servers.items() if server.counts(ACCOUNT.id)}
        counted |= {task.account.base_url for task in self.tasks if isinstance(task, AcquireLock)}
        assert len(counted) <= 1, "locks of two accounts at once"
        record, locking = self.disk.lock, self.state.policy.fleet_lock
        known = set[str]() if record is None else {record.account.base_url}
        if self.records_lost and locking is not None:
            known.add(locking.account.base_url)
        assert counted <= known, "the server counts this host, and nobody owes it"
        duty = self.state.lock.task
        assert duty is None or duty in {task.id for task in self.tasks}, "waits for an answer that nobody will give"
        if self.state.records.lock is not None and self._idle() and duty is None:
            due = next_wakeup(self.state)
            assert due is not None, "a lock is owed, and nothing will give it back"
            soon = due <= at(self.secs).boot_secs + UNLOCK_RETRY_SECS
            assert soon, "a lock is owed, and nothing will give it back soon"

    def _check_people(self) -> None:
        """Whoever has no answer yet is one of those whom the machine will answer."""
        mandate = mandate_in(self.state) or AUTOMATIC
        waiting = {request.id for request in self.state.requests} | {mandate.request}
        assert self.unanswered.keys() <= waiting, "somebody asked and is forgotten"

    def _idle(self) -> bool:
        idle = Steady | Staging | Staged | Available
        return isinstance(self.state.phase, idle) and not self.state.shutting_down

    def check_state(self) -> None:
        """What must hold after every step."""
        self._check_host()
        self._check_workload()
        self._check_lock()
        self._check_people()
