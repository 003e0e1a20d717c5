"""How groups are kept in SQLite: the tables, and what is read from them and written to them."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace

from tidegate.coordinator.model import AuditEvent, Change, Holder, Semaphore
from tidegate.coordinator.store.base import HISTORY_LENGTH
from tidegate.coordinator.store.codec import (
    audit_event_document,
    dump,
    holder_document,
    parse,
    read_audit_event,
    read_holder,
    read_times,
    times_document,
)

APPLICATION_ID = 0x54474C4B
"""TGLK: so that no other program's database is taken for one of locks."""

SCHEMA_VERSION = 1

SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS groups (name TEXT PRIMARY KEY, revision INTEGER NOT NULL, slots INTEGER NOT NULL,
    times TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS holders (group_name TEXT NOT NULL, id TEXT NOT NULL, details TEXT NOT NULL,
    PRIMARY KEY (group_name, id)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS happenings (group_name TEXT NOT NULL, revision INTEGER NOT NULL, place INTEGER NOT NULL,
    details TEXT NOT NULL, PRIMARY KEY (group_name, revision, place)) STRICT, WITHOUT ROWID;
PRAGMA application_id = {APPLICATION_ID:d};
PRAGMA user_version = {SCHEMA_VERSION:d};
COMMIT;
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A group as it was read; ``revision`` is 0 where there is none."""

    semaphore: Semaphore
    revision: int


def read_row(database: sqlite3.Connection, group: str) -> Row:
    """A group.

    Raises:
        ShapeError: what is kept is not what :func:`write_change` writes.
    """
    found = database.execute("SELECT revision, slots, times FROM groups WHERE name = ?", (group,)).fetchone()
    if found is None:
        return Row(Semaphore(), 0)
    revision, slots, times = found
    rows = database.execute("SELECT id, details FROM holders WHERE group_name = ? ORDER BY id", (group,))
    holders = {holder_id: read_holder(holder_id, parse(details)) for holder_id, details in rows}
    return Row(replace(read_times(parse(times)), slots=slots, holders=holders), revision)


def write_change(database: sqlite3.Connection, group: str, revision: int, change: Change) -> int | None:
    """Write ``change`` where the group still has ``revision``; its new one, or None."""
    with database:  # commits, or rolls back
        database.execute("BEGIN IMMEDIATE")
        if read_revision(database, group) != revision:
            return None
        _write_group(database, group, revision + 1, change.semaphore)
        for holder_id in change.touched:
            _write_holder(database, group, holder_id, change.semaphore.holders.get(holder_id))
        _write_happenings(database, group, revision + 1, change.audit_events)
    return revision + 1


def read_revision(database: sqlite3.Connection, group: str) -> int:
    """0 where there is no such group."""
    found = database.execute("SELECT revision FROM groups WHERE name = ?", (group,)).fetchone()
    return 0 if found is None else int(found[0])


def read_history(database: sqlite3.Connection, group: str, limit: int) -> tuple[AuditEvent, ...]:
    """What happened last, newest first."""
    newest = "SELECT details FROM happenings WHERE group_name = ? ORDER BY revision DESC, place DESC LIMIT ?"
    return tuple(read_audit_event(group, parse(details)) for (details,) in database.execute(newest, (group, limit)))


def _write_group(database: sqlite3.Connection, group: str, revision: int, semaphore: Semaphore) -> None:
    row = (group, revision, semaphore.slots, dump(times_document(semaphore)))
    database.execute("INSERT OR REPLACE INTO groups (name, revision, slots, times) VALUES (?, ?, ?, ?)", row)


def _write_holder(database: sqlite3.Connection, group: str, holder_id: str, holder: Holder | None) -> None:
    if holder is None:
        database.execute("DELETE FROM holders WHERE group_name = ? AND id = ?", (group, holder_id))
        return
    row = (group, holder_id, dump(holder_document(holder)))
    database.execute("INSERT OR REPLACE INTO holders (group_name, id, details) VALUES (?, ?, ?)", row)


def _write_happenings(
    database: sqlite3.Connection, group: str, revision: int, audit_events: tuple[AuditEvent, ...]
) -> None:
    rows = [(group, revision, place, dump(audit_event_document(one))) for place, one in enumerate(audit_events)]
    database.executemany("INSERT INTO happenings (group_name, revision, place, details) VALUES (?, ?, ?, ?)", rows)
    if rows:
        old = "DELETE FROM happenings WHERE group_name = ? AND revision <= ?"
        database.execute(old, (group, revision - HISTORY_LENGTH))
