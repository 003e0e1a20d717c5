"""Short ways to the machine's values, and a driver that walks it from event to event."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from tests.fakes.clock import START
from tests.fakes.engine import deployment, payload_of
from tests.fakes.lock_server import ACCOUNT
from tidegate.clock import Now
from tidegate.discovery.base import Offers
from tidegate.discovery.graph import SCHEME_KEY
from tidegate.engines.base import DEFAULT_TRAITS, EngineStatus, EngineTraits, FinalizeFailure, StagedDeployment
from tidegate.engines.entry import CHECKSUM_SCHEME
from tidegate.errors import ErrorKind, Failure
from tidegate.fleetlock.account import FleetLocking, LockAccount, LockGranted, LockRelease, LockReleased
from tidegate.gates.base import Allow, Wait
from tidegate.health.base import Finding, ProbeResult, Weight
from tidegate.health.judgement import HealthTerms
from tidegate.machine.effects import Announce, Effect, Reply, Task
from tidegate.machine.events import Completed, Errored, Event, HostView, RecordsUnwritable, Result, Tick
from tidegate.machine.phase import Phase
from tidegate.machine.phases.executing import Executing
from tidegate.machine.plan import PlanStep
from tidegate.machine.state import Policy
from tidegate.machine.step import begin, next_wakeup, step
from tidegate.records.model import (
    Attempt,
    Denial,
    Intent,
    LockRecord,
    LockState,
    Outcome,
    RebootRequest,
    Records,
)
from tidegate.release import Release
from tidegate.system.boot import BootInstance
from tidegate.system.last_boot import UNKNOWN, LastBoot

BOOT = BootInstance("11111111-0000-4000-8000-000000000000")
EARLIER_BOOT = BootInstance("00000000-0000-4000-8000-000000000000")
DISK_FULL = Failure(ErrorKind.RECORD_UNWRITABLE, "records.json: No space left on device", "free some space")
BROKEN = Failure(ErrorKind.ENGINE_FAILED, "the engine broke", "mend it")
BAD_CONFIG = Failure(ErrorKind.CONFIG_INVALID, "20-updates.toml:3: no such key", "tidegate config check")

AT_ONCE = HealthTerms(monitor_secs=0.0, interval_secs=5.0, start_delay_secs=0.0, retries=1)
"""One look decides about a boot."""

WELL = ProbeResult((Finding("boot-complete", Weight.REQUIRED, passed=True, detail="reached"),))


def step_of(phase: Phase) -> PlanStep | None:
    """The step of a plan that is under way, if one is."""
    return phase.step if isinstance(phase, Executing) else None


def quick(policy: Policy | None = None) -> Policy:
    """``policy`` where one look decides about a boot."""
    return replace(policy or Policy(), health=AT_ONCE)


LOCKED = quick(Policy(fleet_lock=FleetLocking(ACCOUNT)))
"""Reboots need the lock."""

ALLOW = (Allow("window"),)
WAIT = (Wait("window", "the window is closed", remedy="wait"),)

T = TypeVar("T", bound=Effect)


def unhealthy(detail: str = "sshd.service is failed", check: str = "sshd", cursor: str = "s=1") -> ProbeResult:
    """A look at which a check that counts did not pass."""
    others = (finding for finding in WELL.findings if finding.check != check)
    return ProbeResult((*others, Finding(check, Weight.REQUIRED, passed=False, detail=detail)), cursor)


def at(secs: float) -> Now:
    """The instant ``secs`` after the agent's start, at 100 s on the boot clock."""
    return Now(START + timedelta(seconds=secs), 100.0 + secs)


def release(version: str, age_index: int | None = None) -> Release:
    """A release that the policy accepts."""
    return Release(version, payload_of(version), age_index, {SCHEME_KEY: CHECKSUM_SCHEME})


def plain(version: str) -> Release:
    """The release as records have it."""
    return Release(version, payload_of(version))


def offers(*versions: str, booted: str | None = "1", dead_end: str | None = None) -> Offers:
    """Discovery's answer on a host in ``booted``; None: it does not know that release."""
    known = None if booted is None else release(booted, int(booted))
    return Offers(tuple(release(version, int(version)) for version in versions), known, dead_end)


def host(
    booted: str = "1",
    staged: str | None = None,
    *,
    locked: bool = True,
    entries: tuple[str, ...] | None = None,
    finalize_failure: str | FinalizeFailure | None = None,
    shutting_down: bool = False,
    failed_units: tuple[str, ...] = (),
    traits: EngineTraits = DEFAULT_TRAITS,
    fell_back: str | None = None,
    current_menu: bool | None = True,
    last_boot: LastBoot = UNKNOWN,
) -> HostView:
    """A view of the host; ``entries`` are the versions with a boot entry, the default first.

    ``current_menu``: the boot loader read these entries.
    """
    names = (booted,) if entries is None else entries
    kept = None if staged is None else StagedDeployment(staged, payload_of(staged), locked)
    failure = FinalizeFailure(finalize_failure) if isinstance(finalize_failure, str) else finalize_failure
    before = names[names.index(booted) + 1 :] if booted in names else ()
    status = EngineStatus(
        "ostree",
        deployment(booted),
        kept,
        tuple(deployment(name) for name in names),
        failure,
        rollback=deployment(before[0]) if before else None,
        traits=traits,
        fell_back=None if fell_back is None else payload_of(fell_back),
        booted_by_current_menu=current_menu,
    )
    return HostView(status, shutting_down, frozenset(failed_units), last_boot)


def intent(
    target: str = "2",
    origin: str = "1",
    *,
    boot: BootInstance = EARLIER_BOOT,
    had_entry: bool = False,
    requested: bool = True,
    purpose: str = "update",
) -> Intent:
    """An attempt from ``origin`` to ``target``, begun ten minutes ago."""
    asked = RebootRequest(START - timedelta(minutes=9), 60.0) if requested else None
    return Intent(
        "attempt-1",
        boot,
        plain(origin),
        plain(target),
        purpose,
        "automatic",
        START - timedelta(minutes=10),
        had_entry,
        asked,
    )


def attempt(target: str = "2", outcome: str = Outcome.NOT_ATTEMPTED, name: str = "attempt-0") -> Attempt:
    """An attempt that came to its end an hour ago."""
    began = START - timedelta(hours=1)
    return Attempt(name, plain("1"), plain(target), "update", "automatic", began, began, outcome, "power cut")


def denial(version: str) -> Denial:
    """A release that is denied."""
    return Denial(plain(version), "fell_back", "1 booted instead", START)


def lock_record(
    state: str = LockState.HELD,
    boot: BootInstance = EARLIER_BOOT,
    release: str = LockRelease.AFTER_HEALTH,
    account: LockAccount = ACCOUNT,
) -> LockRecord:
    """A lock that was taken in an earlier boot, if nothing else is said."""
    return LockRecord(account, boot, state, START - timedelta(minutes=10), release)


class Walk:
    """The machine on its way: each event is one step at the time that the walk has reached.

    ``effects`` are those of the last step; ``secs`` counts from the agent's start.
    """

    def __init__(self, records: Records | None = None, policy: Policy | None = None, boot: BootInstance = BOOT) -> None:
        self.secs = 0.0
        self.state, self.effects = begin(boot, policy or quick(), records or Records(), at(0))

    def feed(self, event: Event) -> Walk:
        """Take a step."""
        self.state, self.effects = step(self.state, event, at(self.secs))
        return self

    def answer(self, result: Result) -> Walk:
        """Let the task of the last step complete."""
        return self.feed(Completed(self.task.id, result))

    def answer_of(self, kind: type[Task], result: Result) -> Walk:
        """Let the task of ``kind`` complete, which the last step started among others."""
        return self.feed(Completed(self.one(kind).id, result))

    def fail(self, failure: Failure = BROKEN) -> Walk:
        """Let the task of the last step fail."""
        return self.feed(Errored(self.task.id, failure))

    def unsaved(self, event: Event) -> Walk:
        """What the keeper does when the step that ``event`` makes cannot be saved."""
        return self.feed(RecordsUnwritable(DISK_FULL, event))

    def answer_unsaved(self, result: Result) -> Walk:
        """Let the task of the last step complete while the disk is full."""
        return self.unsaved(Completed(self.task.id, result))

    def wake(self) -> Walk:
        """Let time pass to the machine's own wake-up, and tick."""
        due = next_wakeup(self.state)
        assert due is not None, f"{self.state.phase} waits for no time"
        self.secs = max(self.secs, due - 100.0)
        return self.feed(Tick())

    @property
    def task(self) -> Task:
        """The one task of the last step."""
        (only,) = [effect for effect in self.effects if not isinstance(effect, Reply | Announce)]
        return only

    def one(self, kind: type[T]) -> T:
        """The one effect of ``kind`` in the last step."""
        (only,) = [effect for effect in self.effects if isinstance(effect, kind)]
        return only

    def none(self, kind: type[Effect]) -> bool:
        """Whether the last step has no effect of ``kind``."""
        return not any(isinstance(effect, kind) for effect in self.effects)


def steady(policy: Policy | None = None, records: Records | None = None) -> Walk:
    """A host in 1 that has just been read."""
    return Walk(records, policy).answer(host())


def staging(policy: Policy | None = None, records: Records | None = None) -> Walk:
    """Release 2 is being staged."""
    return steady(policy, records).wake().answer(offers("2"))


def staged(policy: Policy | None = None, records: Records | None = None) -> Walk:
    """Release 2 is staged and locked; the gates have not been asked."""
    return staging(policy, records).answer(host(staged="2"))


def deciding() -> Walk:
    """The gates are being asked."""
    return staged().wake()


def arming() -> Walk:
    """The intent is open and the engine arms."""
    return deciding().answer(ALLOW)


def confirming() -> Walk:
    """Armed; the gates are asked once more."""
    return arming().answer(host(staged="2", locked=False))


def requesting() -> Walk:
    """Logind is being asked."""
    return confirming().answer(ALLOW)


def disarming() -> Walk:
    """Called off at the last look."""
    return confirming().answer(WAIT)


def verifying(records: Records | None = None, policy: Policy | None = None) -> Walk:
    """The host has come up in the target of its intent."""
    return Walk(records or Records(intent()), policy).answer(host("2", entries=("2", "1")))


def greeted(policy: Policy = LOCKED) -> Walk:
    """A steady host in 1 whose lock server has heard of it since the agent's start."""
    return steady(policy).wake().answer(LockReleased())


def locking(policy: Policy = LOCKED) -> Walk:
    """Every gate allows 2, and the lock server is being asked."""
    return greeted(policy).wake().answer(offers("2")).answer(host(staged="2")).wake().answer(ALLOW)


def relocking(policy: Policy = LOCKED) -> Walk:
    """The lock was granted and 2 is armed; the lock server is being asked again."""
    return locking(policy).answer(LockGranted()).answer(host(staged="2", locked=False))
