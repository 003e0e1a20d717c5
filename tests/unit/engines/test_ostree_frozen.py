"""A command that meets a frozen file system is run again, for as long as a snapshot may take."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tidegate.engines.ostree.cli import OstreeCli
from tidegate.engines.ostree.limits import Limits
from tidegate.errors import TidegateError
from tidegate.system import process

FROZEN = "error: Remounting /sysroot read-write: Device or resource busy"
AT_ONCE = Limits(frozen_pauses_secs=(0.0, 0.0))
RUNS = 1 + len(AT_ONCE.frozen_pauses_secs)


def undeploy(monkeypatch: pytest.MonkeyPatch, *stderrs: str) -> tuple[int, str]:
    """Undeploy with an ostree that prints these, one a run, and fails where it prints something.

    Gives the number of runs and the error in the end.
    """
    runs = 0

    async def run(
        argv: Sequence[str], *, deadline_secs: float, watch: process.Watch | None = None
    ) -> process.Completed:
        nonlocal runs
        stderr = stderrs[runs]
        runs += 1
        await asyncio.sleep(0)
        return process.Completed(tuple(argv), 1 if stderr else 0, "", stderr)

    monkeypatch.setattr(process, "run", run)
    try:
        asyncio.run(OstreeCli(limits=AT_ONCE).admin("undeploy", "1", doing="undeploying 1"))
    except TidegateError as error:
        return runs, error.message
    return runs, ""


def test_what_meets_no_frozen_file_system_is_run_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert undeploy(monkeypatch, "") == (1, "")
    denied = "Remounting /sysroot read-write: Permission denied"
    assert undeploy(monkeypatch, f"error: {denied}") == (1, f"undeploying 1: {denied}")


def test_what_meets_one_is_run_until_it_is_thawed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert undeploy(monkeypatch, FROZEN, "") == (2, "")
    assert undeploy(monkeypatch, FROZEN, FROZEN, "") == (3, "")
    assert undeploy(monkeypatch, FROZEN, "error: no such index") == (2, "undeploying 1: no such index")


def test_one_that_stays_frozen_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    assert undeploy(monkeypatch, *[FROZEN] * RUNS) == (RUNS, f"undeploying 1: {FROZEN.removeprefix('error: ')}")


def test_the_pauses_last_as_long_as_a_snapshot() -> None:
    assert sum(Limits().frozen_pauses_secs) == 20
