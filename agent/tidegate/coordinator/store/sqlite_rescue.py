"""Notice that the SQLite file was removed or replaced while it is in use, and save its content.

A process that has a file open goes on reading and writing it after it was removed; none of that is there for the next
process. What is in it says who holds slots, so it must not be lost, and nobody may get a slot that is written nowhere.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tidegate.coordinator.store.base import nonsense
from tidegate.errors import TidegateError

SAVED_SUFFIX = ".saved"

_RESTART = "systemctl restart tidegate-coordinator.service"


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """The device and inode of a file, by which another file of the same name is told from it."""

    device: int
    inode: int


@dataclass(frozen=True, slots=True)
class Files:
    """The database file and its write-ahead log, which has the latest commits; None: there is no such file."""

    database: FileIdentity | None
    log: FileIdentity | None


def files_of(path: Path) -> Files:
    """The files at ``path``."""
    return Files(_identity_of(path), _identity_of(path.with_name(f"{path.name}-wal")))


def _identity_of(path: Path) -> FileIdentity | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return FileIdentity(status.st_dev, status.st_ino)


def save(database: sqlite3.Connection, path: Path, opened: Files | None) -> TidegateError:
    """Write the content of ``database``, which was ``opened`` from other files than are at ``path`` now, to the disk
    again, and close it.

    It goes to ``path`` itself if there is no other file by now, else beside it. The error says what was done.

    Raises:
        OSError, sqlite3.Error: it cannot be saved; ``database`` stays open.
    """
    if opened is not None and files_of(path).database == opened.database:
        database.close()  # it writes what is in the log to the file
        return nonsense(f"{path}-wal was removed while it was in use; its content is in {path} now", _RESTART)
    path = path.resolve()  # of a link, the file was removed
    saved = path.with_name(path.name + SAVED_SUFFIX)
    saved.unlink(missing_ok=True)
    database.execute("VACUUM INTO ?", (str(saved),))
    _sync(saved)
    database.close()  # it removes the write-ahead log, by its name: before another file could have one
    restored = _link(saved, path)
    _sync(path.parent)
    if restored:
        return nonsense(f"{path} was removed while it was in use; its content was written there again", _RESTART)
    remedy = f"stop the coordinator, move the file with the right locks to {path}, and start it"
    return nonsense(f"{path} was replaced while it was in use; what it had is in {saved}", remedy)


def _link(saved: Path, path: Path) -> bool:
    """Give the saved file its name, unless there is such a file."""
    with suppress(FileExistsError):
        path.hardlink_to(saved)
        saved.unlink()
        return True
    return False


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
