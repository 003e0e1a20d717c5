"""A whole host in memory around the real machine, keeper, runner and record files, with a fault at any chosen point.

Only the host is simulated (:class:`tests.fakes.engine.FakeHost`): it keeps what a real one keeps over a killed process,
a reboot and a power cut. The parts into which faults are injected are in :mod:`.parts`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from tests.fakes.builders import quick
from tests.fakes.clock import FakeClock
from tests.fakes.engine import FakeHost
from tests.fakes.lock_server import FakeLocks
from tests.faults.parts import (
    AgentKilled,
    BrokenRuleError,
    Disk,
    Fault,
    FaultKind,
    FaultyEngine,
    FaultyLocks,
    FaultyStore,
    FaultyWorkload,
    HostWentDown,
    Logind,
    NoUnits,
    People,
    Points,
    PowerLost,
    ScriptedDiscovery,
    ScriptedGate,
    ScriptedHealth,
)
from tidegate.engines.base import DEFAULT_TRAITS
from tidegate.fleetlock.account import FleetLocking
from tidegate.gates.base import Gate
from tidegate.loop import Keeper
from tidegate.machine.effects import Announce, Effect, Reply, Task
from tidegate.machine.events import Event, Tick
from tidegate.machine.plan import PlanStep
from tidegate.machine.state import State
from tidegate.machine.step import next_wakeup
from tidegate.records.codec import encode
from tidegate.runner import Host, Runner, World

__all__ = ["BrokenRuleError", "Fault", "FaultKind", "Rig"]

MAX_STEPS = 300


CUT_AMID_THE_SWITCH = "the power is cut while the boot entries are switched"
"""In the place of a choice of the boot loader: it still reads the menu from before the switch."""


class Rig:
    """One host, on which the agent is started again whenever it has died."""

    def __init__(
        self,
        folder: Path,
        versions: list[str],
        fault: Fault | None = None,
        locks: FakeLocks | None = None,
        *,
        keeper: type[Keeper] = Keeper,
        seed: int = 0,
    ) -> None:
        self.clock = FakeClock()
        self.points = Points(fault)
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.host = FakeHost(versions[0], seed=seed)
        for version in versions[1:]:
            self.host.publish(version)
        self.disk = Disk(folder)
        self.discovery = ScriptedDiscovery(self.points, self.clock, self.host, versions)
        self.gate = ScriptedGate(self.points)
        self.health = ScriptedHealth(self.points, self.host)
        self.logind = Logind(self.points, self.clock)
        self.people = People(self.points, self.clock)
        self.keeper = keeper
        self.locks = FaultyLocks(self.points, self.clock, locks or FakeLocks(), self.disk, self.host)
        self.workload = FaultyWorkload(self.points)
        self.traits = DEFAULT_TRAITS
        self.policy = quick()
        self.beside: list[Rig] = []
        self.boot_into: list[str | None] = []
        self.starts = 0
        self.power_cuts = 0
        self.vain_boots = 0
        self.said: list[str] = []
        self.replies: dict[int, object] = {}
        self.asked: deque[Event] = deque()
        self.state: State | None = None
        self.staged_at: datetime | None = None

    def run(self, until: Callable[[Rig], bool]) -> None:
        """Run the agent, from one start to the next, until ``until`` holds and nothing is under way.

        Raises:
            BrokenRuleError: a rule was broken, or it never came to that.
        """
        asyncio.run(self._run_all(until))

    def lock_with(self, locking: FleetLocking) -> None:
        """Reboots need this lock."""
        self.policy = replace(self.policy, fleet_lock=locking)
        self.logind.locked = True

    @property
    def has_slot(self) -> bool:
        """Whether the lock server counts this host."""
        locking = self.policy.fleet_lock
        return locking is not None and self.locks.locks.at(locking.account).counts(locking.account.id)

    async def _run_all(self, until: Callable[[Rig], bool]) -> None:
        await asyncio.gather(*(rig._run(until) for rig in (self, *self.beside)))

    async def _run(self, until: Callable[[Rig], bool]) -> None:
        for _ in range(20):
            self.starts += 1
            try:
                await self._run_agent(until)
            except HostWentDown:
                self._reboot()
            except PowerLost:
                self.power_cuts += 1
                choice = self._loader_choice()
                self.host.power_cut(None if choice == CUT_AMID_THE_SWITCH else choice)
                self._boots()
            except AgentKilled:
                if self.logind.going_down:
                    self._reboot()
                else:
                    self.clock.advance(1)
            else:
                return
        raise BrokenRuleError(f"no end after {self.starts} starts; said: {self.said[-5:]}")

    def _reboot(self) -> None:
        if self.logind.locked and not self.has_slot:
            raise BrokenRuleError("the host goes down without its lock")
        choice = self._loader_choice()
        if choice == CUT_AMID_THE_SWITCH:
            self.power_cuts += 1
            self.host.cut_amid_the_switch()
        else:
            self.host.reboot(choice)
        self._boots()

    def _boots(self) -> None:
        self.clock.new_boot()
        self.logind.going_down = False
        self.workload.boot()

    def _loader_choice(self) -> str | None:
        return self.boot_into.pop(0) if self.boot_into else None

    async def _run_agent(self, until: Callable[[Rig], bool]) -> None:
        store = FaultyStore(self.disk, self.points)
        engine = FaultyEngine(self.host, self.points, self.disk, self.traits, self.logind.reboot)
        gates: tuple[Gate, ...] = (self.gate, self.people)
        host = Host(engine, self.logind, NoUnits(), self.locks, self.people, self.workload)
        runner = Runner(self.clock, host, World(self.discovery, gates, self.health))
        keeper = self.keeper(self.clock, store, self.host.boot, self.policy, store.load())
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
            elif until(self) and encode(self.disk.kept) == encode(keeper.state.records):
                return
            else:
                event = self._wait(keeper.state)
            self._take(keeper.feed(event), pending)
            await asyncio.sleep(0)
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
        records, staged = self.disk.kept, self.host.staged
        if staged is not None and self.staged_at is None:
            self.staged_at = self.clock.now().wall
        armed = staged is not None and not staged.locked
        if armed and records.intent is None:
            raise BrokenRuleError("the next boot is armed and no intent on disk says so")
        due = records.rollback
        ways_back = due is not None and (self.host.booted.payload, self.host.entries[0].payload) == (
            due.origin.payload,
            due.target.payload,
        )
        if ways_back and records.intent is None:
            raise BrokenRuleError("the next boot leads back and no intent on disk says so")
        begun = () if records.attempt is None else records.attempt.begun
        if not self.workload.running and PlanStep.STOP_WORKLOAD not in begun:
            raise BrokenRuleError("the workload is stopped and no record on disk says so")
        if self.workload.handed_over and PlanStep.HAND_OVER not in begun:
            raise BrokenRuleError("the workload is handed over and no record on disk says so")
        if self.has_slot and records.lock is None:
            raise BrokenRuleError("the lock server counts this host and no record on disk says so")
