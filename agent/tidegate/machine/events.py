"""The events of the machine: results of tasks, requests of people, signals, and the facts that they carry."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.discovery.base import Offers
from tidegate.engines.base import EngineStatus, Progress
from tidegate.errors import Failure
from tidegate.fleetlock.account import LockBusy, LockGranted, LockReleased
from tidegate.gates.base import Verdict
from tidegate.health.base import ProbeResult
from tidegate.machine.state import Policy
from tidegate.release import Purpose
from tidegate.system.last_boot import UNKNOWN, LastBoot
from tidegate.system.reboot import RebootAnswer


@dataclass(frozen=True, slots=True)
class HostView:
    """The host at the moment of asking.

    ``engine``: the engine's account; ``shutting_down``: logind is taking it down already; ``failed_units``: the systemd
    units that have failed; ``last_boot``: how the boot before this one ended.
    """

    engine: EngineStatus
    shutting_down: bool
    failed_units: frozenset[str] = frozenset()
    last_boot: LastBoot = UNKNOWN


@dataclass(frozen=True, slots=True)
class NoticeGiven:
    """The notice has been given to everybody who could be reached."""


@dataclass(frozen=True, slots=True)
class WorkloadDone:
    """The workload was handed over, stopped or started as asked."""


LockAnswer = LockGranted | LockBusy

Result = (
    HostView
    | Offers
    | tuple[Verdict, ...]
    | RebootAnswer
    | ProbeResult
    | LockAnswer
    | LockReleased
    | NoticeGiven
    | WorkloadDone
)


@dataclass(frozen=True, slots=True)
class Completed:
    """A task is done."""

    task_id: int
    result: Result


@dataclass(frozen=True, slots=True)
class Errored:
    """A task failed, or did not answer within its deadline."""

    task_id: int
    failure: Failure


@dataclass(frozen=True, slots=True)
class Progressed:
    """A staging got further."""

    task_id: int
    progress: Progress


@dataclass(frozen=True, slots=True)
class ShutdownSignal:
    """Logind's PrepareForShutdown: True when the host goes down, False when that was called off."""

    active: bool


@dataclass(frozen=True, slots=True)
class CheckAsked:
    """A person wants to know now whether there is a newer release."""

    request_id: int


@dataclass(frozen=True, slots=True)
class StageAsked:
    """A person wants the next release staged now."""

    request_id: int


@dataclass(frozen=True, slots=True)
class ApplyAsked:
    """A person wants the staged release finalized. ``reason`` is theirs and names the caller.

    ``purpose``: UPDATE asks what the strategy would ask, only sooner; MANUAL does not wait for the strategy.
    ``overrides``: the gates that are passed over, this once.
    """

    request_id: int
    reason: str
    purpose: Purpose = Purpose.MANUAL
    overrides: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ForgetLockAsked:
    """An operator drops the duty to release a lock whose server is gone. ``reason`` is theirs."""

    request_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class ResumeAsked:
    """A person says that a paused host goes on with the release that it runs. ``reason`` is theirs."""

    request_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class RollbackAsked:
    """A person wants the release before the running one back, and the running one denied. ``reason`` is theirs.

    ``overrides``: the gates that are passed over, this once.
    """

    request_id: int
    reason: str
    overrides: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class DenyAsked:
    """A person does not want ``release`` (a version that the agent knows, or a payload) staged, for ``reason``."""

    request_id: int
    release: str
    reason: str


@dataclass(frozen=True, slots=True)
class AllowAsked:
    """A person lifts the denial of ``release`` (a version or a payload), for ``reason``."""

    request_id: int
    release: str
    reason: str


@dataclass(frozen=True, slots=True)
class PolicyChanged:
    """The configuration was read again."""

    policy: Policy


@dataclass(frozen=True, slots=True)
class ClockSet:
    """The wall clock was set: what was worked out from it no longer holds."""


@dataclass(frozen=True, slots=True)
class RecordsUnwritable:
    """The step that ``event`` made was not carried out: its records could not be saved. Nothing of it was done."""

    failure: Failure
    event: Event


@dataclass(frozen=True, slots=True)
class Tick:
    """A deadline of the state has come (see :func:`tidegate.machine.wakeups.next_wakeup`)."""


Event = (
    Completed
    | Errored
    | Progressed
    | ShutdownSignal
    | CheckAsked
    | StageAsked
    | ApplyAsked
    | ForgetLockAsked
    | ResumeAsked
    | RollbackAsked
    | DenyAsked
    | AllowAsked
    | PolicyChanged
    | ClockSet
    | RecordsUnwritable
    | Tick
)
