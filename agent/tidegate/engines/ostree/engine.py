"""The verbs of the ``ostree`` engine, which drives plain OSTree through its command.

Two classes with the same methods cover the difference between a booted host and a sysroot in a folder:
:class:`~.booted.BootedHost` and :class:`~.scratch.ScratchSysroot`. The order of the steps is here.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from tidegate.engines import boot_counting
from tidegate.engines.base import DEFAULT_TRAITS, EngineStatus, EngineTraits, Latest, Progress, ProgressSink
from tidegate.engines.ostree import room
from tidegate.engines.ostree.boot_order import delete, make_default
from tidegate.engines.ostree.booted import BootedHost
from tidegate.engines.ostree.cli import OstreeCli
from tidegate.engines.ostree.latest import read_latest
from tidegate.engines.ostree.limits import Limits
from tidegate.engines.ostree.pull import Jitter, Puller, Sleep
from tidegate.engines.ostree.scratch import ScratchSysroot
from tidegate.engines.ostree.source import Source, checked_payload, source_of, stream_of
from tidegate.engines.ostree.status import Listed
from tidegate.engines.ostree.survey import Survey, deployment_of, foreign_staging
from tidegate.errors import ErrorKind, TidegateError
from tidegate.release import Release

NAME = "ostree"
Place = BootedHost | ScratchSysroot


class OstreeEngine:
    """Drives one OSTree system; see :class:`~tidegate.engines.base.Engine` for the verbs.

    ``sleep`` and ``jitter`` (0.0 to 1.0) are for the back-off between attempts at a download. Verbs that change the
    host exclude each other: the second one fails at once with ``engine.busy``.
    """

    def __init__(self, place: Place, *, sleep: Sleep = asyncio.sleep, jitter: Jitter = random.random) -> None:
        self._place = place
        self._cli = place.cli
        self._puller = Puller(place.cli, sleep, jitter)
        self._under_way: str | None = None

    @classmethod
    def for_host(cls, limits: Limits | None = None) -> OstreeEngine:
        """Return the engine of the running system."""
        return cls(BootedHost(OstreeCli(limits=limits)))

    @classmethod
    def for_scratch(cls, sysroot: Path, booted: str | None = None, limits: Limits | None = None) -> OstreeEngine:
        """Return the engine of a sysroot in a folder; ``booted`` as in :class:`~.scratch.ScratchSysroot`."""
        return cls(ScratchSysroot(OstreeCli(sysroot, limits), booted))

    @property
    def name(self) -> str:
        """``ostree``."""
        return NAME

    @property
    def traits(self) -> EngineTraits:
        """The defaults, which are those of plain OSTree."""
        return DEFAULT_TRAITS

    async def status(self) -> EngineStatus:
        """Return what is booted, staged and bootable now."""
        survey = await self._place.survey()
        earlier = await self._rollback_of(survey)
        return EngineStatus(
            engine=NAME,
            booted=deployment_of(survey.booted),
            staged=survey.staged,
            entries=tuple(deployment_of(entry) for entry in survey.entries),
            finalize_failure=await self._place.finalize_failure(),
            stream=stream_of(survey.booted),
            rollback=None if earlier is None else deployment_of(earlier),
            traits=self.traits,
            booted_by_current_menu=self._place.booted_by_current_menu(),
        )

    async def latest(self) -> Latest:
        """Ask the remote for the newest commit of the booted branch. No ref moves; a staging may be running."""
        booted = (await self._place.survey()).booted
        source = source_of(booted)
        async with self._deadline(f"asking {source.remote} for {source.ref}", self._cli.limits.latest_secs):
            return await read_latest(self._cli, source, booted)

    async def stage(self, release: Release, progress: ProgressSink) -> None:
        """Fetch and stage ``release``, locked. Where others have staged it already, it is adopted and locked."""
        payload = checked_payload(release.payload)
        async with self._exclusive("stage"), self._deadline(f"staging {payload}", self._cli.limits.stage_secs):
            survey = await self._place.survey()
            if payload == survey.booted.checksum:
                return
            if survey.staged and survey.staged.payload == payload:
                progress(Progress("adopt" if not survey.staged.locked else "stage", None, 0))
                await self._place.secure(payload)
                return
            if survey.staged and (refusal := foreign_staging(survey.staged, release.version)):
                raise refusal
            await self._stage_anew(payload, survey, progress)

    async def arm(self, payload: str) -> None:
        """Let the next boot lead to the staged ``payload``."""
        async with self._exclusive("arm"):
            await self._place.arm(checked_payload(payload))

    async def disarm(self, payload: str) -> None:
        """Let the next boot lead to the booted release again, also where ``payload`` has a boot entry already."""
        async with self._exclusive("disarm"):
            await self._place.disarm(checked_payload(payload))

    async def discard(self, payload: str) -> None:
        """Drop the staged ``payload`` and those of its objects that nothing else uses."""
        async with self._exclusive("discard"):
            survey = await self._place.survey()
            await self._place.discard(checked_payload(payload), source_of(survey.booted))

    async def prune_rollback(self) -> None:
        """Delete entries of this OS that are neither booted, staged nor pinned by an operator."""
        async with self._exclusive("prune_rollback"):
            survey = await self._place.survey()
            await delete(self._cli, survey.entries, survey.unused)

    async def rollback(self, payload: str) -> None:
        """Make ``payload``, the release that was booted before, the default of the boot loader, and verify that.

        Raises:
            TidegateError: ``engine.no-rollback`` when that release is not available as rollback;
                ``engine.foreign-staging`` when an unlocked staging would win over it.
        """
        async with self._exclusive("rollback"):
            target = await self._rollback_target(checked_payload(payload), await self._place.survey())
            await self._place.drop_staged(f"the rollback to {target.version}")
            await self._make_default(target.deployment_name)
            survey = await self._place.survey()
            if survey.next_boot != payload:
                raise _not_rolled_back(target, survey)

    async def mark_good(self, payload: str) -> None:
        """Confirm ``payload``, the booted release, to a boot loader that counts attempts."""
        survey = await self._place.survey()
        if checked_payload(payload) != survey.booted.checksum:
            raise _not_the_booted(payload, survey)
        if isinstance(self._place, BootedHost):
            await boot_counting.mark_good(self._cli.limits.query_secs)

    async def _stage_anew(self, payload: str, survey: Survey, progress: ProgressSink) -> None:
        source = source_of(survey.booted)
        if not await self._is_pulled(source, payload):
            await self._fetch(source, payload, progress)
        progress(Progress("stage", None, 0))
        if isinstance(self._place, BootedHost):
            await room.check_boot(self._cli, self._place.boot, survey, payload)
        await self._place.stage(payload, source)

    async def _is_pulled(self, source: Source, payload: str) -> bool:
        """Whether it was pulled completely through this branch, and so verified; then the network is not needed."""
        return await self._cli.resolve(source.refspec) == payload and self._cli.is_complete(payload)

    async def _fetch(self, source: Source, payload: str, progress: ProgressSink) -> None:
        progress(Progress("metadata", None, 0))
        await self._puller.fetch_metadata(source, payload)
        await room.check_repository(self._cli, source, payload)
        await self._puller.fetch_content(source, payload, progress)

    async def _make_default(self, deployment_name: str) -> None:
        """Find the entry again before its index is used: indexes move when a staging is dropped."""
        survey = await self._place.survey()
        entry = next(entry for entry in survey.entries if entry.deployment_name == deployment_name)
        if entry != survey.default:
            await make_default(self._cli, survey.entries, entry)

    async def _rollback_target(self, payload: str, survey: Survey) -> Listed:
        """The entry of ``payload``, if a rollback leads there or has been made already."""
        if survey.default.checksum == payload != survey.booted.checksum:
            return survey.default
        target = await self._rollback_of(survey)
        if target is None or target.checksum != payload:
            raise _no_rollback(payload, target, survey)
        return target

    async def _rollback_of(self, survey: Survey) -> Listed | None:
        """The release that a rollback leads to."""
        return await self._rolled_back_already(survey) or survey.earlier

    async def _rolled_back_already(self, survey: Survey) -> Listed | None:
        """The default, if a rollback made it that; a newer default is an update that this boot fell back from."""
        if survey.default.checksum == survey.booted.checksum:
            return None
        default, booted = survey.default, survey.booted
        older = await self._cli.date_of(default.checksum) <= await self._cli.date_of(booted.checksum)
        return default if older else None

    @asynccontextmanager
    async def _exclusive(self, verb: str) -> AsyncGenerator[None]:
        if self._under_way is not None:
            raise _busy(verb, self._under_way)
        self._under_way = verb
        try:
            yield
        finally:
            self._under_way = None

    @asynccontextmanager
    async def _deadline(self, doing: str, limit_secs: float) -> AsyncGenerator[None]:
        try:
            async with asyncio.timeout(limit_secs):
                yield
        except TimeoutError:
            raise _too_long(doing, limit_secs) from None


def _busy(verb: str, under_way: str) -> TidegateError:
    return TidegateError(
        ErrorKind.ENGINE_BUSY,
        f"{verb} has to wait: {under_way} is under way",
        f"try again when {under_way} has ended",
    )


def _too_long(doing: str, limit_secs: float) -> TidegateError:
    return TidegateError(
        ErrorKind.ENGINE_TIMEOUT,
        f"{doing} took longer than {limit_secs:g} s and was stopped",
        "it is tried again; what was fetched of a release is kept until the next boot and not fetched twice",
    )


def _no_rollback(payload: str, actual: Listed | None, survey: Survey) -> TidegateError:
    if actual is None:
        why = f"there is no earlier release on this host than the booted {survey.booted.version}"
    else:
        why = f"{payload} is not available as rollback: that is {actual.version} ({actual.checksum})"
    remedy = "stage an older release instead; pin releases to keep with `ostree admin pin INDEX`"
    return TidegateError(ErrorKind.ENGINE_NO_ROLLBACK, why, remedy)


def _not_rolled_back(target: Listed, survey: Survey) -> TidegateError:
    return TidegateError(
        ErrorKind.ENGINE_FAILED,
        f"{target.version} was made the default, and the next boot leads to {survey.next_boot} all the same",
        "see `ostree admin status`",
    )


def _not_the_booted(payload: str, survey: Survey) -> TidegateError:
    return TidegateError(
        ErrorKind.ENGINE_BAD_ARGUMENT,
        f"{payload} cannot be marked good: {survey.booted.checksum} is booted",
        "only the booted release can be confirmed",
    )
