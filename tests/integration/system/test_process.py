"""Child processes: their output, their deadline, the end of their process group."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tidegate.errors import ErrorKind, TidegateError
from tidegate.system import process

PATIENCE_SECS = 20
SOON_SECS = 1.0
"""Enough for a shell to start and to say something on a busy machine."""


def run(script: str, deadline_secs: float = 10, watch: process.Watch | None = None) -> process.Completed:
    """Run a shell script as a child."""
    return asyncio.run(process.run(("/bin/sh", "-c", script), deadline_secs=deadline_secs, watch=watch))


def gone(pid_file: Path) -> bool:
    """Whether the process whose pid a child wrote down is gone, or a zombie that init will reap: at once, or as soon as
    a busy machine has carried out the signal."""
    status = Path(f"/proc/{pid_file.read_text(encoding='ascii').strip()}/status")
    for _ in range(PATIENCE_SECS * 100):
        if not status.exists() or "State:\tZ" in status.read_text(encoding="ascii"):
            return True
        time.sleep(0.01)
    return False


def test_both_outputs_and_the_exit_code() -> None:
    done = run("echo out; echo err >&2; exit 3")
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")


def test_the_environment_is_fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://elsewhere")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    lines = run("env").stdout.splitlines()
    assert "LC_ALL=C.UTF-8" in lines
    assert not [line for line in lines if "proxy" in line]


def test_nobody_can_be_asked() -> None:
    assert run("cat; echo end").stdout == "end\n"


def test_of_a_flood_the_end_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "OUTPUT_LIMIT_BYTES", 1000)
    out = run("head -c 500000 /dev/zero | tr '\\0' x; echo last").stdout
    assert len(out) == 1000
    assert out.endswith("last\n")


def test_the_deadline_ends_the_whole_group(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with pytest.raises(TidegateError, match="did not end within 1 s") as caught:
        run(f"sleep 60 & echo $! > {pid_file}; wait", deadline_secs=SOON_SECS)
    assert caught.value.kind is ErrorKind.ENGINE_TIMEOUT
    assert gone(pid_file)


def test_a_grandchild_that_holds_the_pipes_does_not_hold_us(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with pytest.raises(TidegateError, match="did not end"):
        run(f"sleep 60 & echo $! > {pid_file}", deadline_secs=SOON_SECS)
    assert gone(pid_file)


def test_cancelling_ends_the_child(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"

    async def cancel() -> None:
        up = asyncio.Event()
        watch = process.Watch(lambda _: up.set(), 60)
        script = ("/bin/sh", "-c", f"echo $$ > {pid_file}; echo up; sleep 60")
        task = asyncio.create_task(process.run(script, deadline_secs=60, watch=watch))
        await up.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert gone(pid_file)


def test_a_watched_child_has_a_terminal() -> None:
    seen: list[str] = []
    done = run("test -t 1 && stty size <&1; echo oops >&2", watch=process.Watch(seen.append, 5))
    assert "".join(seen).split() == ["24", "200"]
    assert done.stderr == "oops\n"


def test_silence_under_watch_counts_as_a_hang() -> None:
    with pytest.raises(TidegateError, match="printed nothing for 1 s") as caught:
        run("echo begin; sleep 60", watch=process.Watch(lambda _: None, SOON_SECS))
    assert caught.value.kind is ErrorKind.ENGINE_TIMEOUT


def test_a_program_that_is_missing() -> None:
    with pytest.raises(TidegateError, match="no-such-program is not installed") as caught:
        asyncio.run(process.run(("no-such-program",), deadline_secs=1))
    assert caught.value.kind is ErrorKind.ENGINE_UNSUPPORTED_HOST
