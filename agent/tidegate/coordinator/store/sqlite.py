"""A store of documents in an SQLite file, for one coordinator on one machine.

Every SQLite call may wait for the disk, so all of them are made in one thread of their own, in order.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeVar, assert_never

from tidegate.coordinator.store.base import (
    CompareSet,
    Delete,
    Document,
    Put,
    Range,
    Snapshot,
    Swapped,
    Write,
    nonsense,
    unavailable,
)
from tidegate.coordinator.store.sqlite_rescue import Files, files_of, save
from tidegate.coordinator.store.sqlite_schema import SCHEMA_VERSION, prepare
from tidegate.errors import TidegateError

T = TypeVar("T")

_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PRIMARY_CODE = 0xFF
"""Masks the primary result code in an extended one: its lowest byte."""

_COLUMNS = "SELECT key, value, created, revision, version FROM documents"
_PUT = """INSERT INTO documents (key, value, created, revision, version) VALUES (?1, ?2, ?3, ?3, 1)
ON CONFLICT (key) DO UPDATE SET value = ?2, revision = ?3, version = version + 1"""


class SqliteStore:
    """A :class:`~tidegate.coordinator.store.base.Store` in a file, which this process locks while it is open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite")
        self._database: sqlite3.Connection | None = None
        self._files: Files | None = None
        self._lost: TidegateError | None = None

    async def open(self) -> None:
        """Create the file if there is none, lock it, and migrate it if its schema is older.

        Raises:
            TidegateError: another process has locked it; it is of another program, newer, or damaged; it cannot be
                written.
        """
        await self._run(self._open)

    async def read(self, ranges: Sequence[Range]) -> Snapshot:
        """Read the file: no other process can write it."""
        return await self._run(lambda: _snapshot(self._connection, ranges))

    async def keys(self, within: Range) -> tuple[str, ...]:
        """Read the keys only."""
        return await self._run(lambda: _keys(self._connection, within))

    async def swap(self, compare: CompareSet, writes: Sequence[Write], ranges: Sequence[Range]) -> Swapped | Snapshot:
        """Compare and write in one transaction, which is on the disk when this returns."""
        return await self._run(lambda: self._swap(compare, writes, ranges))

    async def check(self) -> None:
        """Write to the file: on a full disk it could still be read, and after its removal even be written."""
        await self._run(self._probe)

    async def aclose(self) -> None:
        """Close the file, after the calls in progress."""
        try:
            await self._run(self._close)
        finally:
            self._thread.shutdown(wait=False)

    def unreadable(self, key: str, why: str) -> TidegateError:
        """Name the file and the key."""
        return nonsense(f"{self._path}: {key}: {why}", _restore(self._path))

    @property
    def _connection(self) -> sqlite3.Connection:
        """The open file, if it is still the one at its path.

        Raises:
            TidegateError: it was removed or replaced; its content has been saved, or could not be.
        """
        if self._lost is not None:
            raise self._lost.failure.error()
        if self._database is None:
            raise unavailable(f"{self._path} is closed")
        if files_of(self._path) != self._files:
            raise self._saved(self._database)
        return self._database

    def _saved(self, database: sqlite3.Connection) -> TidegateError:
        try:
            self._lost = save(database, self._path, self._files)
        except (OSError, sqlite3.Error) as error:
            why = f"{self._path} was removed or replaced while it was in use, and what it had cannot be saved: {error}"
            return nonsense(why, f"make {self._path.parent} writable for the coordinator, and do not stop it before")
        self._database = None
        return self._lost

    def _swap(self, compare: CompareSet, writes: Sequence[Write], ranges: Sequence[Range]) -> Swapped | Snapshot:
        result = _swap(self._connection, compare, writes, ranges)
        _ = self._connection  # a grant that went to a removed file is none
        return result

    async def _run(self, work: Callable[[], T]) -> T:
        """Run ``work`` in the thread. If the caller is cancelled meanwhile, it may still be carried out."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except sqlite3.Error as error:
            raise _explained(self._path, error) from error

    def _open(self) -> None:
        database = sqlite3.connect(self._path, timeout=0, isolation_level=None)
        try:
            # An exclusive lock lasts until the file is closed; after a crash, the kernel releases it.
            database.execute("PRAGMA locking_mode = EXCLUSIVE")
            database.execute("PRAGMA synchronous = FULL")
            prepare(database, self._path)
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("SELECT revision FROM store").fetchone()  # creates the write-ahead log
        except ValueError as error:
            database.close()
            raise nonsense(f"{self._path} cannot be migrated: {error}", _restore(self._path)) from error
        except BaseException:
            database.close()
            raise
        self._database, self._files = database, files_of(self._path)

    def _probe(self) -> None:
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(f"PRAGMA user_version = {SCHEMA_VERSION:d}")

    def _close(self) -> None:
        with suppress(TidegateError):
            _ = self._connection  # saves what would be lost with the process
        database, self._database = self._database, None
        if database is not None:
            database.close()


async def open_sqlite(path: Path) -> SqliteStore:
    """Open the store in ``path``.

    Raises:
        TidegateError: as of :meth:`SqliteStore.open`.
    """
    store = SqliteStore(path)
    try:
        await store.open()
    except BaseException:
        await store.aclose()
        raise
    return store


def _swap(
    database: sqlite3.Connection, compare: CompareSet, writes: Sequence[Write], ranges: Sequence[Range]
) -> Swapped | Snapshot:
    if not writes:
        return _compared(database, compare, ranges)
    with database:  # commits, or rolls back
        database.execute("BEGIN IMMEDIATE")
        result = _compared(database, compare, ranges)
        if isinstance(result, Snapshot):
            return result
        revision = result.revision + 1
        for write in writes:
            _write(database, write, revision)
        database.execute("UPDATE store SET revision = ?", (revision,))
    return Swapped(revision)


def _compared(database: sqlite3.Connection, compare: CompareSet, ranges: Sequence[Range]) -> Swapped | Snapshot:
    query = "SELECT revision FROM documents WHERE key = ?"
    for key, revision in compare.items():
        (found,) = database.execute(query, (key,)).fetchone() or (0,)
        if found != revision:
            return _snapshot(database, ranges)
    return Swapped(_revision(database))


def _snapshot(database: sqlite3.Connection, ranges: Sequence[Range]) -> Snapshot:
    return Snapshot(_revision(database), tuple(tuple(_documents(database, one)) for one in ranges))


def _revision(database: sqlite3.Connection) -> int:
    (revision,) = database.execute("SELECT revision FROM store").fetchone()
    return int(revision)


def _documents(database: sqlite3.Connection, wanted: Range) -> Iterator[Document]:
    if wanted.end is None:
        rows = database.execute(f"{_COLUMNS} WHERE key = ?", (wanted.start,))
    else:
        rows = database.execute(f"{_COLUMNS} WHERE key >= ? AND key < ? ORDER BY key", (wanted.start, wanted.end))
    for key, value, created, revision, version in rows:
        yield Document(key, value.encode(), created, revision, version)


def _keys(database: sqlite3.Connection, within: Range) -> tuple[str, ...]:
    query = "SELECT key FROM documents WHERE key >= ? AND key < ? ORDER BY key"
    return tuple(key for (key,) in database.execute(query, (within.start, within.end or within.start + "\0")))


def _write(database: sqlite3.Connection, write: Write, revision: int) -> None:
    match write:
        case Put(key=key, value=value):
            database.execute(_PUT, (key, value, revision))
        case Delete(key=key):
            database.execute("DELETE FROM documents WHERE key = ?", (key,))
        case _:
            assert_never(write)


def _explained(path: Path, error: sqlite3.Error) -> TidegateError:
    code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
    if code in _BUSY:
        return unavailable(
            f"{path} is in use by another process", "only one coordinator can use it; for several, use etcd"
        )
    if code in _DAMAGED:
        return nonsense(f"{path}: {error}", _restore(path))
    return unavailable(f"{path}: {error}", f"make {path.parent} writable for the coordinator, with free space")


def _restore(path: Path) -> str:
    return f"restore it from a backup, or move it and {path.name}-wal away, which forgets who holds slots"
