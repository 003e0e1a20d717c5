"""Well and badly behaved programs, under a stand-in for systemd-run that runs them as its own children."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from tests.fakes.asyncs import run as run_scenario
from tests.fakes.asyncs import until
from tidegate.health.check import CheckResult
from tidegate.helper import transient
from tidegate.helper.transient import OUTPUT_BYTES, SHOWN_CHARS, Job, run

STAND_IN = """#!/bin/sh
while [ "$1" != -- ]; do shift; done
shift
echo $$ > "{pid}"
exec "$@"
"""
SOON_SECS = 1.0
"""Enough for a shell to start and to say something on a busy machine."""


@pytest.fixture
def pid_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the last program's number is; systemd-run is replaced."""
    program, pid_file = tmp_path / "systemd-run", tmp_path / "pid"
    program.write_text(STAND_IN.format(pid=pid_file))
    program.chmod(0o755)
    monkeypatch.setattr(transient, "_SYSTEMD_RUN", (str(program),))
    return pid_file


def sh(script: str, timeout_secs: float = 8) -> CheckResult:
    async def scenario() -> None:
        seen.append(await run(Job("command/a", ("/bin/sh", "-c", script), timeout_secs)))

    seen: list[CheckResult] = []
    run_scenario(scenario())
    return seen[0]


def is_gone(pid_file: Path) -> bool:
    try:
        os.kill(int(pid_file.read_text()), 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.usefixtures("pid_file")
@pytest.mark.parametrize(
    ("script", "passed", "detail"),
    [
        ("exit 0", True, "ended well"),
        ("echo a; echo b", True, "ended well: a b"),
        ("echo out; echo error >&2; exit 3", False, "exit code 3: out error"),
        ("exit 203", False, "exit code 203 from systemd: it cannot be executed: no such program, "),
        ("exit 255", False, "a signal ended it, or it ended with exit code 255"),
        ("kill -9 0", False, "a signal ended it"),
        ("printf '\\033[31mred\\007\\000\\377'; exit 1", False, "exit code 1: [31mred"),
    ],
)
def test_how_a_program_ends(script: str, passed: bool, detail: str) -> None:
    seen = sh(script)
    assert (seen.passed, seen.detail[: len(detail)]) == (passed, detail)
    assert seen.detail.isprintable()


@pytest.mark.usefixtures("pid_file")
def test_of_much_output_the_end_is_kept() -> None:
    seen = sh("yes beginning | head -c 3000000; echo the end; exit 1")
    assert seen.detail.endswith("the end")
    assert len(seen.detail) < SHOWN_CHARS + 50 < OUTPUT_BYTES
    assert "..." in seen.detail


def test_one_that_hangs_is_ended_with_what_it_has_said(pid_file: Path) -> None:
    seen = sh("echo before; exec sleep 60", SOON_SECS)
    assert seen == CheckResult(passed=False, detail="did not end within 1 s and was killed: before")
    assert is_gone(pid_file)


def test_one_that_floods_is_ended(pid_file: Path) -> None:
    seen = sh("exec yes", SOON_SECS)
    assert not seen.passed
    assert "was killed: ..." in seen.detail
    assert is_gone(pid_file)


@pytest.mark.usefixtures("pid_file")
def test_one_that_closes_its_output_and_hangs_is_ended() -> None:
    assert "did not end" in sh("exec >&- 2>&-; sleep 60", SOON_SECS).detail


def test_where_nobody_waits_any_more_it_is_ended(pid_file: Path) -> None:
    async def scenario() -> None:
        task = asyncio.create_task(run(Job("a", ("/bin/sleep", "60"), 60)))
        await until(lambda: pid_file.exists() and pid_file.read_text() != "")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert is_gone(pid_file)

    run_scenario(scenario())


def test_no_systemd_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transient, "_SYSTEMD_RUN", (str(tmp_path / "gone"),))
    assert sh("exit 0") == CheckResult(passed=False, detail="systemd-run cannot be started: No such file or directory")


def test_how_systemd_is_asked() -> None:
    command = Job("required/a b", ("/x", "$HOME", "--${y}", "%n"), 20, ("User=nobody",)).command
    options, program = command[: command.index("--")], command[command.index("--") + 1 :]
    assert program == ("/x", "$$HOME", "--$${y}", "%n")
    assert {"--wait", "--pipe", "--collect", "--quiet"} < set(options)
    assert {"--property=User=nobody", "--property=RuntimeMaxSec=30s", "--property=KillSignal=SIGKILL"} < set(options)
