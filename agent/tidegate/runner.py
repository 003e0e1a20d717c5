"""Carries out the machine's tasks: the one place that knows which part of the world does what."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, assert_never

from tidegate.clock import Clock
from tidegate.discovery.base import Discovery
from tidegate.engines.base import Engine
from tidegate.errors import ErrorKind, Failure, TidegateError
from tidegate.fleetlock.account import LockServer
from tidegate.gates.base import Gate, Notice, Question, Verdict
from tidegate.gates.gate_set import ask_all
from tidegate.health.base import HealthProber
from tidegate.machine.effects import (
    AcquireLock,
    Arm,
    AskGates,
    Disarm,
    EndHandOver,
    FindOffers,
    GiveNotice,
    HandOver,
    MarkGood,
    Prune,
    ReadHealth,
    ReadHost,
    Reboot,
    ReleaseLock,
    Rollback,
    Stage,
    StartWorkload,
    StopWorkload,
    Task,
)
from tidegate.machine.events import Completed, Errored, HostView, NoticeGiven, Progressed, Result, WorkloadDone
from tidegate.system.last_boot import UNKNOWN, LastBoot
from tidegate.system.reboot import RebootAnswer, RebootKind

_log = logging.getLogger(__name__)

Report = Callable[[Completed | Errored | Progressed], None]

HOUR_SECS = 3600.0
MARGIN_SECS = 10.0
DEADLINES_SECS: dict[type[Task], float] = {
    ReadHost: 60.0,
    FindOffers: HOUR_SECS + 60.0,  # the configuration allows an hour
    Stage: 12 * HOUR_SECS,
    AskGates: 10 * 60.0,
    GiveNotice: 60.0,
    AcquireLock: 15 * 60.0,  # the configuration allows ten minutes
    ReleaseLock: 15 * 60.0,
    Arm: 2 * 60.0,
    Disarm: 2 * 60.0,
    Rollback: 2 * 60.0,
    Reboot: 60.0,
    ReadHealth: 11 * 60.0,  # the configuration allows a check five minutes, and there may be many
    MarkGood: 2 * 60.0,
    Prune: HOUR_SECS,
    HandOver: HOUR_SECS,
    EndHandOver: 15 * 60.0,
    StopWorkload: 30 * 60.0,  # stop timeouts of 90 s each, for units that wait for each other
    StartWorkload: 30 * 60.0,
}
"""The last resort. Whoever does the work has a tighter deadline of its own and a better error; these see to it that no
defect elsewhere leaves the machine waiting for ever."""


class Power(Protocol):
    """Reboots the host."""

    async def shutting_down(self) -> bool:
        """Whether a shutdown is under way."""
        ...

    async def go_down(self, kind: RebootKind, announcement: str) -> RebootAnswer:
        """Ask for a reboot of this kind, announced on people's terminals."""
        ...


class Workload(Protocol):
    """Stops and starts the units that the host runs for its users. Every verb is idempotent."""

    async def hand_over(self) -> None:
        """Start what takes the workload over, and wait until it has."""
        ...

    async def end_hand_over(self) -> None:
        """Stop that again, so that it gives the workload back."""
        ...

    async def stop(self) -> None:
        """Stop the units, and wait until they have stopped."""
        ...

    async def start(self) -> None:
        """Start the units that were stopped, and wait until they run."""
        ...


class Units(Protocol):
    """Reads the state of systemd's units."""

    async def failed_units(self) -> frozenset[str]:
        """The names of those that have failed."""
        ...


class Announcer(Protocol):
    """Announces a coming reboot to people."""

    async def tell(self, notice: Notice) -> None:
        """Give the notice; a terminal that cannot be written to is skipped."""
        ...


@dataclass(frozen=True, slots=True)
class Host:
    """The parts of the world that no setting changes."""

    engine: Engine
    power: Power
    units: Units
    locks: LockServer
    announcer: Announcer
    workload: Workload
    last_boot: LastBoot = UNKNOWN


@dataclass(frozen=True, slots=True)
class World:
    """The parts of the world that the settings choose; replaced as a whole when they change."""

    discovery: Discovery
    gates: Sequence[Gate]
    health: HealthProber


_Work = HandOver | EndHandOver | StopWorkload | StartWorkload
_Switch = Stage | Arm | Disarm | Rollback | MarkGood | Prune


def _deadline_secs(task: Task) -> float:
    """Arming has the engine's own time, which ends before the last resort: some take twenty minutes."""
    least_secs = DEADLINES_SECS[type(task)]
    return max(least_secs, task.timeout_secs + MARGIN_SECS) if isinstance(task, Arm | Rollback) else least_secs


class Runner:
    """Runs tasks. Every task is answered exactly once, whatever happens to it."""

    def __init__(self, clock: Clock, host: Host, world: World) -> None:
        self.world = world
        self._clock = clock
        self._host = host

    async def run(self, task: Task, report: Report) -> None:
        """Carry out ``task`` and report what it came to."""
        deadline_secs = _deadline_secs(task)
        try:
            async with asyncio.timeout(deadline_secs):
                result = await self._do(task, report)
        except TidegateError as err:
            report(Errored(task.id, err.failure))
        except TimeoutError:
            text = f"{type(task).__name__} was not done within {deadline_secs:.0f} s"
            report(Errored(task.id, Failure(ErrorKind.AGENT_INTERNAL, text)))
        except Exception as err:  # noqa: BLE001 - a defect in one part must not leave the machine without an answer
            _log.exception("%s failed", type(task).__name__)
            text = f"{type(task).__name__} failed: {type(err).__name__}: {err}"
            report(Errored(task.id, Failure(ErrorKind.AGENT_INTERNAL, text, "report this defect with the journal")))
        else:
            report(Completed(task.id, result))

    async def _do(self, task: Task, report: Report) -> Result:
        match task:
            case ReadHost():
                return await self._view()
            case FindOffers(booted=booted, stream=stream):
                return await self.world.discovery.find(booted.payload, booted.version, stream)
            case AskGates():
                return await self._ask(task)
            case AcquireLock(account=account, update=update):
                return await self._host.locks.acquire(account, update)
            case ReleaseLock(account=account, update=update):
                return await self._host.locks.release(account, update)
            case Reboot(kind=kind, announcement=announcement):
                return await self._host.power.go_down(kind, announcement)
            case ReadHealth(failed_before=failed_before):
                return await self.world.health.probe(failed_before)
            case _:
                return await self._change(task, report)

    async def _ask(self, task: AskGates) -> tuple[Verdict, ...]:
        question = Question(task.target, task.purpose, self._clock.now(), noticed=task.noticed)
        return await ask_all(self.world.gates, question, task.overrides)

    async def _work(self, task: _Work) -> WorkloadDone:
        workload = self._host.workload
        match task:
            case HandOver():
                await workload.hand_over()
            case EndHandOver():
                await workload.end_hand_over()
            case StopWorkload():
                await workload.stop()
            case StartWorkload():
                await workload.start()
        return WorkloadDone()

    async def _change(self, task: GiveNotice | _Work | _Switch, report: Report) -> Result:
        match task:
            case GiveNotice(notice=notice):
                await self._host.announcer.tell(notice)
                return NoticeGiven()
            case HandOver() | EndHandOver() | StopWorkload() | StartWorkload():
                return await self._work(task)
            case _:
                await self._switch(task, report)
                return await self._view()

    async def _switch(self, task: _Switch, report: Report) -> None:
        match task:
            case Stage(target=target):
                await self._host.engine.stage(target, lambda progress: report(Progressed(task.id, progress)))
            case Arm(target=target):
                await self._host.engine.arm(target.payload)
            case Disarm(target=target):
                await self._host.engine.disarm(target.payload)
            case Rollback(target=target):
                await self._host.engine.rollback(target.payload)
            case Prune():
                await self._host.engine.prune_rollback()
            case MarkGood(target=target):
                await self._host.engine.mark_good(target.payload)
            case _:
                assert_never(task)

    async def _view(self) -> HostView:
        host = self._host
        return HostView(
            await host.engine.status(),
            await host.power.shutting_down(),
            await host.units.failed_units(),
            host.last_boot,
        )
