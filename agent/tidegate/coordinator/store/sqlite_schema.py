"""The schema of the SQLite file, and the migrations from files of earlier versions.

====== ===============================================================================================================
schema content
====== ===============================================================================================================
1      tables ``groups``, ``holders`` and ``happenings``, one row for each
2      a table ``documents``, as in every store, and the store's revision
====== ===============================================================================================================

A file is migrated when it is opened, in one transaction: after a crash, it is of the old schema or of the new one. A
migration is never changed once it was released, and uses no code that may change. There is no way back: a file of a
newer schema is refused, here as by every earlier version.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from urllib.parse import quote_plus

from tidegate.coordinator.store.base import nonsense

APPLICATION_ID = 0x54474C4B
"""TGLK: tells these files from those of other programs."""

SCHEMA_VERSION = 2

_DOCUMENTS = (
    """CREATE TABLE documents (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL, created INTEGER NOT NULL,
    revision INTEGER NOT NULL, version INTEGER NOT NULL) STRICT""",
    "CREATE TABLE store (revision INTEGER NOT NULL) STRICT",
    "INSERT INTO store (revision) VALUES (0)",
)


def prepare(database: sqlite3.Connection, path: Path) -> None:
    """Create the schema in an empty file, or migrate the one that it has.

    Raises:
        TidegateError: ``coordinator.store-nonsense``: the file belongs to another program, or its schema is newer.
        sqlite3.Error: the file cannot be read or written.
        ValueError: a row of an earlier schema is damaged.
    """
    database.execute("BEGIN IMMEDIATE")
    try:
        _check(database, path)
        for migrate in _steps(database):
            migrate(database)
        database.execute(f"PRAGMA application_id = {APPLICATION_ID:d}")
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION:d}")
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def _check(database: sqlite3.Connection, path: Path) -> None:
    version = _pragma(database, "user_version")
    if not _is_empty(database) and _pragma(database, "application_id") != APPLICATION_ID:
        raise nonsense(f"{path} is a database of another program", "name another file in coordinator.store")
    if version > SCHEMA_VERSION:
        message = f"{path} was written by a newer version of Tidegate (schema {version}; this one has {SCHEMA_VERSION})"
        remedy = "install that version again: a newer file cannot be downgraded; or name another file"
        raise nonsense(message, f"{remedy} in coordinator.store, which forgets who holds slots")


def _steps(database: sqlite3.Connection) -> Iterator[Callable[[sqlite3.Connection], None]]:
    if _is_empty(database):
        yield _create
        return
    for version in range(_pragma(database, "user_version"), SCHEMA_VERSION):
        yield _MIGRATIONS[version]


def _is_empty(database: sqlite3.Connection) -> bool:
    (tables,) = database.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    return not tables


def _pragma(database: sqlite3.Connection, name: str) -> int:
    (value,) = database.execute(f"PRAGMA {name}").fetchone()
    return int(value)


def _create(database: sqlite3.Connection) -> None:
    for statement in _DOCUMENTS:
        database.execute(statement)


def _documents_from_tables(database: sqlite3.Connection) -> None:
    """Schema 1 to 2: write each group as the documents that etcd would have."""
    _create(database)
    for group, revision, slots, times in database.execute(
        "SELECT name, revision, slots, times FROM groups ORDER BY name"
    ).fetchall():
        for key, value in _group_documents(database, group, slots, times):
            row = (key, value, revision, revision)
            database.execute(
                "INSERT INTO documents (key, value, created, revision, version) VALUES (?, ?, ?, ?, 1)", row
            )
    # Revisions were counted for each group; the store's goes on from the highest.
    database.execute("UPDATE store SET revision = (SELECT coalesce(max(revision), 0) FROM groups)")
    for table in ("groups", "holders", "happenings"):
        database.execute(f"DROP TABLE {table}")


def _group_documents(database: sqlite3.Connection, group: str, slots: int, times: str) -> Iterator[tuple[str, str]]:
    root = f"com.coreos.airlock/groups/{quote_plus(group)}/"
    own = f"{root}tidegate/v1/"
    holders = dict(database.execute("SELECT id, details FROM holders WHERE group_name = ? ORDER BY id", (group,)))
    swaps = _swaps(database, group)
    noted: Mapping[str, object] = json.loads(times)
    yield f"{root}v1/semaphore", _dump({"total_slots": slots, "holders": sorted(holders)})
    yield f"{own}state", _dump({"semaphore_version": 1, "sequence": len(swaps), "trusted_from": 0, **noted})
    for holder_id, details in holders.items():
        yield f"{own}holders/{quote_plus(holder_id)}", details
    for sequence, events in enumerate(swaps):
        yield f"{own}history/{sequence:03d}", _dump({"sequence": sequence, "happenings": events})


def _swaps(database: sqlite3.Connection, group: str) -> list[list[object]]:
    """The audit events of the latest swaps, the oldest first; schema 1 kept up to 256."""
    query = "SELECT revision, details FROM happenings WHERE group_name = ? ORDER BY revision, place"
    rows = groupby(database.execute(query, (group,)), key=lambda row: row[0])
    return [[json.loads(details) for _, details in events] for _, events in rows][-256:]


def _dump(document: object) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


_MIGRATIONS: Mapping[int, Callable[[sqlite3.Connection], None]] = {1: _documents_from_tables}
