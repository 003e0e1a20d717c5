"""Pull a commit: metadata first, with retries, and once more without static deltas when the data is corrupt.

Metadata comes first because, given a static delta, ``ostree pull`` before 2023.7 fetches the delta *and* nearly all
loose objects unless it has the commit object already (22.0 MB against 2.3 MB measured). Retries are needed because
before 2023.7 a broken transfer or a 503 fails the pull at once, whatever ``--network-retries`` says. Fetched objects
stay in the repository's staging folder until the next boot, so that each attempt resumes, object by object.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tidegate.engines.base import Progress, ProgressSink
from tidegate.engines.ostree.cli import OstreeCli
from tidegate.engines.ostree.errors import names_missing_file
from tidegate.engines.ostree.source import Source
from tidegate.errors import ErrorKind, TidegateError

Sleep = Callable[[float], Awaitable[None]]
Jitter = Callable[[], float]

# Temporary errors, which are retried after a pause. A stalled child is one of them.
_TEMPORARY = frozenset({ErrorKind.ENGINE_REMOTE_DOWN, ErrorKind.ENGINE_TIMEOUT})

OBJECT_FOLDERS = ("objects/*/*", "tmp/staging-*/*/*")

_UNITS = {"bytes": 1, "byte": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)[\s\u00a0](?P<unit>bytes?|B|[kMGT]B)(?!/s)\b")
_PERCENT = re.compile(r"(?P<percent>\d{1,3})%")


@dataclass(frozen=True, slots=True)
class Puller:
    """Downloads with retries and back-off; ``jitter`` returns 0.0 to 1.0."""

    cli: OstreeCli
    sleep: Sleep
    jitter: Jitter

    async def fetch_metadata(self, source: Source, checksum: str) -> None:
        """Fetch the commit object alone, by checksum, so that no local ref moves before the content has arrived."""
        doing = f"asking {source.remote} for {checksum}"
        await self._retry(
            lambda: self.cli.pull("--commit-metadata-only", source.remote, checksum, doing=doing, sink=_ignore)
        )

    async def fetch_content(self, source: Source, checksum: str, progress: ProgressSink) -> None:
        """Fetch the missing objects, through a static delta where the server has one."""
        try:
            await self._fetch_content(source, checksum, progress)
        except TidegateError as error:
            if not _may_be_the_delta(error):
                raise
            await self._fetch_objects(source, checksum, progress)

    async def _fetch_objects(self, source: Source, checksum: str, progress: ProgressSink) -> None:
        try:
            await self._fetch_content(source, checksum, progress, "--disable-static-deltas")
        except TidegateError as error:
            raise _incomplete_server(error) if names_missing_file(error) else error from None

    async def _fetch_content(self, source: Source, checksum: str, progress: ProgressSink, *options: str) -> None:
        doing = f"pulling {checksum} from {source.remote}"
        pinned = f"{source.ref}@{checksum}"
        await self._retry(lambda: self.cli.pull(*options, source.remote, pinned, doing=doing, sink=_Reader(progress)))

    async def _retry(self, attempt: Callable[[], Awaitable[None]]) -> None:
        failures = 0
        while True:
            before = await asyncio.to_thread(self._count_objects)
            try:
                return await attempt()
            except TidegateError as error:
                if error.kind not in _TEMPORARY:
                    raise
                has_progressed = await asyncio.to_thread(self._count_objects) > before
                failures = 1 if has_progressed else failures + 1
                if failures >= self.cli.limits.attempts:
                    raise _given_up(error, failures) from None
            await self.sleep(self.cli.limits.backoff_secs(failures, self.jitter()))

    def _count_objects(self) -> int:
        """Count the objects in the staging folders, and in the store itself, where they go with core.fsync off."""
        return sum(1 for place in OBJECT_FOLDERS for _ in self.cli.repo_path.glob(place))


class _Reader:
    """Converts ostree's output on a terminal to progress; unknown output is ignored."""

    def __init__(self, progress: ProgressSink) -> None:
        self._progress = progress

    def __call__(self, text: str) -> None:
        if shown := read_progress(text):
            self._progress(shown)


def read_progress(text: str) -> Progress | None:
    """Return the newest progress in a piece of terminal output, or None. Pure.

    2022.7 to 2026.4: ``Receiving objects: 97% (72/74) 5.2 MB/s 5.2 MB`` or
    ``Receiving delta parts: 0/1 1.2 MB/2.3 MB 66.6 kB/s 1 seconds remaining``, each preceded by ESC 8.
    """
    line = text.rsplit("\x1b8", 1)[-1]
    if not line.startswith("Receiving"):
        return None
    sizes_bytes = [read_size_bytes(size) for size in _SIZE.finditer(line)]
    percent = _PERCENT.search(line)
    if "delta" in line and len(sizes_bytes) >= 2:  # done and total come before any speed
        fraction = sizes_bytes[0] / sizes_bytes[1] if sizes_bytes[1] else None
        return Progress("download", fraction and min(fraction, 1.0), sizes_bytes[0])
    fraction = min(int(percent["percent"]) / 100, 1.0) if percent else None
    return Progress("download", fraction, sizes_bytes[-1] if sizes_bytes else 0)


def read_size_bytes(size: re.Match[str]) -> int:
    """Return a size as GLib prints it, with a decimal unit and one digit after the point, in bytes."""
    return round(float(size["number"]) * _UNITS[size["unit"]])


def _ignore(text: str) -> None:
    """The metadata of one commit is too small for progress."""


def _may_be_the_delta(error: TidegateError) -> bool:
    """Whether the error may lie in the delta, so that the loose objects may be intact."""
    return error.kind is ErrorKind.ENGINE_CORRUPT or names_missing_file(error)


def _given_up(error: TidegateError, failures: int) -> TidegateError:
    return TidegateError(error.kind, f"{error.message}; gave up after {failures} consecutive failures", error.remedy)


def _incomplete_server(error: TidegateError) -> TidegateError:
    return TidegateError(
        ErrorKind.ENGINE_CORRUPT,
        f"the server has the commit but not all of its objects: {error.message}",
        "publish the release anew, or wait until the server's mirror is complete",
    )
