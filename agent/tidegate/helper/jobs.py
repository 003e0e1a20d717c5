"""One thing at a time: which verb may run now, and what becomes of a staging that nobody waits for any more.

Stagings take minutes to hours, and who asked for one may die in the meantime (the agent is restarted, killed, updated).
Such an orphan goes on: the agent comes back within seconds and asks for the same release again, which joins it, so that
nothing is fetched twice. Anything else that is asked for in the meantime is more wanted than a staging that nobody
waits for: the orphan is stopped then. What it has fetched stays on disk.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import TypeVar

from tidegate.engines.base import Engine, Progress
from tidegate.errors import ErrorKind, TidegateError
from tidegate.helper.idle import Idle
from tidegate.release import Release

T = TypeVar("T")

ProgressOf = Callable[[str, Progress], None]
"""Told of the payload and how far it is."""

_log = logging.getLogger(__name__)


class Jobs:
    """Runs the verbs that change something, one after another."""

    def __init__(self, idle: Idle, progress: ProgressOf) -> None:
        self._idle = idle
        self._progress = progress
        self._verb: str | None = None
        self._staging: _Staging | None = None
        self._closing = False

    @property
    def under_way(self) -> str:
        """What runs, in a few words; empty when nothing does."""
        if self._verb is not None:
            return self._verb
        return f"stage {self._staging.release.version}" if self._staging is not None else ""

    async def run(self, verb: str, job: Callable[[], Awaitable[T]]) -> T:
        """Run ``job`` alone.

        Raises:
            TidegateError: ``engine.busy`` while something else runs; whatever the job raises.
        """
        await self._make_way(verb)
        self._verb = verb
        try:
            with self._idle.busy():
                return await job()
        finally:
            self._verb = None

    async def stage(self, engine: Engine, release: Release) -> None:
        """Stage ``release``, or wait with those who wait for it already. A cancelled caller leaves it running.

        Raises:
            TidegateError: ``engine.busy`` while something else runs; ``engine.cancelled``; whatever the engine raises.
        """
        if self._staging is None or self._staging.release.payload != release.payload:
            await self._make_way("stage")
            self._staging = _Staging(release, self._stage(engine, release), self._forget)
        await self._staging.wait()

    async def cancel_stage(self) -> None:
        """Stop the staging that runs, if one does; it has ended when this returns."""
        if self._staging is not None:
            await self._staging.stop()

    async def close(self) -> None:
        """Stop staging, now and for good: the process ends."""
        self._closing = True
        await self.cancel_stage()

    async def _stage(self, engine: Engine, release: Release) -> None:
        with self._idle.busy():
            await engine.stage(release, lambda progress: self._progress(release.payload, progress))

    async def _make_way(self, verb: str) -> None:
        """Return only when nothing runs; nothing can begin between that and the caller's next line."""
        while self._staging is not None and self._staging.orphaned:
            _log.info("%s is stopped for %s: nobody waits for it any more", self.under_way, verb)
            await self._staging.stop()
        if under_way := self.under_way:
            raise TidegateError(
                ErrorKind.ENGINE_BUSY,
                f"{verb} has to wait: {under_way} is under way",
                f"try again when {under_way} has ended",
            )
        if self._closing and verb == "stage":
            raise TidegateError(ErrorKind.ENGINE_BUSY, "the engine helper is about to end", "try again at once")

    def _forget(self) -> None:
        self._staging = None


class _Staging:
    """A staging that runs by itself, and how many wait for it."""

    def __init__(self, release: Release, work: Coroutine[None, None, None], ended: Callable[[], None]) -> None:
        self.release = release
        self._waiting = 0
        self._work = asyncio.create_task(work)
        self._work.add_done_callback(lambda work: self._account(work, ended))

    @property
    def orphaned(self) -> bool:
        """Whether everybody who wanted it has gone."""
        return self._waiting == 0

    async def wait(self) -> None:
        """Wait for its end; raises what it raises, ``engine.cancelled`` when somebody stopped it."""
        self._waiting += 1
        try:
            await asyncio.wait([self._work])
        finally:
            self._waiting -= 1
        if self._work.cancelled():
            raise TidegateError(
                ErrorKind.ENGINE_CANCELLED,
                f"the staging of {self.release.version} was stopped",
                "what was fetched is kept; it goes on from there at the next attempt",
            )
        self._work.result()

    async def stop(self) -> None:
        """Stop it and wait until it has ended."""
        self._work.cancel()
        await asyncio.wait([self._work])

    def _account(self, work: asyncio.Future[None], ended: Callable[[], None]) -> None:
        """The first to hear of the end, before anybody who waits."""
        ended()
        if work.cancelled():
            return
        if self.orphaned and (error := work.exception()) is not None:
            _log.warning("the staging of %s, for which nobody waits any more, failed: %s", self.release.version, error)
