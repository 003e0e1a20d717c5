"""Run the engine's verbs one at a time, and let a staging outlive the caller that requested it.

A staging takes minutes to hours, and its caller may exit in the meantime (the agent is restarted, killed, upgraded).
The orphaned staging continues: the agent returns within seconds and requests the same release, which joins it, so that
nothing is fetched twice. Any other request has priority over an orphaned staging, which is stopped for it. What was
fetched stays on disk.
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
"""Called with the payload that is being staged, and its progress."""

_log = logging.getLogger(__name__)


class Jobs:
    """Runs the verbs that change the host, one at a time."""

    def __init__(self, idle: Idle, progress: ProgressOf) -> None:
        self._idle = idle
        self._progress = progress
        self._verb: str | None = None
        self._staging: _Staging | None = None
        self._closing = False

    @property
    def under_way(self) -> str:
        """The running verb, for people; empty when none runs."""
        if self._verb is not None:
            return self._verb
        return f"stage {self._staging.release.version}" if self._staging is not None else ""

    async def run(self, verb: str, job: Callable[[], Awaitable[T]]) -> T:
        """Run ``job``, the verb ``verb``, while no other runs.

        Raises:
            TidegateError: ``engine.busy`` while another verb runs; any error of the job.
        """
        await self._make_way(verb)
        self._verb = verb
        try:
            with self._idle.busy():
                return await job()
        finally:
            self._verb = None

    async def stage(self, engine: Engine, release: Release) -> None:
        """Stage ``release``, or join the staging of it that runs. It continues when a caller is cancelled.

        Raises:
            TidegateError: ``engine.busy`` while another verb runs; ``engine.cancelled``; any error of the engine.
        """
        if self._staging is None or self._staging.release.payload != release.payload:
            await self._make_way("stage")
            self._staging = _Staging(release, self._stage(engine, release), self._forget)
        await self._staging.wait()

    async def cancel_stage(self) -> None:
        """Stop the running staging, if any, and wait for its end."""
        if self._staging is not None:
            await self._staging.stop()

    async def close(self) -> None:
        """Stop the running staging and refuse others: the process is about to exit."""
        self._closing = True
        await self.cancel_stage()

    async def _stage(self, engine: Engine, release: Release) -> None:
        with self._idle.busy():
            await engine.stage(release, lambda progress: self._progress(release.payload, progress))

    async def _make_way(self, verb: str) -> None:
        """Return when no verb runs; none can start before the caller's next await."""
        while self._staging is not None and self._staging.orphaned:
            _log.info("%s is stopped for %s: its caller has disconnected", self.under_way, verb)
            await self._staging.stop()
        if under_way := self.under_way:
            raise TidegateError(
                ErrorKind.ENGINE_BUSY,
                f"{verb} has to wait: {under_way} is under way",
                f"try again when {under_way} has ended",
            )
        if self._closing and verb == "stage":
            raise TidegateError(ErrorKind.ENGINE_BUSY, "the engine helper is about to exit", "try again at once")

    def _forget(self) -> None:
        self._staging = None


class _Staging:
    """A staging in a task of its own, and the number of callers that wait for it."""

    def __init__(self, release: Release, work: Coroutine[None, None, None], ended: Callable[[], None]) -> None:
        self.release = release
        self._waiting = 0
        self._work = asyncio.create_task(work)
        self._work.add_done_callback(lambda work: self._on_end(work, ended))

    @property
    def orphaned(self) -> bool:
        """Whether no caller waits for it."""
        return self._waiting == 0

    async def wait(self) -> None:
        """Wait for its end and raise its error; ``engine.cancelled`` when it was stopped."""
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
        """Cancel it and wait for its end."""
        self._work.cancel()
        await asyncio.wait([self._work])

    def _on_end(self, work: asyncio.Future[None], ended: Callable[[], None]) -> None:
        """Called before any waiting caller resumes."""
        ended()
        if work.cancelled():
            return
        if self.orphaned and (error := work.exception()) is not None:
            _log.warning("the staging of %s failed after its caller had disconnected: %s", self.release.version, error)
