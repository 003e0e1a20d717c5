"""The parts of a host in memory, with faults that can be injected into each of them.

A *point* is one thing that the agent does to the world: a save of its records, a verb of the engine, a question to
discovery, gates, logind, health or a lock server, a notice to people. Points are counted; a :class:`Fault` names the
one at which it is injected.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from tests.fakes.builders import WELL, unhealthy
from tests.fakes.clock import FakeClock
from tests.fakes.engine import FakeEngine, FakeHost, payload_of, release
from tests.fakes.lock_server import FakeLocks
from tidegate.clock import Now
from tidegate.discovery.base import Offers
from tidegate.discovery.graph import SCHEME_KEY
from tidegate.engines.base import EngineStatus, EngineTraits, Latest, ProgressSink, RebootOwner
from tidegate.engines.entry import CHECKSUM_SCHEME
from tidegate.errors import ErrorKind, TidegateError
from tidegate.fleetlock.account import LockAccount, LockBusy, LockGranted, LockReleased
from tidegate.fleetlock.protocol import UpdateParams
from tidegate.gates.base import Allow, Notice, Question, Verdict, Wait
from tidegate.health.base import ProbeResult
from tidegate.records.model import Records
from tidegate.records.store import FileStore
from tidegate.release import Purpose, Release
from tidegate.system.reboot import RebootAccepted, RebootAnswer, RebootKind


class FaultKind(StrEnum):
    """What goes wrong at a point. *before* and *after* refer to the act itself: whether it was done."""

    KILL_BEFORE = "kill before"
    KILL_AFTER = "kill after"
    ERROR = "error"
    ERROR_AFTER = "done, but error"
    HANG = "hang"
    POWER_BEFORE = "power cut before"
    POWER_AFTER = "power cut after"


KILLS = {FaultKind.KILL_BEFORE, FaultKind.KILL_AFTER}
CUTS = {FaultKind.POWER_BEFORE, FaultKind.POWER_AFTER}
AFTER = {FaultKind.KILL_AFTER, FaultKind.POWER_AFTER, FaultKind.ERROR_AFTER}
SAVE = "save records"
ASKED = {"engine status", "find offers", "ask gates", "read health"}
"""The points that change nothing. A fault after one of them would be the same fault before the next: there is none."""


def applies(kind: FaultKind, point: str) -> bool:
    """Whether a fault of ``kind`` is possible at ``point``. Records that could not be saved are those of before."""
    if point == SAVE:
        return kind != FaultKind.ERROR_AFTER
    return kind not in AFTER or point not in ASKED


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault at the ``at``-th point of a run, counted from 0 over all starts of the agent."""

    at: int
    kind: FaultKind


class AgentKilled(BaseException):
    """The process is gone; a BaseException, so that no handler on the way catches it."""


class PowerLost(AgentKilled):
    """The host is gone with it."""


class HostWentDown(AgentKilled):
    """The host shuts down in good order; systemd has stopped the agent."""


class BrokenRuleError(BaseException):
    """A rule of the design did not hold. Out of reach of the runner, which takes any Exception for a part's defect."""


@dataclass
class Points:
    """Counts the points, remembers their names, and injects a fault at one."""

    fault: Fault | None = None
    names: list[str] = field(default_factory=list[str])
    injected: bool = False
    saves_left: int | None = None
    """After so many saves the disk is full; None: it never is."""
    gates_asked_since_arming: bool = False
    lock_granted_since_arming: bool = False

    def before(self, name: str, error: ErrorKind = ErrorKind.ENGINE_FAILED) -> FaultKind | None:
        """Pass a point; raises where the fault comes before the act."""
        index = len(self.names)
        self.names.append(name)
        if self.fault is None or self.fault.at != index:
            return None
        kind = self.fault.kind
        self.injected = applies(kind, name)
        match kind:
            case FaultKind.KILL_BEFORE:
                raise AgentKilled
            case FaultKind.POWER_BEFORE:
                raise PowerLost
            case FaultKind.ERROR:
                raise TidegateError(error, f"injected at {name}")
            case FaultKind.HANG:
                raise TimeoutError
            case _:
                return kind

    def need_space(self) -> None:
        """Use up a save; raises where the disk is full."""
        if self.saves_left == 0:
            raise TimeoutError
        if self.saves_left is not None:
            self.saves_left -= 1

    @staticmethod
    def after(kind: FaultKind | None, name: str, error: ErrorKind = ErrorKind.ENGINE_TIMEOUT) -> None:
        """The act is done; raises where the fault comes after it."""
        match kind:
            case FaultKind.KILL_AFTER:
                raise AgentKilled
            case FaultKind.POWER_AFTER:
                raise PowerLost
            case FaultKind.ERROR_AFTER:
                raise TidegateError(error, f"injected after {name}")
            case _:
                return


class Disk(FileStore):
    """The real record file. ``kept`` is what was written to it last, for whoever only wants to look."""

    kept = Records()

    def save(self, records: Records) -> None:
        super().save(records)
        self.kept = records


class FaultyStore:
    """The way to the disk; a save is a point."""

    def __init__(self, disk: Disk, points: Points) -> None:
        self._store = disk
        self._points = points

    def load(self) -> Records:
        return self._store.load()

    def save(self, records: Records) -> None:
        try:
            self._points.need_space()
            kind = self._points.before(SAVE)
        except (TidegateError, TimeoutError) as err:
            raise TidegateError(ErrorKind.RECORD_UNWRITABLE, "injected: no space left on device") from err
        self._store.save(records)
        self._points.after(kind, SAVE)


class FaultyEngine:
    """The fake engine within its ``traits``; each verb is a point. Whatever arms checks that the intent is on disk.

    An engine that reboots calls ``reboot``, which has to find the lock and the gates asked, as logind does.
    """

    name = "ostree"

    def __init__(
        self, host: FakeHost, points: Points, store: Disk, traits: EngineTraits, reboot: Callable[[], None]
    ) -> None:
        self._host = host
        self.traits = traits
        self._engine = FakeEngine(host, traits=traits, reboot=reboot)
        self._points = points
        self._store = store

    async def status(self) -> EngineStatus:
        self._points.before("engine status")
        return await self._engine.status()

    async def latest(self) -> Latest:
        return await self._engine.latest()

    async def stage(self, release: Release, progress: ProgressSink) -> None:
        if not self.traits.stages_locked:
            self._about_to_arm(release.payload)
        kind = self._points.before("engine stage")
        await self._engine.stage(release, progress)
        self._points.after(kind, "engine stage")

    async def arm(self, payload: str) -> None:
        self._about_to_arm(payload)
        kind = self._points.before("engine arm")
        await self._engine.arm(payload)
        self._points.after(kind, "engine arm")

    def _about_to_arm(self, payload: str) -> None:
        intent = self._store.kept.intent
        if intent is None or intent.target.payload != payload:
            raise BrokenRuleError("armed without an intent on disk")
        if self.traits.reboots is RebootOwner.AGENT:
            self._points.gates_asked_since_arming = False
            self._points.lock_granted_since_arming = False

    async def disarm(self, payload: str) -> None:
        kind = self._points.before("engine disarm")
        await self._engine.disarm(payload)
        self._points.after(kind, "engine disarm")

    async def discard(self, payload: str) -> None:
        await self._engine.discard(payload)

    async def prune_rollback(self) -> None:
        kind = self._points.before("engine prune_rollback")
        await self._engine.prune_rollback()
        self._points.after(kind, "engine prune_rollback")

    async def rollback(self, payload: str) -> None:
        intent = self._store.kept.intent
        if intent is None or intent.purpose != Purpose.ROLLBACK:
            raise BrokenRuleError("made the old release the default without an intent on disk")
        if self.traits.reboots is RebootOwner.AGENT:
            lock = self._store.kept.lock
            self._points.gates_asked_since_arming = False
            # The way back asks the lock server before: nothing slow stands between the boot order and the reboot.
            self._points.lock_granted_since_arming |= lock is not None and lock.boot != self._host.boot
        kind = self._points.before("engine rollback")
        await self._engine.rollback(payload)
        self._points.after(kind, "engine rollback")

    async def mark_good(self, payload: str) -> None:
        kind = self._points.before("engine mark_good")
        await self._engine.mark_good(payload)
        self._points.after(kind, "engine mark_good")


@dataclass
class FaultyWorkload:
    """Units that run from each boot on until they are stopped; each verb is a point."""

    points: Points
    running: bool = True
    handed_over: bool = False
    stops: int = 0

    def boot(self) -> None:
        self.running, self.handed_over = True, False

    async def hand_over(self) -> None:
        kind = self.points.before("workload hand_over")
        self.handed_over = True
        self.points.after(kind, "workload hand_over")

    async def end_hand_over(self) -> None:
        kind = self.points.before("workload end_hand_over")
        self.handed_over = False
        self.points.after(kind, "workload end_hand_over")

    async def stop(self) -> None:
        kind = self.points.before("workload stop")
        self.running = False
        self.stops += 1
        self.points.after(kind, "workload stop")

    async def start(self) -> None:
        kind = self.points.before("workload start")
        self.running = True
        self.points.after(kind, "workload start")


@dataclass
class Logind:
    """Takes the host down, unless it has answers of its own left. A reboot is a point.

    ``locked``: a reboot has to have its lock by now.
    """

    points: Points
    clock: FakeClock
    locked: bool = False
    asked_at: list[datetime] = field(default_factory=list[datetime])
    answers: deque[RebootAnswer] = field(default_factory=deque[RebootAnswer])
    going_down: bool = False
    requests: int = 0

    async def shutting_down(self) -> bool:
        return self.going_down

    def reboot(self) -> None:
        """The engine takes the host down itself."""
        self._permitted()
        self.going_down = True

    def _permitted(self) -> None:
        if not self.points.gates_asked_since_arming:
            raise BrokenRuleError("a reboot is asked for, and no gate was asked after arming")
        if self.locked and not self.points.lock_granted_since_arming:
            raise BrokenRuleError("a reboot is asked for, and the lock was not granted after arming")

    async def go_down(self, kind: RebootKind, announcement: str) -> RebootAnswer:
        self._permitted()
        self.asked_at.append(self.clock.now().wall)
        fault = self.points.before("logind reboot")
        self.requests += 1
        answer = self.answers.popleft() if self.answers else RebootAccepted()
        if isinstance(answer, RebootAccepted) and not self.deaf:
            self.going_down = True
        self.points.after(fault, "logind reboot")
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
    overridable: bool = True

    async def ask(self, question: Question) -> Verdict:
        self.points.before("ask gates")
        self.points.gates_asked_since_arming = True
        return self.answers.popleft() if self.answers else Allow(self.name)


@dataclass
class ScriptedDiscovery:
    """A graph from every release to the newest that is published."""

    points: Points
    clock: FakeClock
    host: FakeHost
    versions: list[str]
    asked_at: list[datetime] = field(default_factory=list[datetime])

    async def find(self, booted_payload: str, booted_version: str, stream: str | None = None) -> Offers:
        self.asked_at.append(self.clock.now().wall)
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
    host: FakeHost
    answers: deque[ProbeResult] = field(default_factory=deque[ProbeResult])
    broken: set[str] = field(default_factory=set[str])
    """The releases that are never well."""

    async def probe(self, failed_before: frozenset[str]) -> ProbeResult:
        self.points.before("read health")
        if self.answers:
            return self.answers.popleft()
        return unhealthy() if self.host.booted.version in self.broken else WELL


class NoUnits:
    """A host on which no unit has failed."""

    async def failed_units(self) -> frozenset[str]:
        return frozenset()


GRACE_SECS = 120.0


@dataclass
class People:
    """Somebody is logged in all the time: a gate that wants a notice and a grace, and whoever gives the notice.

    A notice is a point.
    """

    points: Points
    clock: FakeClock
    there: bool = False
    told: list[Now] = field(default_factory=list[Now])
    name: str = "sessions"
    guards: frozenset[Purpose] = frozenset(Purpose)
    overridable: bool = True

    async def ask(self, question: Question) -> Verdict:
        told = question.noticed.get(self.name)
        if not self.there:
            return Allow(self.name)
        if told is None:
            until = question.now.wall + timedelta(seconds=GRACE_SECS)
            return Wait(self.name, "kai is logged in", until, notice=Notice("a reboot is to come", until))
        left_secs = GRACE_SECS - (question.now.boot_secs - told.boot_secs)
        if left_secs <= 0:
            return Allow(self.name, "the grace is over")
        return Wait(self.name, "kai was told", question.now.wall + timedelta(seconds=left_secs))

    async def tell(self, notice: Notice) -> None:
        self.told.append(self.clock.now())
        kind = self.points.before("give notice")
        self.points.after(kind, "give notice")


@dataclass
class FaultyLocks:
    """The way to the lock servers; each request is a point. What is on disk by then is checked.

    ``script``: what happens after each answer to a pre-reboot, in order. ``down_until``: nobody answers before.
    ``kept_in``: the releases from which the lock must not be given back. ``armed_for_good``: an arming stays with its
    intent, after the attempt was called off and its lock was given back.
    """

    points: Points
    clock: FakeClock
    locks: FakeLocks
    disk: Disk
    host: FakeHost
    script: deque[Callable[[], None]] = field(default_factory=deque[Callable[[], None]])
    down_until: datetime | None = None
    hangs: bool = False
    kept_in: set[str] = field(default_factory=set[str])
    armed_for_good: bool = False

    async def acquire(self, account: LockAccount, update: UpdateParams | None) -> LockGranted | LockBusy:
        record = self.disk.kept.lock
        if record is None or record.account != account:
            raise BrokenRuleError("a lock is asked for without a record of it on disk")
        kind = self.points.before("lock pre-reboot", ErrorKind.LOCK_UNREACHABLE)
        self._reach()
        answer = await self.locks.acquire(account, update)
        self.points.after(kind, "lock pre-reboot", ErrorKind.LOCK_UNCERTAIN)
        self.points.lock_granted_since_arming = isinstance(answer, LockGranted)
        if self.script:
            self.script.popleft()()
        return answer

    async def release(self, account: LockAccount, update: UpdateParams | None) -> LockReleased:
        record, intent = self.disk.kept.lock, self.disk.kept.intent
        stays_armed = intent is not None and intent.requested is None and self.armed_for_good
        under_way = intent is not None and intent.boot == self.host.boot and not stays_armed
        if under_way and not (self.points.saves_left == 0 and self._leads_nowhere()):
            raise BrokenRuleError("a lock is given back amid a reboot")
        if self.host.booted.version in self.kept_in and record is not None:
            raise BrokenRuleError("a lock is given back from a release that is not well")
        if record is not None and record.account != account:
            raise BrokenRuleError("a lock is given back with something else than its record says")
        kind = self.points.before("lock steady-state", ErrorKind.LOCK_UNREACHABLE)
        self._reach()
        answer = await self.locks.release(account, update)
        self.points.after(kind, "lock steady-state", ErrorKind.LOCK_UNCERTAIN)
        return answer

    def _leads_nowhere(self) -> bool:
        """Whether the next boot leads into the running release: the attempt on disk is undone, and cannot be ended."""
        staged = self.host.staged
        return (staged is None or staged.locked) and self.host.entries[0].payload == self.host.booted.payload

    def take_away(self, account: LockAccount, rival: str) -> None:
        """The server loses what it knows, and another host is quicker."""
        self.locks.at(account).forget()
        self.locks.at(account).pre_reboot(account.group, rival)

    def _reach(self) -> None:
        if self.down_until is None or self.clock.now().wall >= self.down_until:
            return
        if self.hangs:
            self.clock.advance(30)
            raise TidegateError(ErrorKind.LOCK_UNCERTAIN, "no answer within 30 s")
        raise TidegateError(ErrorKind.LOCK_UNREACHABLE, "connection refused")
