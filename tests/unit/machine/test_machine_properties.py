"""Random but possible histories of a host, with the machine's rules checked after every step.

The host here is a model of a few fields, so that thousands of steps take a second; what the machine may be told follows
from it: a task that was started is answered once, or never where the agent dies first.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.builders import ALLOW, BAD_CONFIG, BROKEN, DISK_FULL, WAIT, at, host, offers
from tests.fakes.engine import payload_of
from tidegate.boot import BootInstance
from tidegate.gates.base import Verdict, Wait
from tidegate.machine.effects import (
    Announce,
    Arm,
    AskGates,
    Disarm,
    Effect,
    FindOffers,
    MarkGood,
    ReadHealth,
    ReadHost,
    Reboot,
    Reply,
    Stage,
    Task,
)
from tidegate.machine.events import (
    Accepted,
    ApplyAsked,
    CheckAsked,
    Completed,
    Errored,
    Event,
    Health,
    HealthPending,
    Healthy,
    HostView,
    PolicyChanged,
    RebootAnswer,
    RecordsUnwritable,
    Refused,
    Result,
    ShutdownSignal,
    StageAsked,
    Tick,
    Unhealthy,
)
from tidegate.machine.phases import Verifying
from tidegate.machine.state import Policy, State
from tidegate.machine.step import begin, next_wakeup, step
from tidegate.purpose import Purpose
from tidegate.records import Records

VERSIONS = ("1", "2", "3")
POLICIES = (
    Policy(),
    Policy(),
    Policy(),
    Policy(enabled=False),
    Policy(allow_downgrade=True),
    Policy(blocked=BAD_CONFIG),
)
TROUBLES = ("policy", "signal", "restart", "boot", "person", "tick")
MOVES = (*["go on"] * 30, *["ask"] * 3, *TROUBLES)
"""Mostly things take their course; a host that is struck all the time never gets anywhere near a reboot."""

Chosen = TypeVar("Chosen")


class Choices:
    """Draws from a list of numbers; when it is used up, always the first option: the well-behaved one."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self._numbers = list(numbers)

    def __bool__(self) -> bool:
        return bool(self._numbers)

    def of(self, *options: Chosen) -> Chosen:
        return options[self._numbers.pop(0) % len(options)] if self._numbers else options[0]

    def rarely(self) -> bool:
        return self.of(*[False] * 11, True)


@dataclass
class Host:
    """The host as far as the machine can tell."""

    booted: str = "1"
    staged: str | None = None
    locked: bool = True
    armed_by_agent: bool = False
    entries: tuple[str, ...] = ("1",)
    finalize_failure: str | None = None
    going_down: bool = False
    boots: int = 1
    soft_reboots: int = 0
    passed_over: tuple[str, ...] = ()
    """What had a boot entry when the boot loader last took another."""

    @property
    def boot(self) -> BootInstance:
        return BootInstance(f"{self.boots:08d}", self.soft_reboots)

    def view(self) -> HostView:
        return host(
            self.booted,
            self.staged,
            locked=self.locked,
            entries=self.entries,
            finalize_failure=self.finalize_failure,
            shutting_down=self.going_down,
        )

    def do(self, task: Task) -> bool:
        """Carry out ``task``; False where the engine would refuse."""
        match task:
            case Stage(target=target):
                foreign = self.staged is not None and not self.locked
                if foreign:
                    return False
                self.staged, self.locked = target.version, True
            case Arm(target=target):
                if self.staged != target.version:
                    return False
                self.locked, self.armed_by_agent = False, True
            case Disarm(target=target):
                self._disarm(target.version)
            case _:
                pass
        return True

    def _disarm(self, version: str) -> None:
        if self.staged == version:
            self.locked, self.armed_by_agent = True, False
        if self.entries[0] == version != self.booted:
            self.entries = (self.booted, *(entry for entry in self.entries if entry != self.booted))

    def shut_down(self, *, finalizes: bool) -> None:
        """In good order: what is staged and unlocked becomes the default boot entry, or that fails."""
        if self.staged is None or self.locked:
            return
        if finalizes:
            self.entries = tuple(dict.fromkeys((self.staged, self.booted)))
        else:
            self.finalize_failure = "could not write the boot entry"

    def boot_into(self, choose: Callable[[Sequence[str]], str]) -> None:
        """The boot loader takes one of the entries; what was staged is gone."""
        self._begin_anew()
        self.booted = choose(self.entries)
        self.passed_over = tuple(entry for entry in self.entries if entry != self.booted)
        self.boots, self.soft_reboots = self.boots + 1, 0

    def soft_reboot(self) -> None:
        """Userspace starts anew in the release that was running; no boot loader has a say."""
        self._begin_anew()
        self.soft_reboots += 1

    def _begin_anew(self) -> None:
        self.staged, self.locked, self.armed_by_agent, self.going_down = None, True, False, False


class Life:
    """Host, disk and machine, moved by choices; every step is checked."""

    def __init__(self, choices: Choices) -> None:
        self.choices = choices
        self.host = Host()
        self.disk = Records()
        self.secs = 0.0
        self.policy = choices.of(*POLICIES)
        self.requests = 0
        self.unanswered: dict[int, Event] = {}
        self._start()

    def _start(self) -> None:
        self.tasks: list[Task] = []
        self.unanswered.clear()
        self.looked_after_arming = False
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
            case "policy":
                self.policy = self.choices.of(*POLICIES)
                self.feed(PolicyChanged(self.policy))
            case "signal":
                self.host.going_down = not self.host.going_down
                self.feed(ShutdownSignal(self.host.going_down))
            case "restart":
                self._die()
                self._start()
            case "boot":
                self._die()
                self._boot()
            case "person":
                self._person()
            case _:
                self.feed(Tick())

    def go_on(self) -> None:
        """Answer a task; where there is none the host goes down, or time passes to the next wake-up."""
        if self.tasks:
            self._answer()
        elif self.host.going_down and self.choices.of(True, True, True, False):
            self._boot()
        else:
            self.wake()

    def _answer(self) -> None:
        task = self.tasks.pop(self.choices.of(*range(len(self.tasks))))
        self.feed(self._outcome(task))

    def _outcome(self, task: Task) -> Event:
        fate = self.choices.of(*["done"] * 9, "failed", "done, but failed")
        done = fate != "failed" and self.host.do(task)
        if isinstance(task, Reboot) and done and self.choices.of(True, False):
            self.host.going_down = True
        if not done or fate == "done, but failed":
            return Errored(task.id, BROKEN)
        return Completed(task.id, self._result(task))

    def _result(self, task: Task) -> Result:
        match task:
            case FindOffers(booted=booted):
                newer = tuple(version for version in VERSIONS if version > booted.version)
                return self.choices.of(offers(*newer, booted=booted.version), offers(booted=booted.version), offers())
            case AskGates():
                verdicts: tuple[tuple[Verdict, ...], ...] = (ALLOW, ALLOW, ALLOW, (), WAIT)
                return self.choices.of(*verdicts)
            case Reboot():
                answers: tuple[RebootAnswer, ...] = (Accepted(), Refused("a backup is running"))
                return self.choices.of(*answers)
            case ReadHealth():
                looks: tuple[Health, ...] = (Healthy(), HealthPending("starting"), Unhealthy("sshd failed"))
                return self.choices.of(*looks)
            case _:
                return self.host.view()

    def wake(self) -> None:
        """Time passes to the machine's own wake-up; the tick there must get it somewhere."""
        due = next_wakeup(self.state)
        if due is None:
            return
        assert math.isfinite(due)
        self.secs = max(self.secs, due - 100.0)
        before, tasks = self.state, list(self.tasks)
        self.feed(Tick())
        again = next_wakeup(self.state)
        moved_on = self.tasks != tasks or again is None or again > at(self.secs).boot_secs
        assert moved_on, f"wakes at once again: {before.phase} -> {self.state.phase}"

    def _ask(self) -> None:
        self.requests += 1
        number = self.requests
        asked: tuple[Event, ...] = (ApplyAsked(number, "a person"), StageAsked(number), CheckAsked(number))
        request = self.choices.of(*asked)
        self.unanswered[number] = request
        self.feed(request)

    def _die(self) -> None:
        """The agent is gone; what it had begun may get done all the same."""
        for task in self.tasks:
            if self.choices.of(True, False) and not isinstance(task, ReadHost | FindOffers | AskGates):
                self.host.do(task)

    def _boot(self) -> None:
        self.host.finalize_failure = None
        match self.choices.of("clean", "clean", "clean", "switch fails", "power cut", "soft-reboot"):
            case "clean":
                self.host.shut_down(finalizes=True)
                self.host.boot_into(lambda entries: self.choices.of(entries[0], entries[0], *entries))
            case "switch fails":
                self.host.shut_down(finalizes=False)
                self.host.boot_into(lambda entries: entries[0])
            case "power cut":
                self.host.boot_into(lambda entries: self.choices.of(entries[0], entries[0], *entries))
            case _:
                self.host.shut_down(finalizes=True)
                self.host.soft_reboot()
        self.secs += 30
        self._start()

    def _person(self) -> None:
        """Somebody works with the engine's own tools."""
        if self.tasks:
            return
        version = self.choices.of(*VERSIONS)
        if version != self.host.booted and not self.host.armed_by_agent:
            self.host.staged, self.host.locked = version, False

    # ------------------------------------------------------------------ steps and what must hold

    def feed(self, event: Event) -> None:
        """Take a step as the keeper does: save first; what could not be saved was not done."""
        before, now = self.state, at(self.secs)
        if isinstance(event, Completed) and isinstance(event.result, tuple):
            self.looked_after_arming = not any(isinstance(verdict, Wait) for verdict in event.result)
        after, effects = step(before, event, now)
        if after.records != before.records:
            if self.choices.rarely():
                after, effects = step(before, RecordsUnwritable(DISK_FULL), now)
                assert after.records == before.records, "a step that could not be saved wants to save again"
            self._check_denials(after.records)
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
                    del self.unanswered[number]
                case task:
                    self._check(task, before)
                    self.tasks.append(task)
        self._check_host()

    def _check(self, task: Task, before: State) -> None:
        state, opened = self.state, self.disk.intent
        rival = [one for one in self.tasks if isinstance(one, FindOffers) == isinstance(task, FindOffers)]
        assert not rival, f"{task} while {rival} is under way"
        match task:
            case Stage(target=target):
                assert state.policy.blocked is None
                assert opened is None, "staging while an attempt is not settled"
                assert not isinstance(before.phase, Verifying)
                assert self.disk.denial_of(target.payload) is None, "a denied release is staged"
                assert state.policy.enabled or any(request.wants_staging for request in before.requests)
                assert not state.shutting_down
            case Arm(target=target):
                self.looked_after_arming = False
                assert opened is not None
                assert (opened.target.payload, opened.boot) == (target.payload, state.boot)
                self._check_permitted(state, opened.purpose)
                assert self.disk.denial_of(target.payload) is None, "a denied release is armed"
            case Reboot():
                assert opened is not None
                assert opened.requested is not None
                assert self.looked_after_arming, "no gate was asked after arming"
                self._check_permitted(state, opened.purpose)
            case MarkGood(target=target):
                assert target.payload == payload_of(self.host.booted)
            case FindOffers():
                assert not state.shutting_down
                assert state.policy.blocked is None
            case _:
                pass

    @staticmethod
    def _check_permitted(state: State, purpose: str) -> None:
        assert not state.shutting_down
        assert state.policy.blocked is None
        assert state.policy.enabled or purpose == Purpose.MANUAL

    def _check_denials(self, records: Records) -> None:
        """Only what a boot loader had to choose and did not, or what it left again, may be denied."""
        for denial in records.denied[len(self.disk.denied) :]:
            assert denial.release.version in self.host.passed_over, f"denied without evidence: {denial}"

    def _check_host(self) -> None:
        assert not self.host.armed_by_agent or self.disk.intent is not None, "armed, and no record says so"

    # ------------------------------------------------------------------ the end

    def run(self) -> None:
        """Live until the choices are used up; then let everything go well and see that nobody is left waiting."""
        while self.choices:
            self.move()
        self.host.going_down = False
        self.feed(ShutdownSignal(active=False))
        for _ in range(80):
            if not self.tasks and not self.unanswered:
                return
            self.host.going_down = False
            self.go_on()
        assert not self.unanswered, f"never answered in {self.state.phase}: {self.unanswered}"


@settings(max_examples=120, deadline=None, database=None)
@given(st.lists(st.integers(0, 359), min_size=20, max_size=160))
def test_no_history_of_a_host_breaks_a_rule(numbers: list[int]) -> None:
    Life(Choices(numbers)).run()


def test_the_model_of_the_host_reaches_every_part_of_the_machine() -> None:
    """A property that only ever sees steady hosts would hold for any machine."""
    seen: set[str] = set()
    chance = random.Random(1)
    for _ in range(60):
        life = Life(Choices([chance.randrange(360) for _ in range(120)]))
        while life.choices:
            life.move()
            seen.add(type(life.state.phase).__name__)
    assert seen == {
        "Starting", "Verifying", "Steady", "Staging", "Staged", "Deciding", "Arming", "Confirming", "Requesting",
        "Rebooting", "Disarming", "Paused",
    }  # fmt: skip
