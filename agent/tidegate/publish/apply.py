"""Apply the steps of :mod:`.steps`. Each is atomic, or is completed by applying it again."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from tidegate.publish import ostree, staged_summary
from tidegate.publish.faults import failed
from tidegate.publish.gpg import Signing
from tidegate.publish.steps import (
    CopyCommit,
    Delta,
    DropDelta,
    MakeDelta,
    PointRef,
    RefreshSummary,
    SignCommit,
    Step,
    WriteGraph,
    describe,
)
from tidegate.system.atomicfile import write_durably

_PUBLIC_MODE = 0o644


@dataclass(frozen=True, slots=True)
class Writer:
    """Applies steps to the repository ``repo``. The caller holds :func:`locked` on every folder that is written to."""

    repo: Path
    gpg_home: Path

    async def do(self, step: Step) -> None:
        """Apply one step.

        Raises:
            TidegateError: ``publish.failed``, ``engine.*``; what hosts find is consistent still.
        """
        match step:
            case CopyCommit(source, commit):
                await self._run("pull-local", source, commit, step=step, deadline_secs=ostree.COPY_SECS)
            case DropDelta(delta):
                await self._run("static-delta delete", _name(delta), step=step)
            case SignCommit(commit, key):
                await self._run("gpg-sign", f"--gpg-homedir={self.gpg_home}", commit, key, step=step)
            case MakeDelta((origin, target)):
                ends = (f"--from={origin}", f"--to={target}")
                await self._run("static-delta generate", *ends, step=step, deadline_secs=ostree.DELTA_SECS)
            case PointRef(ref, commit):
                await self._run("refs", "--force", f"--create={ref}", commit, step=step)
            case RefreshSummary(keys):
                await self._run("static-delta reindex", step=step)
                await self._refresh_summary(keys)
            case WriteGraph(path, raw):
                replace(path, raw)
            case _:
                assert_never(step)

    async def _refresh_summary(self, keys: tuple[str, ...]) -> None:
        """Replace the summary first: in between, hosts use their cached one, whose signature is still served."""
        made = await staged_summary.fresh(self.repo, Signing(keys, self.gpg_home))
        replace(self.repo / staged_summary.SUMMARY, made.content)
        if made.signature is not None:
            replace(self.repo / staged_summary.SIGNATURE, made.signature)

    async def _run(
        self, verb: str, *arguments: str | Path, step: Step, deadline_secs: float = ostree.CHANGE_SECS
    ) -> None:
        await ostree.do(self.repo, verb, *arguments, doing=f"cannot {describe(step)}", deadline_secs=deadline_secs)


def replace(path: Path, content: bytes) -> None:
    """Replace a world-readable file atomically and durably.

    Raises:
        TidegateError: ``publish.failed``.
    """
    try:
        write_durably(path, content, _PUBLIC_MODE)
    except OSError as error:
        raise failed(
            f"{path} cannot be written: {error.strerror}", "check free space and permissions of that folder"
        ) from error


@contextmanager
def locked(*folders: Path) -> Generator[None]:
    """Hold an exclusive flock(2) on ``folders`` against other ``tidegate publish`` commands. It leaves no lock files.

    Raises:
        TidegateError: ``publish.failed``; a folder is locked, or does not exist.
    """
    with ExitStack() as held:
        for folder in sorted({folder.resolve() for folder in folders}):
            held.callback(os.close, _lock(folder))
        yield


def _lock(folder: Path) -> int:
    """Lock the folder; returns the file descriptor, which holds the lock until it is closed."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise failed(f"{folder} cannot be opened: {error.strerror}", "check the path") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise failed(
            f"another `tidegate publish` is running in {folder}", "wait until it has finished and try again"
        ) from None
    return handle


def _name(delta: Delta) -> str:
    return "-".join(filter(None, delta))
