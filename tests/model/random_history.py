"""Random but possible histories of a host and its lock servers, with the machine's rules checked after every step.

The world here is a model of a few fields, so that thousands of steps take a second. Which events the machine may get
follows from it: a task that was started is answered once, or never where the agent dies first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from tests.fakes.builders import BROKEN, DISK_FULL, WELL, at, offers, unhealthy
from tests.fakes.engine import payload_of
from tests.fakes.lock_server import (
    ACCOUNT,
    ELSEWHERE,
    GONE,
    NONSENSE,
    REFUSED,
    RIVAL,
    UNCERTAIN,
    UNREACHABLE,
)
from tests.model.mutants import Mutant, unchanged
from tests.model.rules import Rules
from tests.model.simulated_host import VERSIONS
from tests.model.world import GATES, MOVES, OVERRIDES, POLICIES, Choices, Setting, mandate_in
from tidegate.gates.base import Verdict
from tidegate.machine.effects import (
    AcquireLock,
    Announce,
    Arm,
    AskGates,
    Disarm,
    Effect,
    EndHandOver,
    FindOffers,
    GiveNotice,
    HandOver,
    ReadHealth,
    Reboot,
    ReleaseLock,
    Reply,
    Rollback,
    Stage,
    StartWorkload,
    StopWorkload,
    Task,
)
from tidegate.machine.events import (
    AllowAsked,
    ApplyAsked,
    CheckAsked,
    ClockSet,
    Completed,
    DenyAsked,
    Errored,
    Event,
    ForgetLockAsked,
    NoticeGiven,
    PolicyChanged,
    RecordsUnwritable,
    Result,
    ResumeAsked,
    RollbackAsked,
    ShutdownSignal,
    StageAsked,
    Tick,
    WorkloadDone,
)
from tidegate.machine.lock_duty import owed
from tidegate.machine.phases.paused import Paused
from tidegate.machine.phases.rebooting import Rebooting
from tidegate.machine.phases.starting import Starting
from tidegate.machine.phases.steady import Steady
from tidegate.machine.phases.verifying import Verifying
from tidegate.machine.phases.waiting import Available, RollbackPending, Staged
from tidegate.machine.state import Policy, State
from tidegate.machine.step import begin, next_wakeup, step
from tidegate.records.model import LockState, Records
from tidegate.release import Purpose
from tidegate.system.reboot import RebootAccepted, RebootAnswer, RebootRefused

SETTLED_WITHIN = 120
"""Steps from "all is well" to a host settled in the newest release: two updates, their checks, their retries."""

LONGEST_BEGINNING = 20
"""Steps of a host at its best from its start through an update to the boot after it."""

MOST_WAKEUPS_AT_ONCE = 30
"""A lock, a check, the gates: few things are due at one instant, also where people ask for some of them."""


CLAIMS = (Stage, Arm, Disarm, Rollback)
"""What an engine may report as done and not have done: its status shows it."""

PLAIN = Setting()


class RandomHistory(Rules):
    """Host, servers, disk and machine, moved by choices; every step is checked."""

    def __init__(self, choices: Choices, mutant: Mutant = unchanged, setting: Setting = PLAIN) -> None:
        super().__init__()
        self.choices = choices
        self.setting = setting
        self.host.traits = setting.traits
        self._step = mutant(step)
        self.servers_down = False
        self.late: list[tuple[AcquireLock | ReleaseLock, float]] = []
        """Requests that a server is to carry out by then, though nobody waits for the answer any more."""
        self.shut: set[str] = set()
        self.policy = setting.applied(choices.of(*POLICIES))
        self.requests = 0
        self._start()

    def _start(self) -> None:
        self.begin_anew()
        self.spins = 0
        self.state, effects = begin(self.host.boot, self.policy, self.disk, at(self.secs))
        self._take(self.state, effects)

    # ------------------------------------------------------------------ moves

    def move(self) -> None:
        """One thing that may happen."""
        match self.choices.of(*MOVES):
            case "go on":
                self.go_on()
            case "ask":
                self._ask()
            case "restart" | "boot" as end:
                self._end(end)
            case "person" | "gate" | "server" as outside:
                self._change_outside(outside)
            case news:
                self._hear(news)

    def _end(self, how: str) -> None:
        """The agent dies, alone or with the host."""
        self._die()
        if how == "boot":
            self._boot()
        else:
            self._maybe_lose_records()
            self._start()

    def _change_outside(self, what: str) -> None:
        """Something that the machine is not told."""
        match what:
            case "person":
                self._person()
            case "gate":
                self.shut = set() if self.shut else {self.choices.of(*GATES).name}
            case _:
                self._change_servers()

    def _hear(self, news: str) -> None:
        """Something that the machine is told."""
        match news:
            case "policy":
                self._change_policy(self.setting.applied(self.choices.of(*POLICIES)))
            case "signal":
                self.host.going_down = not self.host.going_down
                self.feed(ShutdownSignal(self.host.going_down))
            case "clock":
                self.feed(ClockSet())
            case _:
                self.feed(Tick())

    def _change_policy(self, policy: Policy) -> None:
        """While records are lost and the server was not greeted since, nobody could know of another server's lock."""
        self.policy = replace(policy, fleet_lock=self.policy.fleet_lock) if self.records_lost else policy
        self.attempt.confirmed = self.attempt.granted is not None
        self.feed(PolicyChanged(self.policy))

    def _change_servers(self) -> None:
        account = self.choices.of(ACCOUNT, ELSEWHERE)
        server = self.servers[account.base_url]
        match self.choices.of("down", "rival", "rival leaves", "forget"):
            case "down":
                self.servers_down = not self.servers_down
            case "rival":
                server.pre_reboot(account.group, RIVAL)
            case "rival leaves":
                server.steady_state(account.group, RIVAL)
            case _:
                server.forget()

    def _maybe_lose_records(self) -> None:
        """The state folder is gone with its disk. What can be made good then is a lock of the configured server."""
        record, locking = self.disk.lock, self.policy.fleet_lock
        known = record is None or (locking is not None and locking.account == record.account)
        if known and self.choices.rarely():
            self._carry_out_late(math.inf)  # a disk is not replaced within the time of a request
            self.disk = Records()
            self.records_lost = True
            self.host.armed_by_agent = self.host.led_back = False
            self.host.workload_runs, self.host.handed_over = True, False

    def go_on(self) -> None:
        """Answer a task, after news perhaps; where there is none, or it is slow, time passes or the host goes down."""
        answers = bool(self.tasks) and not self.choices.rarely()
        if answers:
            amid_attempt = mandate_in(self.state) is not None  # where news matters most
            if news := self.choices.of(*[""] * (11 if amid_attempt else 20), "policy", "policy", "signal"):
                self._hear(news)
            self._answer()
        elif self.host.going_down and self.choices.of(True, True, True, False):
            self._boot()
        else:
            self.wake()

    def _answer(self) -> None:
        task = self.tasks.pop(self.choices.of(*range(len(self.tasks))))
        self.feed(self._outcome(task))

    def _outcome(self, task: Task) -> Event:
        if isinstance(task, AcquireLock | ReleaseLock):
            return self._lock_outcome(task)
        lies = ("said, and not done",) if self.setting.lies and isinstance(task, CLAIMS) else ()
        fate = self.choices.of(*["done"] * 9, "failed", "done, but failed", *lies)
        done = fate in lies or (fate != "failed" and self.host.do(task))
        if isinstance(task, Reboot) and done and self.choices.of(True, False):
            self.host.going_down = True
        if not done or fate == "done, but failed":
            return Errored(task.id, BROKEN)
        return Completed(task.id, self._result(task))

    def _lock_outcome(self, task: AcquireLock | ReleaseLock) -> Event:
        if self.servers_down:
            self._note_failure(task)
            return Errored(task.id, UNREACHABLE)
        match self.choices.of(*["done"] * 12, "hangs", "turned down", "done, but lost", "taken away", "late"):
            case "late":
                self._note_failure(task)
                self.late.append((task, self.secs + task.account.timeout_secs))
                return Errored(task.id, UNCERTAIN)
            case "hangs":
                self._note_failure(task)
                return Errored(task.id, self.choices.of(UNCERTAIN, GONE, BROKEN))
            case "turned down":
                self._note_failure(task)
                return Errored(task.id, self.choices.of(REFUSED, NONSENSE))
            case "done, but lost":
                self._at_server(task)
                self._note_failure(task)
                return Errored(task.id, self.choices.of(UNCERTAIN, GONE, BROKEN))
            case "taken away":
                self.servers[task.account.base_url].forget()
                self.servers[task.account.base_url].pre_reboot(task.account.group, RIVAL)
                return Completed(task.id, self._at_server(task))
            case _:
                return Completed(task.id, self._at_server(task))

    def forget_slot(self) -> None:
        """The server is gone, with the requests that it had not carried out."""
        super().forget_slot()
        self.late.clear()

    def _carry_out_late(self, until_secs: float) -> None:
        for task, by_secs in self.late:
            if by_secs <= until_secs:
                self._at_server(task)
        self.late = [(task, by_secs) for task, by_secs in self.late if by_secs > until_secs]

    def _note_failure(self, task: AcquireLock | ReleaseLock) -> None:
        if isinstance(task, ReleaseLock):
            self.unlock_failed_at = self.secs

    def _at_server(self, task: AcquireLock | ReleaseLock) -> Result:
        account = task.account
        server = self.servers[account.base_url]
        if isinstance(task, AcquireLock):
            return server.pre_reboot(account.group, account.id)
        return server.steady_state(account.group, account.id)

    def _result(self, task: Task) -> Result:
        match task:
            case FindOffers(booted=booted):
                newer = tuple(version for version in VERSIONS if version > booted.version)
                return self.choices.of(offers(*newer, booted=booted.version), offers(booted=booted.version), offers())
            case AskGates():
                return self._verdicts(task)
            case GiveNotice():
                return NoticeGiven()
            case Reboot():
                answers: tuple[RebootAnswer, ...] = (RebootAccepted(), RebootRefused("a backup is running"))
                return self.choices.of(*answers)
            case StopWorkload() | StartWorkload() | HandOver() | EndHandOver():
                return WorkloadDone()
            case ReadHealth():
                return self.choices.of(WELL, unhealthy("starting"), unhealthy("sshd failed"))
            case _:
                return self.host.view()

    def _verdicts(self, task: AskGates) -> tuple[Verdict, ...]:
        asked = [gate for gate in GATES if gate.asked(task.purpose, task.overrides)]
        now = at(self.secs)
        return tuple(gate.answer(gate.name in self.shut, task.noticed.get(gate.name), now) for gate in asked)

    def wake(self) -> None:
        """Time passes to the machine's own wake-up; the tick there must get it somewhere."""
        due = next_wakeup(self.state)
        if due is None:
            return
        assert math.isfinite(due)
        self.spins = self.spins + 1 if due <= at(self.secs).boot_secs else 0
        assert self.spins < MOST_WAKEUPS_AT_ONCE, f"wakes again and again at one instant: {self.state}"
        self.secs = max(self.secs, due - 100.0)
        self._carry_out_late(self.secs)
        before, tasks = self.state, list(self.tasks)
        self.feed(Tick())
        again = next_wakeup(self.state)
        moved_on = self.tasks != tasks or again is None or again > at(self.secs).boot_secs
        assert moved_on, f"wakes at once again: {before.phase} -> {self.state.phase}"

    def _ask(self) -> None:
        number = self.requests + 1
        apply = ApplyAsked(
            number, "a person", self.choices.of(Purpose.MANUAL, Purpose.UPDATE), self.choices.of(*OVERRIDES)
        )
        version = self.choices.of(*VERSIONS)
        rare: tuple[Event, ...] = (
            ForgetLockAsked(number, "its server is gone"),
            ResumeAsked(number, "it is only a test"),
            RollbackAsked(number, "it is slow", self.choices.of(*OVERRIDES)),
            DenyAsked(number, version, "it breaks things"),
            AllowAsked(number, version, "it was the network"),
        )
        likely = 6 if isinstance(self.state.phase, Staged | Available) else 1
        asked: tuple[Event, ...] = (*[apply] * likely, StageAsked(number), CheckAsked(number), *rare)
        self.ask(self.choices.of(*asked))

    def ask(self, request: Event) -> None:
        """A person asks."""
        self.requests += 1
        self.unanswered[self.requests] = request
        self.feed(request)

    def _die(self) -> None:
        """The agent is gone; what it had begun may get done all the same."""
        for task in self.tasks:
            if isinstance(task, AcquireLock) and self.choices.of(True, False):
                self.late.append((task, self.secs + task.account.timeout_secs))
            elif self.choices.of(True, False):
                self._at_server(task) if isinstance(task, AcquireLock | ReleaseLock) else self.host.do(task)

    def _boot(self) -> None:
        self._carry_out_late(math.inf)  # a boot takes longer than any request
        self.owed_before_boot = self.disk.lock is not None and self.disk.lock.state == LockState.RELEASE_OWED
        self.well = self.unhealthy = self.vouched = False
        how = self.choices.of("clean", "clean", "clean", "switch fails", "power cut", "soft", "cut amid the switch")
        self.host.come_up(how, self._loader_choice)
        self.secs += 30
        self._maybe_lose_records()
        self._start()

    def _loader_choice(self, *entries: str) -> str:
        return self.choices.of(*entries)

    def _person(self) -> None:
        """Somebody works with the engine's own tools."""
        if not self.tasks:
            self.host.stage_by_hand(self.choices.of(*VERSIONS))

    # ------------------------------------------------------------------ steps

    def feed(self, event: Event) -> None:
        """Take a step as the keeper does: save first; what could not be saved was not done."""
        before, now = self.state, at(self.secs)
        self.note(event)
        after, effects = self._step(before, event, now)
        if after.records != self.disk:
            if self.choices.rarely():
                after, effects = self._step(before, RecordsUnwritable(DISK_FULL, event), now)
                assert after.records == before.records or after.records.only_ends(before.records), (
                    "a step that could not be saved begins something"
                )
            else:
                self.check_denials(after.records)
                self.disk = after.records
        self._take(before, effects, after)

    def _take(self, before: State, effects: tuple[Effect, ...], after: State | None = None) -> None:
        self.state = after or before
        for effect in effects:
            match effect:
                case Announce():
                    pass
                case Reply(number, answer):
                    assert number in self.unanswered, f"answered twice, or never asked: {effect}"
                    assert answer if isinstance(answer, str) else answer.message, "an answer that says nothing"
                    if isinstance(self.unanswered.pop(number), ForgetLockAsked) and isinstance(answer, str):
                        self.forget_slot()
                case task:
                    self.check(task, before)
                    self.tasks.append(task)
        self.check_state()

    # ------------------------------------------------------------------ the end

    def run(self) -> None:
        """Go on until the choices are used up; then let everything go well and see where that leads."""
        self.go_wrong()
        self._repair_everything()
        for _ in range(SETTLED_WITHIN):
            if self._settled():
                return
            self._help()
            self.go_on()
        raise AssertionError(f"not settled in {self._newest()} by {SETTLED_WITHIN} steps: {self.state}")

    def go_wrong(self, see: Callable[[State], None] = lambda _: None) -> None:
        """Come to some point of an update in good order; from there, whatever the choices bring."""
        choices, until = self.choices, self.choices.of(*BEGINNINGS)
        self.choices = Choices(())
        for _ in range(LONGEST_BEGINNING):
            if not until(self):
                self.go_on()
        self.choices = choices
        while self.choices:
            self.move()
            see(self.state)

    def _repair_everything(self) -> None:
        self.shut.clear()
        self.servers_down = False
        for account in (ACCOUNT, ELSEWHERE):
            self.servers[account.base_url].steady_state(account.group, RIVAL)
        if self.host.staged is not None and not self.host.armed_by_agent:
            self.host.locked = True
        self.host.going_down = False
        self.feed(ShutdownSignal(active=False))
        self._change_policy(replace(self.policy, enabled=True, blocked=None))

    def _help(self) -> None:
        """What is left to a person even then: to say yes after three vain attempts."""
        phase, number = self.state.phase, self.requests + 1
        if self.tasks:
            return
        match phase:
            case Staged(evaluate_at=None) | Available(evaluate_at=None):
                self.ask(ApplyAsked(number, "try again"))
            case RollbackPending(evaluate_at=None) if owed(self.state) is None:
                self.ask(RollbackAsked(number, "try again"))
            case Paused():
                self.ask(ResumeAsked(number, "it is well enough"))
            case _:
                pass

    def _newest(self) -> str:
        """Of those that are not denied; where all are, or it denied what it runs, a host stays where it is."""
        free = [version for version in VERSIONS if self.disk.denial_of(payload_of(version)) is None]
        return max(free, default=self.host.booted)

    def _armed_for_good(self) -> bool:
        """Whether the next boot leads where nobody wants it any more, and the engine cannot take that back."""
        intent, unwanted = self.disk.intent, isinstance(self.state.phase, Steady)
        denied = intent is not None and self.disk.denial_of(intent.target.payload) is not None
        return intent is not None and (denied or unwanted) and not self.host.traits.can_disarm

    def _settled(self) -> bool:
        if self._armed_for_good():
            return True
        done = isinstance(self.state.phase, Steady) and self.host.booted >= self._newest() and not self.tasks
        nothing_open = self.disk.intent is None and self.disk.lock is None and not self.unanswered
        free = not any(server.counts(ACCOUNT.id) for server in self.servers.values())
        return done and nothing_open and free and self.host.workload_runs and not self.host.handed_over


Beginning = Callable[[RandomHistory], bool]


def _in(phase: type[Starting | Staged | Rebooting | Verifying]) -> Beginning:
    return lambda history: isinstance(history.state.phase, phase)


def _asks_for_the_lock(*, armed: bool) -> Beginning:
    """The lock is asked for, for the first time or again after arming."""

    def reached(history: RandomHistory) -> bool:
        asking = any(isinstance(task, AcquireLock) for task in history.tasks)
        return asking and armed == (history.disk.intent is not None)

    return reached


BEGINNINGS: tuple[Beginning, ...] = (
    _in(Starting),
    _in(Staged),
    _asks_for_the_lock(armed=False),
    _asks_for_the_lock(armed=True),
    _in(Rebooting),
    _in(Verifying),
)
