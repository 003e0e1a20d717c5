"""The check ``[[health.file]]``: a file exists, does not exist, or was written recently."""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from tidegate.clock import Clock
from tidegate.errors import ErrorKind, TidegateError
from tidegate.health.base import Weight
from tidegate.health.check import CheckResult
from tidegate.printable import duration, one_line

if TYPE_CHECKING:
    from tidegate.health.checks.file import FileCheck

STAT_TIMEOUT_SECS = 10.0
"""Enough for a disk that spins up, or a share that is mounted on demand."""

_SHOWN_CHARS = 200
_ABSENT = (FileNotFoundError, NotADirectoryError)
_SKEW_SECS = 2.0
"""File systems keep times in steps of up to two seconds (FAT)."""


class FileState:
    """The state of one file, as the user of this process sees it."""

    def __init__(self, check: FileCheck, clock: Clock) -> None:
        self.name = f"file/{check.name}"
        self.weight = Weight(check.weight)
        self._check = check
        self._clock = clock
        self._shown = one_line(check.path, _SHOWN_CHARS)
        self._stat = _Stat(check.path)

    async def run(self) -> CheckResult:
        """Compare the file's existence and age with what is configured."""
        try:
            written_secs = await self._stat.modified_secs()
        except _ABSENT:
            return CheckResult(self._check.state == "absent", f"there is no {self._shown}")
        except OSError as err:
            message = f"{self._shown} cannot be inspected: {err.strerror}"
            raise TidegateError(ErrorKind.HEALTH_UNREADABLE, message, "give the user tidegate access to it") from None
        if self._check.state == "absent":
            return CheckResult(passed=False, detail=f"{self._shown} exists")
        return self._by_age(self._clock.now().wall.timestamp() - written_secs)

    def _by_age(self, age_secs: float) -> CheckResult:
        most = self._check.max_age_secs
        if most is None:
            return CheckResult(passed=True, detail=f"{self._shown} exists")
        if age_secs < -_SKEW_SECS:
            ahead = duration(-age_secs)
            return CheckResult(
                passed=False, detail=f"{self._shown} was written {ahead} ahead of the clock, which is wrong"
            )
        fresh = age_secs <= most
        written = f"{self._shown} was written {duration(max(age_secs, 0))} ago"
        return CheckResult(fresh, written if fresh else f"{written}, more than {most} s")


class _Stat:
    """``stat`` in a thread, single-flight: on a dead network share the call never returns and cannot be cancelled.

    So there is at most one such thread for each file, and it is a daemon: the process does not wait for it.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._pending: asyncio.Future[float] | None = None

    async def modified_secs(self) -> float:
        """When the file was last written, in seconds since 1970.

        Raises:
            OSError: as of ``stat``.
            TidegateError: ``health.unreadable``; the kernel does not answer.
        """
        if self._pending is None or self._pending.done():
            self._pending = self._started()
        try:
            async with asyncio.timeout(STAT_TIMEOUT_SECS):
                return await asyncio.shield(self._pending)
        except TimeoutError:
            path = one_line(self._path, _SHOWN_CHARS)
            message = f"the kernel has not answered a stat of {path} for {STAT_TIMEOUT_SECS:g} s"
            raise TidegateError(ErrorKind.HEALTH_UNREADABLE, message, "look for a dead disk or share") from None

    def _started(self) -> asyncio.Future[float]:
        loop = asyncio.get_running_loop()
        result: asyncio.Future[float] = loop.create_future()
        result.add_done_callback(_retrieve_error)

        def resolve(found: float | OSError) -> None:
            if not result.done():
                result.set_exception(found) if isinstance(found, OSError) else result.set_result(found)

        def work() -> None:
            found: float | OSError
            try:
                found = os.stat(self._path).st_mtime  # noqa: PTH116 - a Path would be made for it alone
            except OSError as err:
                found = err
            with suppress(RuntimeError):  # the loop has been closed meanwhile
                loop.call_soon_threadsafe(resolve, found)

        threading.Thread(target=work, name="stat", daemon=True).start()
        return result


def _retrieve_error(result: asyncio.Future[float]) -> None:
    """Retrieve an error that arrives after the deadline, which asyncio would log as never retrieved."""
    if not result.cancelled():
        result.exception()
