"""Effects: the tasks, replies and announcements that the machine asks for.

A *task* is an effect that answers later, with :class:`~tidegate.machine.events.Completed` or
:class:`~tidegate.machine.events.Errored` under its id.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tidegate.clock import Now
from tidegate.engines.base import DEFAULT_TRAITS
from tidegate.errors import Failure
from tidegate.fleetlock.account import LockAccount
from tidegate.fleetlock.protocol import UpdateParams
from tidegate.gates.base import NOT_NOTICED, Notice
from tidegate.machine.topics import Topic
from tidegate.release import Purpose, Release
from tidegate.system.reboot import RebootKind

ARM_SECS = DEFAULT_TRAITS.arm_timeout_secs


@dataclass(frozen=True, slots=True)
class ReadHost:
    """Task: ask the engine and logind; answers HostView."""

    id: int


@dataclass(frozen=True, slots=True)
class FindOffers:
    """Task: ask discovery for the successors of the booted release, which is of ``stream``; answers Offers."""

    id: int
    booted: Release
    stream: str | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """Task: engine.stage; answers HostView, and Progressed on the way."""

    id: int
    target: Release


@dataclass(frozen=True, slots=True)
class AskGates:
    """Task: ask every gate that guards ``purpose``, but for those in ``overrides``; answers a tuple of verdicts.

    ``noticed``: when people were last told of the reboot, by the gate that wanted it.
    """

    id: int
    target: Release
    purpose: Purpose
    overrides: frozenset[str] = frozenset()
    noticed: Mapping[str, Now] = field(default_factory=lambda: NOT_NOTICED)


@dataclass(frozen=True, slots=True)
class GiveNotice:
    """Task: tell people of the reboot; nothing waits for its answer, NoticeGiven."""

    id: int
    notice: Notice


@dataclass(frozen=True, slots=True)
class AcquireLock:
    """Task: ask the lock server for a slot; answers LockGranted or LockBusy."""

    id: int
    account: LockAccount
    update: UpdateParams | None


@dataclass(frozen=True, slots=True)
class ReleaseLock:
    """Task: give the slot back; answers LockReleased."""

    id: int
    account: LockAccount
    update: UpdateParams | None


@dataclass(frozen=True, slots=True)
class Arm:
    """Task: engine.arm; answers HostView. ``timeout_secs``: the engine's own time for it."""

    id: int
    target: Release
    timeout_secs: float = ARM_SECS


@dataclass(frozen=True, slots=True)
class Disarm:
    """Task: engine.disarm; answers HostView."""

    id: int
    target: Release


@dataclass(frozen=True, slots=True)
class Reboot:
    """Task: ask logind to take the host down; answers RebootAnswer. ``announcement`` goes to people's terminals."""

    id: int
    kind: RebootKind
    announcement: str


@dataclass(frozen=True, slots=True)
class Prune:
    """Task: engine.prune_rollback, to make room for ``target``; answers HostView."""

    id: int
    target: Release


@dataclass(frozen=True, slots=True)
class HandOver:
    """Task: start what takes the workload over, and wait until it has; answers WorkloadDone."""

    id: int


@dataclass(frozen=True, slots=True)
class EndHandOver:
    """Task: stop what took the workload over, so that it gives it back; answers WorkloadDone. Idempotent."""

    id: int


@dataclass(frozen=True, slots=True)
class StopWorkload:
    """Task: stop the units of the workload; answers WorkloadDone."""

    id: int


@dataclass(frozen=True, slots=True)
class StartWorkload:
    """Task: start the units that StopWorkload has stopped; answers WorkloadDone. Idempotent."""

    id: int


@dataclass(frozen=True, slots=True)
class Rollback:
    """Task: engine.rollback, to ``target``; answers HostView. ``timeout_secs`` as of :class:`Arm`."""

    id: int
    target: Release
    timeout_secs: float = ARM_SECS


@dataclass(frozen=True, slots=True)
class ReadHealth:
    """Task: look at the health of this boot; answers ProbeResult.

    ``failed_before``: the units that had failed in the release before it.
    """

    id: int
    failed_before: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class MarkGood:
    """Task: engine.mark_good; answers HostView."""

    id: int
    target: Release


Task = (
    ReadHost
    | FindOffers
    | Stage
    | AskGates
    | GiveNotice
    | AcquireLock
    | ReleaseLock
    | Arm
    | Disarm
    | Rollback
    | Reboot
    | ReadHealth
    | MarkGood
    | Prune
    | HandOver
    | EndHandOver
    | StopWorkload
    | StartWorkload
)


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer a person's request: with a text, or with why not."""

    request_id: int
    answer: str | Failure


@dataclass(frozen=True, slots=True)
class Announce:
    """Say what was decided and why: one line in the journal and one signal on the bus, once.

    ``level`` is a syslog priority; ``release`` the version that it is about, where it is about one.
    """

    topic: Topic
    level: int
    text: str
    release: str = ""


Effect = Task | Reply | Announce

NOTICE = 5
WARNING = 4
ERROR = 3
