"""Records that an earlier version wrote, in ``records``, are read and carried on: an SQLite file, and keys in etcd.

Both have been made by that version itself, with a few grants, releases and denials; what it read back is beside them.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from base64 import b64encode
from collections.abc import Generator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes.asyncs import run
from tests.fakes.clock import START, FakeClock
from tests.fakes.etcd_server import EtcdServer, etcd_server
from tests.fakes.plain_http import NO_TLS
from tidegate.coordinator.group_store import StoredGroups
from tidegate.coordinator.model import AuditEvent, Call, Denied, Granted, GroupView, Released, Rules
from tidegate.coordinator.service import LockService
from tidegate.coordinator.store.base import Store
from tidegate.coordinator.store.options import open_store
from tidegate.coordinator.store.sqlite import open_sqlite
from tidegate.coordinator.store.sqlite_schema import SCHEMA_VERSION
from tidegate.errors import ErrorKind, TidegateError
from tidegate.fleetlock.protocol import ClientParams, Verb

RECORDS = Path(__file__).with_name("records")
RULES = {"workers": Rules(3, lock_ttl_secs=3600, release_delay_secs=600), "db.main-1": Rules(1), "empty": Rules(2)}
HOST = "a" * 32


@pytest.fixture
def etcd(tmp_path: Path) -> Generator[EtcdServer, None, None]:
    """An etcd with those keys, each with the revisions that it had."""
    with etcd_server(tmp_path) as server:
        revision = 1
        for write in json.loads((RECORDS / "etcd.json").read_text())["writes"]:
            while revision < write["revision"] - 1:
                revision = txn(server, {"padding": ""})
            revision = txn(server, write["keys"])
            assert revision == write["revision"]
        yield server


def txn(server: EtcdServer, keys: dict[str, str | None]) -> int:
    """Write or (None) delete keys; etcd's revision afterwards."""
    operations = [
        {"request_delete_range": {"key": encoded(key)}}
        if value is None
        else {"request_put": {"key": encoded(key), "value": encoded(value)}}
        for key, value in keys.items()
    ]
    reply = httpx.post(f"{server.url}/v3/kv/txn", json={"success": operations}, verify=NO_TLS, trust_env=False)
    return int(reply.json()["header"]["revision"])


def encoded(text: str) -> str:
    return b64encode(text.encode()).decode()


@pytest.fixture
def old_file(tmp_path: Path) -> Path:
    path = tmp_path / "locks.db"
    shutil.copyfile(RECORDS / "sqlite-schema-1.db", path)
    return path


def text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()


def held(view: GroupView) -> dict[str, list[str | None]]:
    return {
        one.id: [
            *(text(one.since), text(one.last_seen), one.address),
            *(one.update.boot_id if one.update else None, one.conflicting_boot_id),
        ]
        for one in view.holders
    }


def line(event: AuditEvent) -> list[str]:
    return [event.at.isoformat(), event.id, event.what, event.by, event.detail]


async def reads(store: Store, expected: dict[str, Any]) -> None:
    """Holders and history are those that the earlier version read."""
    locks = LockService(StoredGroups(store), FakeClock(), RULES)
    for view in await locks.groups():
        found = {"held": held(view), "history": [line(one) for one in await locks.history(view.name, 1000)]}
        assert found == expected[view.name]


async def goes_on(store: Store) -> None:
    """The slot that was released rests from then on, holders are known, and what is written is read again."""
    clock = FakeClock(START)
    clock.advance(60)
    async with LockService(StoredGroups(store), clock, RULES) as locks:

        async def call(verb: Verb, host: str, group: str = "workers") -> object:
            return await locks.call(Call(verb, ClientParams(host, group), "10.0.0.2"))

        assert isinstance(await call(Verb.PRE_REBOOT, "new"), Denied)
        assert await call(Verb.STEADY_STATE, "host/é %2F+") == Released(held=True)
        again = await call(Verb.PRE_REBOOT, HOST)
        assert isinstance(again, Granted)
        assert again.renewed
        clock.advance(700)
        assert isinstance(await call(Verb.PRE_REBOOT, "new"), Granted)
        assert isinstance(await call(Verb.PRE_REBOOT, "first", "empty"), Granted)
        view = next(one for one in await locks.groups() if one.name == "workers")
        assert {HOST, "new"} <= {one.id for one in view.holders}
        assert next(one for one in view.holders if one.id == HOST).since == START
        events = await locks.history("workers", 1000)
        assert [(one.what, one.id) for one in events[:3]] == [
            *(("granted", "new"), ("released", "host/é %2F+"), ("taken", "c")),
        ]
        assert len(events) == 7


def test_keys_in_etcd(etcd: EtcdServer) -> None:
    async def scenario() -> None:
        store = await open_store(etcd.address)
        await reads(store, json.loads((RECORDS / "etcd.json").read_text())["expected"])
        await goes_on(store)
        await store.aclose()

    run(scenario())


def test_a_file_of_schema_1(old_file: Path) -> None:
    async def scenario() -> None:
        expected = json.loads((RECORDS / "sqlite-schema-1.json").read_text())
        for _ in range(2):  # the second time it has been migrated
            store = await open_sqlite(old_file)
            await reads(store, expected)
            await store.aclose()
        store = await open_sqlite(old_file)
        await goes_on(store)
        await store.aclose()

    run(scenario())
    assert version(old_file) == SCHEMA_VERSION


def test_revisions_go_on_from_those_of_the_old_file(old_file: Path) -> None:
    """Clients have seen them in their grants."""
    with sqlite3.connect(old_file) as database:
        (highest,) = database.execute("SELECT max(revision) FROM groups").fetchone()
    database.close()

    async def scenario() -> None:
        store = await open_sqlite(old_file)
        async with LockService(StoredGroups(store), FakeClock(), RULES) as locks:
            granted = await locks.call(Call(Verb.PRE_REBOOT, ClientParams("first", "empty"), "::1"))
            assert isinstance(granted, Granted)
            assert granted.revision > highest
        await store.aclose()

    run(scenario())


def test_a_migration_that_fails_leaves_the_file_as_it_was(old_file: Path) -> None:
    with sqlite3.connect(old_file) as database:
        database.execute("UPDATE groups SET times = 'x' WHERE name = 'workers'")
    database.close()

    async def scenario() -> None:
        for _ in range(2):
            with pytest.raises(TidegateError, match=r"locks\.db cannot be migrated") as caught:
                await open_sqlite(old_file)
            assert caught.value.kind is ErrorKind.COORDINATOR_STORE_NONSENSE
            assert "backup" in caught.value.remedy

    run(scenario())
    with sqlite3.connect(old_file) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (1,)
        assert database.execute("SELECT count(*) FROM groups").fetchone() == (3,)
        assert not database.execute("SELECT * FROM sqlite_schema WHERE name = 'documents'").fetchall()
    database.close()


def test_a_downgrade_is_refused(tmp_path: Path) -> None:
    """As this version refuses a newer file; schema 1 did the same."""
    path = tmp_path / "locks.db"

    async def scenario() -> None:
        await (await open_sqlite(path)).aclose()
        with sqlite3.connect(path) as database:
            database.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
        database.close()
        before = path.read_bytes()
        with pytest.raises(TidegateError, match=r"newer version of Tidegate \(schema 3; this one has 2\)") as caught:
            await open_sqlite(path)
        assert caught.value.kind is ErrorKind.COORDINATOR_STORE_NONSENSE
        assert "cannot be downgraded" in caught.value.remedy
        assert path.read_bytes() == before

    run(scenario())


def version(path: Path) -> int:
    with sqlite3.connect(path) as database:
        (found,) = database.execute("PRAGMA user_version").fetchone()
    database.close()
    return int(found)
