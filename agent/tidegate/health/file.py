"""The check ``[[health.file]]``: a file is there or is not, or was written lately."""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import suppress

from tidegate.clock import Clock
from tidegate.config.health import FileCheck
from tidegate.errors import ErrorKind, TidegateError
from tidegate.health.base import Weight
from tidegate.health.check import Seen
from tidegate.printable import duration, one_line

STAT_SECS = 10.0
"""A disk that spins up, a share that is mounted on demand."""

_SHOWN_CHARS = 200
_ABSENT = (FileNotFoundError, NotADirectoryError)
_SKEW_SECS = 2.0
"""File systems keep times in steps of up to two seconds (FAT)."""


class FileSeen:
    """One file, as the user of this process sees it."""

    def __init__(self, check: FileCheck, clock: Clock) -> None:
        self.name = f"file/{check.name}"
        self.weight = Weight(check.weight)
        self._check = check
        self._clock = clock
        self._shown = one_line(check.path, _SHOWN_CHARS)
        self._stat = _Stat(check.path)

    async def ask(self) -> Seen:
        """Look at the file."""
        try:
            written_secs = await self._stat.modified_secs()
        except _ABSENT:
            return Seen(self._check.state == "absent", f"there is no {self._shown}")
        except OSError as err:
            message = f"{self._shown} cannot be looked at: {err.strerror}"
            raise TidegateError(ErrorKind.HEALTH_UNREADABLE, message, "let the user tidegate see it") from None
        if self._check.state == "absent":
            return Seen(passed=False, detail=f"{self._shown} is there")
        return self._by_age(self._clock.now().wall.timestamp() - written_secs)

    def _by_age(self, age_secs: float) -> Seen:
        most = self._check.max_age_secs
        if most is None:
            return Seen(passed=True, detail=f"{self._shown} is there")
        if age_secs < -_SKEW_SECS:
            ahead = duration(-age_secs)
            return Seen(passed=False, detail=f"{self._shown} was written {ahead} ahead of the clock, which is wrong")
        young = age_secs <= most
        written = f"{self._shown} was written {duration(max(age_secs, 0))} ago"
        return Seen(young, written if young else f"{written}, more than {most} s")


class _Stat:
    """Asks for a file's time in a thread: on a dead share the kernel answers never, and nothing ends the call.

    There is one such thread at most, and the process does not wait for it.
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
            async with asyncio.timeout(STAT_SECS):
                return await asyncio.shield(self._pending)
        except TimeoutError:
            message = f"the kernel has not answered about {one_line(self._path, _SHOWN_CHARS)} for {STAT_SECS:g} s"
            raise TidegateError(ErrorKind.HEALTH_UNREADABLE, message, "look for a dead disk or share") from None

    def _started(self) -> asyncio.Future[float]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[float] = loop.create_future()
        answer.add_done_callback(_heard)

        def tell(found: float | OSError) -> None:
            if not answer.done():
                answer.set_exception(found) if isinstance(found, OSError) else answer.set_result(found)

        def work() -> None:
            found: float | OSError
            try:
                found = os.stat(self._path).st_mtime  # noqa: PTH116 - a Path would be made for it alone
            except OSError as err:
                found = err
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(tell, found)

        threading.Thread(target=work, name="stat", daemon=True).start()
        return answer


def _heard(answer: asyncio.Future[float]) -> None:
    """An error that comes when nobody waits any more is no news to anybody."""
    if not answer.cancelled():
        answer.exception()
