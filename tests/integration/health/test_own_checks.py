"""The checks that the agent runs itself: units over a real bus, files with a fake clock."""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.fakes.asyncs import run
from tests.fakes.clock import FakeClock
from tests.fakes.private_bus import private_bus, two
from tests.fakes.systemd1 import FakeSystemd1
from tidegate.errors import ErrorKind, TidegateError
from tidegate.health import file
from tidegate.health.base import Weight
from tidegate.health.boot import BootComplete
from tidegate.health.check import CheckResult
from tidegate.health.checks.file import FileCheck
from tidegate.health.checks.unit import UnitCheck
from tidegate.health.failed_units import NoFailedUnits
from tidegate.health.file import FileState
from tidegate.health.unit import UnitActive
from tidegate.services.systemd import Systemd, UnitState

ACTIVE = UnitState("loaded", "active", "running")
FAILED = UnitState("loaded", "failed", "failed")
CLOCK = FakeClock()
NOW_SECS = CLOCK.now().wall.timestamp()


@pytest.fixture(scope="module")
def address() -> Generator[str]:
    """Where a real dbus-daemon listens."""
    with private_bus() as bus:
        yield bus.address


@asynccontextmanager
async def systemd(address: str, **units: UnitState) -> AsyncGenerator[Systemd]:
    """A systemd with these units, ``a`` being ``a.service``."""
    async with two(address) as (its, ours):
        await FakeSystemd1({f"{name}.service": state for name, state in units.items()}).serve(its)
        yield Systemd(ours)


@pytest.mark.parametrize(
    ("state", "passed", "detail"),
    [
        (ACTIVE, True, "web.service is active"),
        (UnitState("loaded", "active", "exited"), True, "web.service is active"),
        (UnitState("loaded", "reloading", "reload"), True, "web.service is reloading"),
        (UnitState("loaded", "activating", "auto-restart"), False, "activating (auto-restart)"),
        (UnitState("loaded", "inactive", "dead"), False, "inactive (dead); see: systemctl status web.service"),
        (FAILED, False, "failed (failed)"),
        (UnitState("masked", "inactive", "dead"), False, "web.service is masked"),
        (UnitState("not-found", "inactive", "dead"), False, "there is no web.service"),
    ],
)
def test_a_unit(address: str, state: UnitState, passed: bool, detail: str) -> None:
    async def scenario() -> None:
        async with systemd(address, web=state) as asked:
            check = UnitActive(UnitCheck("w", "web.service", "advisory"), asked)
            assert (check.name, check.weight) == ("unit/w", Weight.ADVISORY)
            result = await check.run()
            assert (result.passed, detail in result.detail) == (passed, True), result

    run(scenario())


@pytest.mark.parametrize(("active", "passed"), [("active", True), ("inactive", False), ("activating", False)])
def test_the_target_of_a_boot(address: str, active: str, passed: bool) -> None:
    async def scenario() -> None:
        async with two(address) as (its, ours):
            await FakeSystemd1({"boot-complete.target": UnitState("loaded", active, active)}).serve(its)
            result = await BootComplete(Systemd(ours)).run()
            assert result.passed is passed
            assert active in result.detail or passed

    run(scenario())


def test_units_that_had_failed_before_are_excused(address: str) -> None:
    async def scenario() -> None:
        async with systemd(address, a=FAILED, b=ACTIVE, c=FAILED) as asked:
            assert await asked.failed_units() == {"a.service", "c.service"}
            result = await NoFailedUnits(asked, frozenset({"a.service"})).run()
            assert result == CheckResult(passed=False, detail="failed: c.service; see: systemctl --failed")
            result = await NoFailedUnits(asked, frozenset({"a.service", "b.service", "c.service"})).run()
            assert result.passed
            assert "a.service, c.service" in result.detail

    run(scenario())


def test_many_failed_units_fit_on_a_line(address: str) -> None:
    async def scenario() -> None:
        async with systemd(address, **{f"u{number:02}": FAILED for number in range(30)}) as asked:
            result = await NoFailedUnits(asked, frozenset()).run()
            assert "u09.service and 20 more" in result.detail

    run(scenario())


def file_check(path: Path, state: str = "present", max_age_secs: int | None = None) -> CheckResult:
    async def scenario() -> None:
        result.append(await FileState(FileCheck("f", str(path), state, max_age_secs), CLOCK).run())

    result: list[CheckResult] = []
    run(scenario())
    return result[0]


def written(path: Path, secs_ago: float) -> Path:
    path.touch()
    os.utime(path, (NOW_SECS - secs_ago, NOW_SECS - secs_ago))
    return path


@pytest.mark.parametrize(("state", "there", "passed"), [("present", 1, 1), ("present", 0, 0), ("absent", 1, 0)])
def test_a_file_that_exists_or_not(tmp_path: Path, state: str, there: int, passed: int) -> None:
    path = tmp_path / "x"
    if there:
        path.touch()
    assert file_check(path, state).passed is bool(passed)


def test_a_file_that_is_gone_is_absent_and_so_is_one_below_a_file(tmp_path: Path) -> None:
    assert file_check(tmp_path / "x", "absent").passed
    assert file_check(written(tmp_path / "f", 0) / "below", "absent").passed


@pytest.mark.parametrize(
    ("secs_ago", "passed", "detail"),
    [
        (0, True, "0 s ago"),
        (60, True, "1 min ago"),
        (61, False, "1 min ago, more than 60 s"),
        (-1, True, "0 s ago"),
        (-7200, False, "2 h 0 min ahead of the clock, which is wrong"),
    ],
)
def test_the_age_of_a_file(tmp_path: Path, secs_ago: float, passed: bool, detail: str) -> None:
    result = file_check(written(tmp_path / "x", secs_ago), max_age_secs=60)
    assert (result.passed, detail in result.detail) == (passed, True), result


def test_a_file_that_cannot_be_inspected(tmp_path: Path) -> None:
    with pytest.raises(TidegateError) as caught:
        file_check(tmp_path / ("x" * 300))
    assert caught.value.kind is ErrorKind.HEALTH_UNREADABLE
    assert "File name too long" in caught.value.message


def test_a_kernel_that_does_not_answer_costs_one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers, threads = threading.Event(), list[str]()

    real = os.stat

    def stat(path: str, **how: object) -> os.stat_result:
        thread = threading.current_thread().name
        if thread == "stat":  # and no other calls
            threads.append(thread)
            answers.wait(5)
        return real(path, **how)  # type: ignore[arg-type]  # whatever others pass

    async def scenario() -> None:
        check = FileState(FileCheck("f", str(tmp_path)), CLOCK)
        for _probe in range(3):
            with pytest.raises(TidegateError, match="has not answered"):
                await check.run()
        assert len(threads) == 1
        answers.set()
        monkeypatch.setattr(file, "STAT_TIMEOUT_SECS", 5.0)
        assert (await check.run()).passed

    monkeypatch.setattr(os, "stat", stat)
    monkeypatch.setattr(file, "STAT_TIMEOUT_SECS", 0.02)
    run(scenario())
