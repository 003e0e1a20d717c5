"""What every engine offers, and what it tells about the host.

An engine downloads, stages and switches releases. The agent talks to this protocol and nothing else: in production the
other side is the root helper on the bus (:mod:`tidegate.engines.remote`), on scratch sysroots and in tests the engine
runs in process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from tidegate.reboot import RebootKind
from tidegate.release import Release


class RebootOwner(StrEnum):
    """Who reboots into an armed release."""

    AGENT = "agent"
    ENGINE = "engine"


class Evidence(StrEnum):
    """What tells after a boot whether the boot loader had the new release to choose."""

    BOOT_ENTRIES = "boot_entries"
    """The boot entries: what has one was armed."""

    BOOTED_ONLY = "booted_only"
    """Nothing but what is booted: that an older release came up proves nothing against the newer one."""

    ENGINE_REPORT = "engine_report"
    """The engine's own account of the last boots."""


@dataclass(frozen=True, slots=True)
class EngineTraits:
    """What an engine can and cannot do, as data. The defaults are those of ostree.

    ``stages_locked``: staging changes nothing that the next boot uses; without it, staging is arming. ``can_disarm``,
    ``can_rollback``, ``can_discard``: the verbs have an effect. ``reboots``: who reboots into an armed release; an
    engine that does it does so when it arms. ``arm_timeout_secs``: how long arming takes at most. ``updates_offline``:
    the update is made in a boot of its own, before the one into the release.
    """

    stages_locked: bool = True
    can_disarm: bool = True
    can_rollback: bool = True
    can_discard: bool = True
    reboots: RebootOwner = RebootOwner.AGENT
    evidence: Evidence = Evidence.BOOT_ENTRIES
    reboot_kinds: frozenset[RebootKind] = frozenset({RebootKind.REBOOT})
    arm_timeout_secs: float = 120.0
    updates_offline: bool = False


@dataclass(frozen=True, slots=True)
class FinalizeFailure:
    """A switch that failed during a shutdown: of which release, and when, as far as the engine can tell."""

    message: str
    payload: str | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """A release that is present on this host."""

    version: str
    payload: str


@dataclass(frozen=True, slots=True)
class StagedDeployment(Deployment):
    """A release that is ready to be booted.

    ``locked``: it stays out of the next boot until it is armed. An unlocked one is applied by any shutdown, whoever
    asks for it.
    """

    locked: bool


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """What the engine knows about the host, read afresh at each call.

    ``entries`` are the releases that have a boot entry, the boot loader's default first, the booted one among them;
    a staged release has none yet. ``finalize_failure`` is the engine's own account of a switch that failed during the
    last shutdown, or None. ``stream`` is what the booted release's origin calls the stream that it belongs to, where
    there is one. ``rollback`` is the release to which :meth:`Engine.rollback` would lead, or None where there is none.
    """

    engine: str
    booted: Deployment
    staged: StagedDeployment | None
    entries: tuple[Deployment, ...]
    finalize_failure: FinalizeFailure | None
    stream: str | None = None
    rollback: Deployment | None = None
    traits: EngineTraits = EngineTraits()
    fell_back: str | None = None

    @property
    def next_boot(self) -> str:
        """The payload that a reboot at this moment would lead to."""
        if self.staged is not None and not self.staged.locked:
            return self.staged.payload
        return self.entries[0].payload if self.entries else self.booted.payload


@dataclass(frozen=True, slots=True)
class Latest:
    """What the source that the booted release follows has to offer, both releases with an ``age_index`` of one order.

    ``end_of_life`` is the publisher's word that nothing will come after ``newest``, with the reason; None where it does
    not say so.
    """

    booted: Release
    newest: Release
    end_of_life: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a staging is. ``fraction`` is 0.0 to 1.0, or None while the whole is unknown."""

    step: str
    fraction: float | None
    transferred_bytes: int


ProgressSink = Callable[[Progress], None]


class Engine(Protocol):
    """The verbs. All raise :class:`~tidegate.errors.TidegateError` of an ``engine.*`` kind and leave the host bootable.

    Every verb is idempotent: doing it again when it is done already succeeds and changes nothing.
    """

    @property
    def name(self) -> str:
        """The engine's name in configuration, metrics and logs."""
        ...

    @property
    def reboot_owner(self) -> RebootOwner:
        """Who reboots into an armed release."""
        ...

    async def status(self) -> EngineStatus:
        """What is booted, staged and bootable now."""
        ...

    async def latest(self) -> Latest:
        """Ask the source that the booted release follows for its newest release: facts only, and no trace is left.

        Raises:
            TidegateError: ``engine.unsupported-verb`` where this engine follows no source of its own.
        """
        ...

    async def stage(self, release: Release, progress: ProgressSink) -> None:
        """Download and prepare ``release``, locked. A release that is booted or staged already is not fetched again."""
        ...

    async def arm(self, payload: str) -> None:
        """Let the next boot lead to the staged release ``payload``."""
        ...

    async def disarm(self, payload: str) -> None:
        """Take arming back: the next boot leads to the booted release again. What was downloaded is kept."""
        ...

    async def discard(self, payload: str) -> None:
        """Drop the staged release ``payload``; nothing happens when another or none is staged."""
        ...

    async def prune_rollback(self) -> None:
        """Delete releases that are neither booted nor staged, to free space."""
        ...

    async def rollback(self, payload: str) -> None:
        """Let the next boot lead to ``payload``, the release that was booted before."""
        ...

    async def mark_good(self, payload: str) -> None:
        """Confirm the booted release ``payload`` to the boot loader where it counts attempts."""
        ...
