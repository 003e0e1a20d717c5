"""Everything the agent knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from tidegate.clock import Now
from tidegate.discovery.base import Deferred
from tidegate.discovery.policy import PassedOver
from tidegate.engines.base import DEFAULT_TRAITS, EngineStatus, EngineTraits
from tidegate.errors import Failure
from tidegate.fleetlock.account import FleetLocking
from tidegate.gates.base import NOT_NOTICED, Wait
from tidegate.health.judgement import HealthTerms
from tidegate.machine.effects import Effect
from tidegate.machine.phase import Phase
from tidegate.machine.plan import Order, downloads_first, plan_for
from tidegate.records.model import Records
from tidegate.release import Release
from tidegate.system.boot import BootInstance
from tidegate.system.last_boot import UNKNOWN, LastBoot
from tidegate.system.reboot import RebootKind


class FailureAction(StrEnum):
    """The agent's reaction to an unhealthy release."""

    PAUSE = "pause"
    CONTINUE = "continue"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings that decide anything here.

    ``fleet_lock``: the lock that has to be held for a reboot, or None where none is.
    ``enabled``: the agent checks, stages and finalizes by itself; otherwise only when a person asks. ``pin``,
    ``max_version``, ``min_release_age_secs``: which releases it may go to. ``health``, ``failure_action``: how a boot
    is watched, and what the agent does if it is unhealthy.
    ``start_delay_secs``: within which the first check after a start or a resume comes. ``host_seed`` differs between
    hosts, so that their random delays do.
    ``order``: the sequence of an update; ``workload``: there are units that it stops and starts. ``reboot_kind``: how
    the host goes down, where the engine's releases can be booted so.
    ``blocked``: why the agent must not stage or reboot at all (a bad configuration at the start, unreadable records),
    or None. ``stale``: why the configuration on disk is not the one in force, or None.
    """

    enabled: bool = True
    allow_downgrade: bool = False
    pin: str | None = None
    max_version: str | None = None
    min_release_age_secs: float = 0.0
    health: HealthTerms = field(default_factory=HealthTerms)
    failure_action: FailureAction = FailureAction.PAUSE
    steady_interval_secs: int = 300
    start_delay_secs: float = 0.0
    host_seed: str = ""
    fleet_lock: FleetLocking | None = None
    order: Order = Order.DOWNLOAD_THEN_KILL
    workload: bool = False
    reboot_kind: RebootKind = RebootKind.REBOOT
    blocked: Failure | None = None
    stale: Failure | None = None

    @property
    def block(self) -> Wait | None:
        """``blocked`` as a gate's answer; the gate is named after what is bad: ``config`` or ``record``."""
        return (
            None if self.blocked is None else Wait(self.blocked.area, self.blocked.message, remedy=self.blocked.remedy)
        )


@dataclass(frozen=True, slots=True)
class Poll:
    """Discovery. ``due``: boot clock, when to ask next; ``task``: the question under way; ``failures`` are consecutive.

    Consecutive ``staging_failures`` delay the next check as well: its answer would be staged again.
    """

    due: float
    task: int | None = None
    failures: int = 0
    staging_failures: int = 0
    checked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LockObligation:
    """The pending release of a lock, independent of the phase: see :mod:`.lock_duty`.

    ``startup_release``: a steady-state is pending although there is no record, as once at each start. ``task``: the
    request, or the probe of the boot's health before it, that is under way; ``retry_at`` (boot clock): not before.
    ``why`` it is not done yet, after consecutive ``failures``.
    """

    startup_release: bool = True
    task: int | None = None
    retry_at: float | None = None
    failures: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """A person who waits for an answer: of the next check, or of the staging that follows it."""

    id: int
    wants_staging: bool


@dataclass(frozen=True, slots=True)
class Trouble:
    """The last error that has not been followed by a success."""

    failure: Failure
    since: datetime
    count: int = 1


@dataclass(frozen=True, slots=True)
class State:
    """Everything the agent knows. ``records`` is what it keeps on disk; the rest is found out anew at each start.

    ``failed_units``: the systemd units that had failed when the host was looked at last. ``last_boot``: how the boot
    before this one ended. ``offered``, ``deferred``, ``passed_over``, ``dead_end``, ``source_flaws`` (their number, and
    the first ones): what discovery answered last, and what became of it. ``clock_base``: both clocks when the wall
    clock was trusted last; ``clock_set_at`` (boot clock): when it was set since, see :mod:`.ages`.
    """

    boot: BootInstance
    policy: Policy
    records: Records
    phase: Phase
    poll: Poll
    next_id: int
    lock: LockObligation = LockObligation()
    noticed: Mapping[str, Now] = field(default_factory=lambda: NOT_NOTICED)
    host: EngineStatus | None = None
    shutting_down: bool = False
    failed_units: frozenset[str] = frozenset()
    last_boot: LastBoot = UNKNOWN
    clock_base: Now | None = None
    clock_set_at: float | None = None
    dead_end: str | None = None
    source_flaws: tuple[int, tuple[str, ...]] = (0, ())
    offered: tuple[Release, ...] = ()
    deferred: tuple[Deferred, ...] = ()
    passed_over: tuple[PassedOver, ...] = ()
    requests: tuple[Request, ...] = ()
    trouble: Trouble | None = None

    @property
    def traits(self) -> EngineTraits:
        """The abilities of the engine; the defaults if the host was not read yet."""
        return DEFAULT_TRAITS if self.host is None else self.host.traits

    @property
    def stages_first(self) -> bool:
        """Whether a release is staged before the gates are asked: by the order, and by what the engine can do."""
        return downloads_first(plan_for(self.policy.order, self.traits, locking=False, workload=False))

    def has_staged(self, target: Release) -> bool:
        """Whether the engine reported ``target`` as staged when the host was read last."""
        return self.host is not None and self.host.has_staged(target.payload)


Step = tuple[State, tuple[Effect, ...]]
