"""Semaphores in a file: one coordinator on one machine.

SQLite waits for the disk, so that it has a thread of its own; everything is done there, one after the other.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tidegate.coordinator.model import AuditEvent, Change, Semaphore
from tidegate.coordinator.store.base import Conflict, Swapped, nonsense, unavailable
from tidegate.coordinator.store.sqlite_records import (
    APPLICATION_ID,
    SCHEMA,
    SCHEMA_VERSION,
    read_history,
    read_revision,
    read_row,
    write_change,
)
from tidegate.errors import TidegateError
from tidegate.jsonread import ShapeError

T = TypeVar("T")

_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PRIMARY_CODE = 0xFF
"""Of an extended result code: its lowest byte."""


@dataclass(frozen=True, slots=True)
class SqliteVersion:
    """A :class:`~.base.Version`."""

    semaphore: Semaphore
    revision: int
    group: str
    store: SqliteStore = field(repr=False)

    async def confirmed(self) -> SqliteVersion:
        """A look at the group's row."""
        is_current = await self.store.revision(self.group) == self.revision
        return self if is_current else await self.store.read(self.group)

    async def swap(self, change: Change) -> Swapped | Conflict:
        """One transaction."""
        revision = await self.store.swap(self.group, self.revision, change)
        if revision is None:
            return Conflict(await self.store.read(self.group))
        return Swapped(SqliteVersion(change.semaphore, revision, self.group, self.store))


class SqliteStore:
    """A :class:`~.base.Store` in a file that belongs to this process as long as this is open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite")
        self._database: sqlite3.Connection | None = None

    async def open(self) -> None:
        """Make the file if there is none, and take it.

        Raises:
            TidegateError: another process has it; it is something else, or damaged; it cannot be written.
        """
        await self._do(self._open)

    async def read(self, group: str) -> SqliteVersion:
        """The current version."""
        row = await self._do(lambda: read_row(self._connection, group))
        return SqliteVersion(row.semaphore, row.revision, group, self)

    async def revision(self, group: str) -> int:
        """The current one; 0 where there is no such group."""
        return await self._do(lambda: read_revision(self._connection, group))

    async def swap(self, group: str, revision: int, change: Change) -> int | None:
        """The revision in which ``change`` is written; None where ``revision`` is no longer the current one."""
        return await self._do(lambda: write_change(self._connection, group, revision, change))

    async def history(self, group: str, limit: int) -> tuple[AuditEvent, ...]:
        """Newest first."""
        return await self._do(lambda: read_history(self._connection, group, limit))

    async def check(self) -> None:
        """Writes, since a full disk can still be read."""
        await self._do(self._probe)

    async def aclose(self) -> None:
        """Give the file back, once what was begun is done."""
        try:
            await self._do(self._close)
        finally:
            self._thread.shutdown(wait=False)

    @property
    def _connection(self) -> sqlite3.Connection:
        if self._database is None:
            raise unavailable(f"{self._path} is closed")
        return self._database

    async def _do(self, work: Callable[[], T]) -> T:
        """In the thread. Who is cancelled meanwhile does not know what came of it, as of any lost answer."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except sqlite3.Error as error:
            raise _explained(self._path, error) from error
        except ShapeError as error:
            raise nonsense(f"{self._path}: {error}", _restore(self._path)) from error

    def _open(self) -> None:
        # Used in the one thread only, which is where SQLite wants to find itself again.
        database = sqlite3.connect(self._path, timeout=0, isolation_level=None)
        try:
            _take(database, self._path)
        except BaseException:
            database.close()
            raise
        self._database = database

    def _probe(self) -> None:
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(f"PRAGMA user_version = {SCHEMA_VERSION:d}")

    def _close(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            database.close()


async def open_sqlite(path: Path) -> SqliteStore:
    """The store in ``path``; raises as :meth:`SqliteStore.open` does."""
    store = SqliteStore(path)
    try:
        await store.open()
    except BaseException:
        await store.aclose()
        raise
    return store


def _take(database: sqlite3.Connection, path: Path) -> None:
    """The exclusive mode lasts until the file is closed, also by a crash: then the kernel lets go of its locks."""
    database.execute("PRAGMA locking_mode = EXCLUSIVE")
    (application_id,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    (tables,) = database.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if tables and application_id != APPLICATION_ID:
        raise nonsense(f"{path} is a database of something else", "name another file in coordinator.store")
    if version > SCHEMA_VERSION:
        message = f"{path} was written by a newer version (schema {version}, this one has {SCHEMA_VERSION})"
        raise nonsense(message, "use that version, or name another file in coordinator.store")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.executescript(SCHEMA)


def _explained(path: Path, error: sqlite3.Error) -> TidegateError:
    code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
    if code in _BUSY:
        return unavailable(
            f"{path} is in use by another process", "one coordinator only may use it; for several use etcd"
        )
    if code in _DAMAGED:
        return nonsense(f"{path}: {error}", _restore(path))
    return unavailable(f"{path}: {error}", f"make {path.parent} writable for the coordinator, with space on it")


def _restore(path: Path) -> str:
    return f"restore it from a backup, or move it and {path.name}-wal away, which forgets who holds"
