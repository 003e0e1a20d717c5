"""The engine protocol, its traits and its status document.

An engine downloads, stages and switches releases. The agent uses this protocol and nothing else: in production the
other side is the root helper on the bus (:mod:`tidegate.engines.remote`); on scratch sysroots and in tests the engine
runs in process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from tidegate.release import Release
from tidegate.system.reboot import RebootKind


class RebootOwner(StrEnum):
    """Who reboots into an armed release."""

    AGENT = "agent"
    ENGINE = "engine"


class Evidence(StrEnum):
    """The proof that an engine's status gives, after a boot, about the attempt before it."""

    BOOT_ENTRIES = "boot_entries"
    """Boot entries: one for the target proves that the boot loader had the choice, if it read the menu that has it."""
    BOOTED_ONLY = "booted_only"
    """The booted release alone: a release that fell back looks like one that was never armed."""
    ENGINE_REPORT = "engine_report"
    """The engine's own report of a failed switch, beside the booted release."""


@dataclass(frozen=True, slots=True)
class EngineTraits:
    """The abilities of an engine, as data. The defaults are those of plain OSTree.

    The agent decides by these and never by an engine's name.
    """

    stages_locked: bool = True
    """Whether a staged release stays out of the next boot until it is armed; where not, staging *is* arming."""
    can_disarm: bool = True
    """Whether arming can be taken back."""
    can_rollback: bool = True
    """Whether the next boot can be led to an earlier release that is still on the host."""
    can_discard: bool = True
    """Whether a staged release can be dropped."""
    reboots: RebootOwner = RebootOwner.AGENT
    """Who reboots. An engine that reboots does so from within ``arm``, or soon after."""
    evidence: Evidence = Evidence.BOOT_ENTRIES
    """The proof that decides the outcome of an attempt."""
    reboot_kinds: frozenset[RebootKind] = frozenset({RebootKind.REBOOT})
    """The kinds of reboot that lead into an armed release."""
    arm_timeout_secs: float = 110.0
    """How long ``arm`` may take. For OSTree: writing boot entries and syncing the disks, on slow ones."""
    updates_offline: bool = False
    """Whether a boot in between applies the release, before the one that runs it (``system-update.target``)."""


DEFAULT_TRAITS = EngineTraits()


@dataclass(frozen=True, slots=True)
class Deployment:
    """A release that is present on this host."""

    version: str
    payload: str


@dataclass(frozen=True, slots=True)
class StagedDeployment(Deployment):
    """A release that is ready to be booted.

    ``locked``: it stays out of the next boot until it is armed. An unlocked one is applied by the next
    shutdown, whatever its cause.
    """

    locked: bool


@dataclass(frozen=True, slots=True)
class FinalizeFailure:
    """An engine's report that switching releases failed during a shutdown.

    ``payload`` is the release that was to be switched to, and ``at`` the time of the failure; None where the engine
    cannot tell. With them an old report is not taken for that of a later attempt.
    """

    message: str
    payload: str | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """The engine's view of the host, read afresh at each call.

    ``entries`` are the releases that have a boot entry, the boot loader's default first, the booted one among them;
    a staged release has none yet. ``finalize_failure`` is the engine's report of a switch that failed, or None.
    ``stream`` is the stream that the booted release's origin names, or None. ``rollback`` is the release that
    :meth:`Engine.rollback` accepts, or None where there is none. ``fell_back`` is the payload of the release that the
    boot loader tried and gave up, as an engine reports it whose evidence that is; else None.
    ``booted_by_current_menu``: whether the boot loader read ``entries`` when it started this system, rather than the
    menu from before the last switch; None where the engine cannot tell. After a power cut the kernel may find a menu
    that the boot loader has never seen, since only the kernel replays a file system's journal.
    """

    engine: str
    booted: Deployment
    staged: StagedDeployment | None
    entries: tuple[Deployment, ...]
    finalize_failure: FinalizeFailure | None
    stream: str | None = None
    rollback: Deployment | None = None
    traits: EngineTraits = DEFAULT_TRAITS
    fell_back: str | None = None
    booted_by_current_menu: bool | None = None

    @property
    def next_boot(self) -> str:
        """The payload that a reboot at this moment would lead to."""
        if self.staged is not None and not self.staged.locked:
            return self.staged.payload
        return self.entries[0].payload if self.entries else self.booted.payload

    def has_staged(self, payload: str) -> bool:
        """Whether ``payload`` is the staged release."""
        return self.staged is not None and self.staged.payload == payload


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest release on the source that the booted release follows; both have an ``age_index`` in one order.

    ``end_of_life`` is the publisher's reason why nothing will follow ``newest``; None where it gives none.
    """

    booted: Release
    newest: Release
    end_of_life: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a staging. ``fraction`` is 0.0 to 1.0, or None while the total is unknown."""

    step: str
    fraction: float | None
    transferred_bytes: int


ProgressSink = Callable[[Progress], None]


class Engine(Protocol):
    """The verbs. All raise :class:`~tidegate.errors.TidegateError` of an ``engine.*`` kind and leave the host bootable.

    Every verb is idempotent: repeating one that has succeeded succeeds and changes nothing. A verb that the traits
    exclude raises ``engine.unsupported-verb``.
    """

    @property
    def name(self) -> str:
        """The engine's name in configuration, metrics and logs."""
        ...

    @property
    def traits(self) -> EngineTraits:
        """The engine's abilities; the same as in its status."""
        ...

    async def status(self) -> EngineStatus:
        """Return what is booted, staged and bootable now."""
        ...

    async def latest(self) -> Latest:
        """Ask the source that the booted release follows for its newest release, without any change to the host.

        Raises:
            TidegateError: ``engine.unsupported-verb`` where this engine follows no source of its own.
        """
        ...

    async def stage(self, release: Release, progress: ProgressSink) -> None:
        """Download and prepare ``release``, locked where the engine can; one that is booted or staged is not fetched.

        ``release.metadata`` comes from its source; engines may find an address, a size or a digest in it.
        """
        ...

    async def arm(self, payload: str) -> None:
        """Let the next boot lead to the staged release ``payload``."""
        ...

    async def disarm(self, payload: str) -> None:
        """Take arming back: the next boot leads to the booted release again. What was downloaded is kept."""
        ...

    async def discard(self, payload: str) -> None:
        """Drop the staged release ``payload``; do nothing when another or none is staged."""
        ...

    async def prune_rollback(self) -> None:
        """Delete releases that are neither booted nor staged, to free space."""
        ...

    async def rollback(self, payload: str) -> None:
        """Let the next boot lead to ``payload``, the release that the status has as ``rollback``, and verify that.

        Raises:
            TidegateError: ``engine.no-rollback`` where that release is not available as rollback.
        """
        ...

    async def mark_good(self, payload: str) -> None:
        """Confirm the booted release ``payload`` to the boot loader where it counts attempts."""
        ...
