"""A whole host in memory around the real machine, keeper, runner and record files, with a fault at any chosen point.

A *point* is one thing that the agent does to the world: a save of its records, a verb of the engine, a question to
discovery, gates, logind or health. Points are counted; a :class:`Fault` names the one at which it strikes. What is
simulated is the host alone (:class:`tests.fakes.engine.FakeHost`): it keeps what a real one keeps over a killed
process, a reboot and a power cut.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from tests.fakes.clock import FakeClock
from tests.fakes.engine import FakeEngine, FakeHost, payload_of, release
from tidegate.discovery.base import Offers
from tidegate.discovery.graph import SCHEME_KEY
from tidegate.discovery.policy import CHECKSUM_SCHEME
from tidegate.engines.base import Deployment, EngineStatus, ProgressSink, RebootOwner
from tidegate.errors import ErrorKind, TidegateError
from tidegate.gates.base import Allow, Gate, Question, Verdict
from tidegate.loop import Keeper
from tidegate.machine.effects import Announce, Effect, Reply, Task
from tidegate.machine.events import Accepted, Event, Health, Healthy, RebootAnswer, Tick
from tidegate.machine.state import Policy, State
from tidegate.machine.step import next_wakeup
from tidegate.purpose import Purpose
from tidegate.records import Records
from tidegate.release import Release
from tidegate.runner import Runner, World
from tidegate.store import FileStore


class Blow(StrEnum):
    """What strikes at a point. *before* and *after* are about the act itself: was it done or not?"""

    KILL_BEFORE = "kill before"
    KILL_AFTER = "kill after"
    ERROR = "error"
    ERROR_AFTER = "done, but error"
    HANG = "hang"
    POWER_BEFORE = "power cut before"
    POWER_AFTER = "power cut after"


KILLS = {Blow.KILL_BEFORE, Blow.KILL_AFTER}
CUTS = {Blow.POWER_BEFORE, Blow.POWER_AFTER}
AFTER = {Blow.KILL_AFTER, Blow.POWER_AFTER, Blow.ERROR_AFTER}


@dataclass(frozen=True, slots=True)
class Fault:
    """``blow`` strikes at the ``at``-th point of a run, counted from 0 over all lives of the agent."""

    at: int
    blow: Blow


class AgentKilled(BaseException):
    """The process is gone; a BaseException, so that no handler on the way mends it."""


class PowerLost(AgentKilled):
    """The host is gone with it."""


class HostWentDown(AgentKilled):
    """The host shuts down in good order; systemd has stopped the agent."""


class BrokenRuleError(BaseException):
    """A rule of the design did not hold. Out of reach of the runner, which takes any Exception for a part's defect."""


@dataclass
class Points:
    """Counts the points, remembers what they were, strikes at one."""

    fault: Fault | None = None
    names: list[str] = field(default_factory=list[str])
    gates_asked_since_arming: bool = False

    def before(self, name: str) -> Blow | None:
        """Pass a point; raises when the fault strikes before the act."""
        index = len(self.names)
        self.names.append(name)
        if self.fault is None or self.fault.at != index:
            return None
        blow = self.fault.blow
        match blow:
            case Blow.KILL_BEFORE:
                raise AgentKilled
            case Blow.POWER_BEFORE:
                raise PowerLost
            case Blow.ERROR:
                raise TidegateError(ErrorKind.ENGINE_FAILED, f"injected at {name}")
            case Blow.HANG:
                raise TimeoutError
            case _:
                return blow

    @staticmethod
    def after(blow: Blow | None, name: str) -> None:
        """The act is done; raises when the fault strikes now."""
        match blow:
            case Blow.KILL_AFTER:
                raise AgentKilled
            case Blow.POWER_AFTER:
                raise PowerLost
            case Blow.ERROR_AFTER:
                raise TidegateError(ErrorKind.ENGINE_TIMEOUT, f"injected after {name}")
            case _:
                return


class StruckStore:
    """The real record file; a save is a point."""

    def __init__(self, folder: Path, points: Points) -> None:
        self._store = FileStore(folder)
        self._points = points

    def load(self) -> Records:
        return self._store.load()

    def save(self, records: Records) -> None:
        try:
            blow = self._points.before("save records")
        except (TidegateError, TimeoutError) as err:
            raise TidegateError(ErrorKind.RECORD_UNWRITABLE, "injected: no space left on device") from err
        self._store.save(records)
        if blow in KILLS | CUTS:
            self._points.after(blow, "save records")


class StruckEngine:
    """The fake engine; each verb is a point. ``arm`` checks that the intent is on disk."""

    name = "ostree"
    reboot_owner = RebootOwner.AGENT

    def __init__(self, host: FakeHost, points: Points, store: FileStore) -> None:
        self._engine = FakeEngine(host)
        self._points = points
        self._store = store

    async def status(self) -> EngineStatus:
        self._points.before("engine status")
        return await self._engine.status()

    async def stage(self, release: Release, progress: ProgressSink) -> None:
        blow = self._points.before("engine stage")
        await self._engine.stage(release, progress)
        self._points.after(blow, "engine stage")

    async def arm(self, payload: str) -> None:
        intent = self._store.load().intent
        if intent is None or intent.target.payload != payload:
            raise BrokenRuleError("armed without an intent on disk")
        self._points.gates_asked_since_arming = False
        blow = self._points.before("engine arm")
        await self._engine.arm(payload)
        self._points.after(blow, "engine arm")

    async def disarm(self, payload: str) -> None:
        blow = self._points.before("engine disarm")
        await self._engine.disarm(payload)
        self._points.after(blow, "engine disarm")

    async def discard(self, payload: str) -> None:
        await self._engine.discard(payload)

    async def prune_rollback(self) -> None:
        await self._engine.prune_rollback()

    async def rollback(self) -> Deployment:
        return await self._engine.rollback()

    async def mark_good(self, payload: str) -> None:
        blow = self._points.before("engine mark_good")
        await self._engine.mark_good(payload)
        self._points.after(blow, "engine mark_good")


@dataclass
class Logind:
    """Takes the host down, unless it has answers of its own left. A reboot is a point."""

    points: Points
    answers: deque[RebootAnswer] = field(default_factory=deque[RebootAnswer])
    going_down: bool = False
    requests: int = 0

    async def shutting_down(self) -> bool:
        return self.going_down

    async def reboot(self, announcement: str) -> RebootAnswer:
        if not self.points.gates_asked_since_arming:
            raise BrokenRuleError("a reboot is asked for, and no gate was asked after arming")
        blow = self.points.before("logind reboot")
        self.requests += 1
        answer = self.answers.popleft() if self.answers else Accepted()
        if isinstance(answer, Accepted) and not self.deaf:
            self.going_down = True
        self.points.after(blow, "logind reboot")
        return answer

    deaf: bool = False
    """Says yes and does nothing."""


@dataclass
class ScriptedGate:
    """Answers what it was given, in order, then allows."""

    points: Points
    answers: deque[Verdict] = field(default_factory=deque[Verdict])
    name: str = "scripted"
    guards: frozenset[Purpose] = frozenset(Purpose)

    async def ask(self, question: Question) -> Verdict:
        self.points.before("ask gates")
        self.points.gates_asked_since_arming = True
        return self.answers.popleft() if self.answers else Allow(self.name)


@dataclass
class ScriptedDiscovery:
    """A graph from every release to the newest that is published."""

    points: Points
    host: FakeHost
    versions: list[str]

    async def find(self, booted_payload: str, booted_version: str) -> Offers:
        self.points.before("find offers")
        index = self.versions.index(booted_version)
        scheme = {SCHEME_KEY: CHECKSUM_SCHEME}
        later = tuple(
            Release(version, payload_of(version), i, scheme) for i, version in enumerate(self.versions) if i > index
        )
        return Offers(later, release(booted_version, index), None)


@dataclass
class ScriptedHealth:
    """Answers what it was given, in order, then is well."""

    points: Points
    answers: deque[Health] = field(default_factory=deque[Health])

    async def look(self) -> Health:
        self.points.before("read health")
        return self.answers.popleft() if self.answers else Healthy()


MAX_STEPS = 300


class Rig:
    """One host and the lives of its agent."""

    def __init__(self, folder: Path, versions: list[str], fault: Fault | None = None) -> None:
        self.clock = FakeClock()
        self.points = Points(fault)
        self.folder = folder
        self.host = FakeHost(versions[0])
        for version in versions[1:]:
            self.host.publish(version)
        self.disk = FileStore(folder)
        self.discovery = ScriptedDiscovery(self.points, self.host, versions)
        self.gate = ScriptedGate(self.points)
        self.health = ScriptedHealth(self.points)
        self.logind = Logind(self.points)
        self.policy = Policy()
        self.boot_into: list[str | None] = []
        self.lives = 0
        self.power_cuts = 0
        self.said: list[str] = []
        self.replies: dict[int, object] = {}
        self.asked: deque[Event] = deque()
        self.state: State | None = None

    def run(self, until: Callable[[Rig], bool]) -> None:
        """Live, die and live again until ``until`` holds and nothing is under way.

        Raises:
            BrokenRuleError: a rule was broken, or it never came to that.
        """
        asyncio.run(self._run(until))

    async def _run(self, until: Callable[[Rig], bool]) -> None:
        for _ in range(20):
            self.lives += 1
            try:
                await self._live(until)
            except HostWentDown:
                self._reboot()
            except PowerLost:
                self.power_cuts += 1
                self.host.power_cut(self._loader_choice())
                self.clock.new_boot()
                self.logind.going_down = False
            except AgentKilled:
                if self.logind.going_down:
                    self._reboot()
                else:
                    self.clock.advance(1)
            else:
                return
        raise BrokenRuleError(f"no end after {self.lives} lives; said: {self.said[-5:]}")

    def _reboot(self) -> None:
        self.host.reboot(self._loader_choice())
        self.clock.new_boot()
        self.logind.going_down = False

    def _loader_choice(self) -> str | None:
        return self.boot_into.pop(0) if self.boot_into else None

    async def _live(self, until: Callable[[Rig], bool]) -> None:
        store = StruckStore(self.folder, self.points)
        engine = StruckEngine(self.host, self.points, self.disk)
        gates: tuple[Gate, ...] = (self.gate,)
        runner = Runner(self.clock, engine, self.logind, self.health, World(self.discovery, gates))
        keeper = Keeper(self.clock, store, self.host.boot, self.policy, store.load())
        pending: deque[Task] = deque()
        self._take(keeper.first_effects, pending)
        for _ in range(MAX_STEPS):
            self.state = keeper.state
            self._check_rules()
            if pending:
                event = await self._answer(runner, pending.popleft())
            elif self.logind.going_down:
                raise HostWentDown
            elif self.asked:
                event = self.asked.popleft()
            elif until(self):
                return
            else:
                event = self._wait(keeper.state)
            self._take(keeper.feed(event), pending)
        raise BrokenRuleError(f"no end after {MAX_STEPS} steps in {keeper.state.phase}")

    def _wait(self, state: State) -> Event:
        wakeup = next_wakeup(state)
        if wakeup is None:
            raise BrokenRuleError(f"waits for nothing in {state.phase}")
        self.clock.advance_to(wakeup)
        return Tick()

    async def _answer(self, runner: Runner, task: Task) -> Event:
        answers: list[Event] = []
        await runner.run(task, answers.append)
        return answers[-1]

    def _take(self, effects: tuple[Effect, ...], pending: deque[Task]) -> None:
        for effect in effects:
            match effect:
                case Announce(text=text):
                    self.said.append(text)
                case Reply(request, answer):
                    self.replies[request] = answer
                case task:
                    pending.append(task)

    def _check_rules(self) -> None:
        """What must hold between any two steps."""
        staged = self.host.staged
        armed = staged is not None and not staged.locked
        if armed and self.disk.load().intent is None:
            raise BrokenRuleError("the next boot is armed and no intent on disk says so")
