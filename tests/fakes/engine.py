"""A fake engine over a host that exists in memory only; without other traits it behaves as a booted OSTree host.

:class:`FakeHost` is what survives processes: disk, boot entries, the remote that it may fetch from, and
the boots that it has been through. :class:`FakeEngine` is one process's view of it; make a new one after
every "restart" of an agent or helper. Scenarios steer the host (``publish``, ``reboot``, ``power_cut`` ...)
and the engine (``traits``, ``fail``, ``hold``, ``slow``, ``lie``).
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import uuid
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tidegate.engines.base import (
    DEFAULT_TRAITS,
    Deployment,
    EngineStatus,
    EngineTraits,
    FinalizeFailure,
    Latest,
    Progress,
    ProgressSink,
    RebootOwner,
    StagedDeployment,
)
from tidegate.errors import ErrorKind, TidegateError
from tidegate.release import Release
from tidegate.system.boot import BootInstance

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

PIECE_BYTES = 1_000_000
RELEASE_BYTES = 4 * PIECE_BYTES
FREE_BYTES = 100 * PIECE_BYTES


def payload_of(version: str) -> str:
    """A payload as OSTree has them (64 hex digits), always the same for one version."""
    return hashlib.sha256(version.encode()).hexdigest()


def release(version: str, age_index: int | None = None) -> Release:
    """The release ``version``, with the payload that fakes know it by."""
    return Release(version, payload_of(version), age_index)


def deployment(version: str) -> Deployment:
    """The release ``version`` as it shows on a host."""
    return Deployment(version, payload_of(version))


class FakeHost:
    """A host that has booted ``version`` and no other release yet.

    With a ``seed`` the ids of its boots, and so whatever an agent draws from them, are the same in every run.
    """

    def __init__(self, version: str = "1", *, seed: int | None = None) -> None:
        self._chance = random.Random(seed)
        self.entries: list[Deployment] = [deployment(version)]
        self.booted = self.entries[0]
        self.staged: StagedDeployment | None = None
        self.finalize_failure: FinalizeFailure | None = None
        self.marked_good: set[str] = set()
        self.boots: list[BootInstance] = []
        self._note_boot()

        self.remote: dict[str, int] = {}
        self.remote_down = False
        self.branch: list[Release] = [release(version, 1)]
        self.end_of_life: str | None = None
        self.free_bytes = FREE_BYTES
        self.on_disk: dict[str, int] = defaultdict(int, {self.booted.payload: RELEASE_BYTES})
        self.transferred_bytes = 0

        self.current_menu = True
        self._next_finalize_failure: FinalizeFailure | None = None

    @property
    def boot(self) -> BootInstance:
        """The boot that the host is in."""
        return self.boots[-1]

    def publish(self, version: str, size_bytes: int = RELEASE_BYTES) -> Release:
        """Offer a release at the remote, the newest of its branch; returns it."""
        self.remote[payload_of(version)] = size_bytes
        self.branch.append(release(version, len(self.branch) + 1))
        return release(version)

    def stage_by_hand(self, version: str, *, locked: bool = False) -> None:
        """What ``ostree admin deploy --stage`` by a person does behind the agent's back."""
        self.on_disk[payload_of(version)] = RELEASE_BYTES
        self.staged = StagedDeployment(version, payload_of(version), locked)

    def fail_next_finalize(self, reason: str) -> None:
        """Let the switch at the next clean shutdown fail: the old release boots, the engine knows why."""
        self._next_finalize_failure = FinalizeFailure(reason)

    def reboot(self, into: str | None = None) -> None:
        """A clean shutdown and a boot; ``into``: a version that the boot loader takes, not its default."""
        self._finalize()
        self._come_up(into)
        self._note_boot()

    def soft_reboot(self) -> None:
        """Userspace alone starts anew: the boot id stays, the count moves."""
        self._finalize()
        self._come_up(None)
        self.boots.append(replace(self.boot, soft_reboots=self.boot.soft_reboots + 1))

    def power_cut(self, into: str | None = None) -> None:
        """The plug: nothing that a shutdown would have done happens, what was staged in /run is gone."""
        self.finalize_failure = None
        self._come_up(into)
        self._note_boot()

    def cut_amid_the_switch(self) -> None:
        """The plug between the switch and its way to the disk: the boot loader reads the menu from before."""
        menu = self.entries
        self._finalize()
        self.staged = None
        self.booted, self.current_menu = menu[0], menu == self.entries
        self._note_boot()

    def _note_boot(self) -> None:
        self.boots.append(BootInstance(str(uuid.UUID(int=self._chance.getrandbits(128), version=4))))

    def _finalize(self) -> None:
        failure, self._next_finalize_failure = self._next_finalize_failure, None
        staged = self.staged
        self.finalize_failure = None
        if staged is None or staged.locked:
            return
        if failure is not None:
            self.finalize_failure = failure
            return
        new = Deployment(staged.version, staged.payload)
        self.entries = [new, self.booted] if new != self.booted else [new]

    def _come_up(self, into: str | None) -> None:
        self.staged, self.current_menu = None, True
        wanted = self.entries[0].payload if into is None else payload_of(into)
        self.booted = next(entry for entry in self.entries if entry.payload == wanted)


@dataclass(frozen=True, slots=True)
class Call:
    """One use of a verb, as the engine saw it."""

    verb: str
    payload: str = ""


class Hold:
    """A verb that has been stopped on its way: wait for ``reached``, look around, ``release``."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self._released = asyncio.Event()

    def release(self) -> None:
        """Let the verb go on."""
        self._released.set()

    async def pass_through(self) -> None:
        """Called by the verb."""
        self.reached.set()
        await self._released.wait()


class FakeEngine:
    """Implements :class:`tidegate.engines.base.Engine` over a :class:`FakeHost`, within its ``traits``.

    What the traits exclude raises ``engine.unsupported-verb``. An engine that stages unlocked leaves a staged release
    to any shutdown; one that reboots calls ``reboot`` from within whatever arms. :meth:`slow` waits with ``sleep``.
    """

    def __init__(
        self,
        host: FakeHost,
        *,
        name: str = "ostree",
        traits: EngineTraits = DEFAULT_TRAITS,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        reboot: Callable[[], None] | None = None,
    ) -> None:
        self.host = host
        self._reboot = reboot or host.reboot
        self.calls: list[Call] = []
        self.releases: list[Release] = []
        """What ``stage`` was called with, metadata included."""
        self._name = name
        self._traits = traits
        self._sleep = sleep
        self._failures: defaultdict[str, list[Exception]] = defaultdict(list)
        self._holds: dict[str, Hold] = {}
        self._slow_secs: dict[str, float] = {}
        self._lies: set[str] = set()

    def fail(self, verb: str, error: Exception) -> None:
        """Let the next use of ``verb`` raise ``error`` before it changes anything; several queue up."""
        self._failures[verb].append(error)

    def slow(self, verb: str, secs: float) -> None:
        """Let every use of ``verb`` take ``secs`` before it does its work."""
        self._slow_secs[verb] = secs

    def lie(self, verb: str) -> None:
        """Let ``verb`` (``arm``, ``disarm`` or ``rollback``) succeed from now on without any effect."""
        if verb not in {"arm", "disarm", "rollback"}:
            raise ValueError(f"{verb} cannot lie")
        self._lies.add(verb)

    def be_honest(self) -> None:
        """Let every verb do its work again."""
        self._lies.clear()

    @contextmanager
    def hold(self, verb: str) -> Generator[Hold]:
        """Stop ``verb`` half-way (``stage``: after its first piece) while the context lasts."""
        hold = self._holds[verb] = Hold()
        try:
            yield hold
        finally:
            del self._holds[verb]
            hold.release()

    @property
    def name(self) -> str:
        return self._name

    @property
    def traits(self) -> EngineTraits:
        return self._traits

    async def status(self) -> EngineStatus:
        await self._begin("status")
        host = self.host
        return EngineStatus(
            self._name,
            host.booted,
            host.staged,
            tuple(host.entries),
            host.finalize_failure,
            rollback=self._previous() if self._traits.can_rollback else None,
            traits=self._traits,
            booted_by_current_menu=host.current_menu,
        )

    async def latest(self) -> Latest:
        await self._begin("latest")
        host = self.host
        if host.remote_down:
            raise TidegateError(ErrorKind.ENGINE_REMOTE_DOWN, "the remote does not answer", "wait")
        booted = next(known for known in host.branch if known.payload == host.booted.payload)
        return Latest(booted, host.branch[-1], host.end_of_life)

    async def stage(self, release: Release, progress: ProgressSink) -> None:
        self.releases.append(release)
        await self._begin("stage", release.payload, reach=False)
        host = self.host
        if release.payload in {host.booted.payload, host.staged.payload if host.staged else ""}:
            return
        if host.staged is not None and not host.staged.locked:
            raise TidegateError(
                ErrorKind.ENGINE_FOREIGN_STAGING,
                f"release {host.staged.version} is staged, unlocked, and not by tidegate",
                "reboot into it, or drop it with `ostree admin undeploy 0`",
            )
        await self._fetch(release, progress)
        host.staged = StagedDeployment(release.version, release.payload, locked=self._traits.stages_locked)
        if not self._traits.stages_locked:
            self._armed()

    def _armed(self) -> None:
        if self._traits.reboots is RebootOwner.ENGINE:
            self._reboot()

    async def arm(self, payload: str) -> None:
        await self._begin("arm", payload)
        staged = self._staged(payload)
        if "arm" in self._lies:
            return
        self.host.staged = replace(staged, locked=False)
        self._armed()

    async def disarm(self, payload: str) -> None:
        self._require("disarm", able=self._traits.can_disarm)
        await self._begin("disarm", payload)
        host = self.host
        if "disarm" in self._lies:
            return
        if host.staged is not None and host.staged.payload == payload:
            host.staged = replace(host.staged, locked=True) if self._traits.stages_locked else None
        elif host.entries[0].payload == payload:
            host.entries.sort(key=lambda entry: entry != host.booted)

    async def discard(self, payload: str) -> None:
        self._require("discard", able=self._traits.can_discard)
        await self._begin("discard", payload)
        if self.host.staged is not None and self.host.staged.payload == payload:
            self.host.staged = None

    async def prune_rollback(self) -> None:
        await self._begin("prune_rollback")
        host = self.host
        unused = [entry for entry in host.entries if entry != host.booted]
        host.entries = [host.booted]
        for entry in unused:
            host.on_disk.pop(entry.payload, None)

    async def rollback(self, payload: str) -> None:
        self._require("rollback", able=self._traits.can_rollback)
        await self._begin("rollback", payload)
        host, previous = self.host, self._previous()
        if previous is None or previous.payload != payload:
            raise TidegateError(ErrorKind.ENGINE_NO_ROLLBACK, f"release {payload} is not available as rollback")
        if "rollback" in self._lies:
            return
        host.staged = None
        host.entries.sort(key=lambda entry: entry != previous)
        self._armed()

    async def mark_good(self, payload: str) -> None:
        await self._begin("mark_good", payload)
        if payload != self.host.booted.payload:
            raise TidegateError(ErrorKind.ENGINE_UNKNOWN_RELEASE, f"release {payload} is not booted")
        self.host.marked_good.add(payload)

    async def _begin(self, verb: str, payload: str = "", *, reach: bool = True) -> None:
        self.calls.append(Call(verb, payload))
        if self._failures[verb]:
            raise self._failures[verb].pop(0)
        if verb in self._slow_secs:
            await self._sleep(self._slow_secs[verb])
        if reach:
            await self._reach(verb)

    def _require(self, verb: str, *, able: bool) -> None:
        if not able:
            raise TidegateError(ErrorKind.ENGINE_UNSUPPORTED_VERB, f"the engine {self._name} cannot {verb}")

    def _previous(self) -> Deployment | None:
        return next((entry for entry in self.host.entries if entry != self.host.booted), None)

    async def _reach(self, verb: str) -> None:
        if verb in self._holds:
            await self._holds[verb].pass_through()

    async def _fetch(self, release: Release, progress: ProgressSink) -> None:
        """Fetch what is missing, piece by piece; what has arrived stays when the rest fails."""
        host = self.host
        size = self._size(release)
        while host.on_disk[release.payload] < size:
            if host.remote_down:
                raise TidegateError(ErrorKind.ENGINE_REMOTE_DOWN, "the remote does not answer")
            piece = min(PIECE_BYTES, size - host.on_disk[release.payload])
            host.on_disk[release.payload] += piece
            host.transferred_bytes += piece
            done = host.on_disk[release.payload]
            progress(Progress("fetching", done / size, done))
            await self._reach("stage")
            await asyncio.sleep(0)

    def _size(self, release: Release) -> int:
        host = self.host
        present = host.on_disk.get(release.payload, 0)
        if release.payload not in host.remote and present < RELEASE_BYTES:
            raise TidegateError(
                ErrorKind.ENGINE_UNKNOWN_RELEASE,
                f"the remote has no release {release.version} ({release.payload})",
            )
        size = host.remote.get(release.payload, RELEASE_BYTES)
        if size - present > host.free_bytes:
            raise TidegateError(
                ErrorKind.ENGINE_NO_SPACE,
                f"release {release.version} needs {size - present} bytes, {host.free_bytes} are free",
                "free some space",
            )
        return size

    def _staged(self, payload: str) -> StagedDeployment:
        if self.host.staged is None or self.host.staged.payload != payload:
            raise TidegateError(ErrorKind.ENGINE_NOT_STAGED, f"release {payload} is not staged")
        return self.host.staged
