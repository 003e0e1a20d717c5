"""The store in SQLite: locking, crashes, damage, and a full disk."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fakes.asyncs import run
from tests.fakes.clock import FakeClock
from tidegate.coordinator.group_store import StoredGroups
from tidegate.coordinator.model import Call, Granted, Released, Rules
from tidegate.coordinator.service import LockService
from tidegate.coordinator.store.sqlite import open_sqlite
from tidegate.coordinator.store.sqlite_schema import SCHEMA_VERSION
from tidegate.errors import ErrorKind, TidegateError
from tidegate.fleetlock.protocol import ClientParams, Verb

READY_SECS = 20.0

WRITER = """
import asyncio, sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from tidegate.clock import SystemClock
from tidegate.coordinator.model import Call, Granted, Rules
from tidegate.coordinator.service import LockService
from tidegate.coordinator.group_store import StoredGroups
from tidegate.coordinator.store.sqlite import open_sqlite
from tidegate.fleetlock.protocol import ClientParams, Verb

async def main() -> None:
    store = await open_sqlite(Path(sys.argv[1]))
    async with LockService(StoredGroups(store), SystemClock(), {"g": Rules(slots=100_000)}) as locks:
        for n in range(100_000):
            call = Call(Verb.PRE_REBOOT, ClientParams(f"h{n}", "g"), "::1")
            assert isinstance(await locks.call(call), Granted)
            print(n, flush=True)

asyncio.run(main())
"""


def call(verb: Verb, host: str) -> Call:
    return Call(verb, ClientParams(host, "g"), "::1")


@contextmanager
def largest_file(size_bytes: int) -> Generator[None, None, None]:
    """No file of this process can be written beyond that: as good as a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def refused(path: Path, kind: ErrorKind, text: str) -> None:
    with pytest.raises(TidegateError, match=text) as caught:
        await open_sqlite(path)
    assert caught.value.kind is kind
    assert str(path) in caught.value.message
    assert caught.value.remedy


def test_two_cannot_use_one_file(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = tmp_path / "locks.db"
        store = await open_sqlite(path)
        await refused(path, ErrorKind.COORDINATOR_STORE_UNAVAILABLE, "in use by another process")
        writer = [sys.executable, "-c", WRITER, str(path)]
        other = await asyncio.create_subprocess_exec(*writer, stderr=asyncio.subprocess.PIPE)
        _, told = await other.communicate()
        assert b"is in use by another process" in told
        await store.check()
        await store.aclose()
        await (await open_sqlite(path)).aclose()

    run(scenario())


def test_what_was_granted_survives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "locks.db"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for _ in range(20):
            assert writer.stdout.readline()
        os.kill(writer.pid, signal.SIGKILL)
        told = 20 + len(writer.stdout.readlines())

    async def scenario() -> None:
        store = await open_sqlite(path)
        holders = (await StoredGroups(store).read("g")).state.semaphore.holders
        assert {f"h{n}" for n in range(told)} <= {*holders}
        assert len(holders) - told in {0, 1}
        await store.aclose()

    run(scenario())


def test_a_commit_waits_for_the_disk(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = tmp_path / "locks.db"
        await (await open_sqlite(path)).aclose()
        with sqlite3.connect(path) as database:
            assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            assert database.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        database.close()

    run(scenario())


def test_what_is_no_store_of_locks_is_left_alone(tmp_path: Path) -> None:
    async def scenario() -> None:
        text, other, newer = tmp_path / "text", tmp_path / "other.db", tmp_path / "newer.db"
        text.write_text("This is not a database. " * 100)
        await refused(text, ErrorKind.COORDINATOR_STORE_NONSENSE, "not a database")
        assert text.read_text().startswith("This is")
        with sqlite3.connect(other) as database:
            database.execute("CREATE TABLE recipes (name TEXT)")
        database.close()
        await refused(other, ErrorKind.COORDINATOR_STORE_NONSENSE, "another program")
        await (await open_sqlite(newer)).aclose()
        with sqlite3.connect(newer) as database:
            database.execute("PRAGMA user_version = 99")
        database.close()
        await refused(newer, ErrorKind.COORDINATOR_STORE_NONSENSE, "newer version")
        await refused(tmp_path / "no" / "folder.db", ErrorKind.COORDINATOR_STORE_UNAVAILABLE, "unable to open")

    run(scenario())


def test_damage_to_a_record_is_named_and_left_alone(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = tmp_path / "locks.db"
        store = await open_sqlite(path)
        async with LockService(StoredGroups(store), FakeClock(), {"g": Rules(slots=1)}) as locks:
            await locks.call(call(Verb.PRE_REBOOT, "a"))
        await store.aclose()
        with sqlite3.connect(path) as database:
            database.execute("UPDATE documents SET value = 'x' WHERE key LIKE '%/holders/%'")
        database.close()
        store = await open_sqlite(path)
        with pytest.raises(TidegateError, match="not JSON") as caught:
            await StoredGroups(store).read("g")
        assert caught.value.kind is ErrorKind.COORDINATOR_STORE_NONSENSE
        await store.aclose()

    run(scenario())


def test_a_full_disk_is_said_to_be_one_and_got_over(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = await open_sqlite(tmp_path / "locks.db")
        clock = FakeClock()
        async with LockService(StoredGroups(store), clock, {"g": Rules(slots=100_000)}, timeout_secs=0.3) as locks:
            assert isinstance(await locks.call(call(Verb.PRE_REBOOT, "first")), Granted)
            with largest_file(0), pytest.raises(TidegateError, match=r"/locks[.]db: ") as caught:
                await locks.call(call(Verb.PRE_REBOOT, "second"))
            assert caught.value.kind is ErrorKind.COORDINATOR_STORE_UNAVAILABLE
            assert await locks.call(call(Verb.STEADY_STATE, "first")) == Released(held=True)
        await store.aclose()

    run(scenario())


def remove(path: Path) -> None:
    path.unlink()


def remove_with_its_log(path: Path) -> None:
    path.unlink()
    path.with_name(path.name + "-wal").unlink(missing_ok=True)


def remove_its_log(path: Path) -> None:
    path.with_name(path.name + "-wal").unlink()


def move(path: Path) -> None:
    path.rename(path.with_name("elsewhere.db"))


@pytest.mark.parametrize("lose", [remove, remove_with_its_log, remove_its_log, move])
def test_a_file_that_is_removed_while_it_serves_grants_nothing_and_keeps_who_holds_slots(
    tmp_path: Path, lose: Callable[[Path], None]
) -> None:
    path = tmp_path / "locks.db"

    async def scenario() -> None:
        store = await open_sqlite(path)
        async with LockService(StoredGroups(store), FakeClock(), {"g": Rules(slots=1)}) as locks:
            assert isinstance(await locks.call(call(Verb.PRE_REBOOT, "a")), Granted)
            lose(path)
            for _ in range(2):
                with pytest.raises(TidegateError, match="was removed while it was in use") as caught:
                    await locks.check()
                assert caught.value.kind is ErrorKind.COORDINATOR_STORE_NONSENSE
                for host in ("a", "b"):
                    with pytest.raises(TidegateError, match="its content "):
                        await locks.call(call(Verb.PRE_REBOOT, host))
        await store.aclose()
        await holds_after_a_restart(path)

    run(scenario())


async def holds_after_a_restart(path: Path) -> None:
    store = await open_sqlite(path)
    async with LockService(StoredGroups(store), FakeClock(), {"g": Rules(slots=1)}) as locks:
        assert not isinstance(await locks.call(call(Verb.PRE_REBOOT, "b")), Granted)
        assert isinstance(await locks.call(call(Verb.PRE_REBOOT, "a")), Granted)
    await store.aclose()


def test_a_file_that_was_removed_is_written_again_when_the_coordinator_stops(tmp_path: Path) -> None:
    path = tmp_path / "locks.db"

    async def scenario() -> None:
        store = await open_sqlite(path)
        async with LockService(StoredGroups(store), FakeClock(), {"g": Rules(slots=1)}) as locks:
            await locks.call(call(Verb.PRE_REBOOT, "a"))
            path.unlink()
        await store.aclose()
        await holds_after_a_restart(path)

    run(scenario())


def test_a_file_that_took_the_place_of_the_one_in_use_is_left_alone(tmp_path: Path) -> None:
    path, other = tmp_path / "locks.db", tmp_path / "other.db"

    async def scenario() -> None:
        await (await open_sqlite(other)).aclose()
        store = await open_sqlite(path)
        async with LockService(StoredGroups(store), FakeClock(), {"g": Rules(slots=1)}) as locks:
            await locks.call(call(Verb.PRE_REBOOT, "a"))
            before = other.read_bytes()
            other.rename(path)
            with pytest.raises(TidegateError, match=r"was replaced while it was in use; what it had is in .*\.saved"):
                await locks.check()
        await store.aclose()
        assert path.read_bytes() == before
        await holds_after_a_restart(path.with_name("locks.db.saved"))

    run(scenario())
