"""What is costly to build is built once: a folder of finished entries, each named by a hash of all that went into it.

An entry appears by one rename, under a lock for its name: a build that was killed leaves a half-built folder that the
next builder removes, and two builders at once build once.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.lab.process import PLAIN_UMASK, LabError, must
from tests.e2e.lab.waiting import wait_for

CACHE_VARIABLE = "TIDEGATE_LAB_CACHE"
DEFAULT_CACHE = Path("/var/cache/tidegate-lab")
LOCK_DEADLINE_SECS = 1200.0  # a cold build on a slow, busy machine takes minutes, and somebody else may be at it
KEY_CHARS = 16

Say = Callable[[str], None]


def silent(_: str) -> None:
    """Says nothing."""


def digest(*parts: str | bytes) -> str:
    """A short name for these inputs; another order or another split is another name."""
    whole = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else part.encode()
        whole.update(f"{len(data)}:".encode() + data)
    return whole.hexdigest()[:KEY_CHARS]


def digest_files(*roots: Path) -> str:
    """A short name for the names and contents of all files in and below ``roots``, caches of Python left out."""
    found = [(str(f.relative_to(root.parent)), f) for root in roots for f in (root, *root.rglob("*")) if f.is_file()]
    kept = sorted((name, f) for name, f in found if "__pycache__" not in name)
    return digest(*(part for name, f in kept for part in (name, f.read_bytes())))


def remove_tree(path: Path) -> None:
    """Delete a tree, the immutable folders that ostree makes of deployments included; other file systems are spared."""
    pinned = [d for depth in ("", "*/", "*/*/") for d in path.glob(f"{depth}ostree/deploy/*/deploy/*.[0-9]*/")]
    if pinned:
        must(["chattr", "-f", "-i", *pinned])
    must(["rm", "-rf", "--one-file-system", path], timeout_secs=300)


@contextmanager
def locked(file: Path, what: str) -> Generator[None]:
    """Hold the lock ``file``; the kernel lets go of it when this process ends, however it ends."""
    with file.open("w") as handle:
        wait_for(lambda: try_lock(handle.fileno()), f"lock on {what}", deadline_secs=LOCK_DEADLINE_SECS)
        yield


def try_lock(fd: int) -> bool:
    """Take the lock on an open file if nobody has it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Cache:
    """A cache folder. ``say`` is told about every build that takes time."""

    root: Path
    say: Say = silent

    @classmethod
    def default(cls, say: Say = silent) -> Cache:
        """The folder that ``TIDEGATE_LAB_CACHE`` names, or /var/cache/tidegate-lab."""
        return cls(Path(os.environ.get(CACHE_VARIABLE, DEFAULT_CACHE)).absolute(), say)

    def path(self, kind: str, key: str) -> Path:
        """Where the finished entry is, or will be."""
        return self.root / f"{kind}-{key}"

    def entry(self, kind: str, key: str, build: Callable[[Path], None], *, keep: int) -> Path:
        """The entry ``kind``-``key``; ``build`` fills an empty folder when there is none yet.

        At most ``keep`` entries of a kind are kept, the latest used ones.
        """
        final = self.path(kind, key)
        if not final.is_dir():
            self.root.mkdir(parents=True, exist_ok=True)
            with locked(self.root / f".{kind}.lock", final.name):
                self._build(final, build)
                self._evict(kind, keep, spare=final)
        os.utime(final)
        return final

    def remove(self) -> None:
        """Remove all entries.

        Raises:
            LabError: a lab is open, or an entry is being built.
        """
        if not self.root.is_dir():
            return
        with ExitStack() as held:
            for lock in (*self.root.glob(".*.lock"), *self.root.glob("labs/*.lock")):
                if not try_lock(held.enter_context(lock.open("w")).fileno()):
                    raise LabError(
                        f"{self.root} is in use ({lock.name})", "wait until the tests or the demo have ended"
                    )
            self.say(f"removing {self.root}")
            for entry in self.root.iterdir():
                remove_tree(entry)

    def _build(self, final: Path, build: Callable[[Path], None]) -> None:
        if final.is_dir():  # somebody else built it while we waited for the lock
            return
        unfinished = final.with_name(f".{final.name}.unfinished")
        remove_tree(unfinished)
        umask = os.umask(PLAIN_UMASK)
        try:
            unfinished.mkdir()
            build(unfinished)
            unfinished.rename(final)
        finally:
            os.umask(umask)
            remove_tree(unfinished)

    def _evict(self, kind: str, keep: int, spare: Path) -> None:
        others = [e for e in self.root.glob(f"{kind}-" + "[0-9a-f]" * KEY_CHARS) if e != spare]
        for old in sorted(others, key=lambda e: e.stat().st_mtime, reverse=True)[keep - 1 :]:
            remove_tree(old)
