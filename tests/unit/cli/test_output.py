"""Nothing that others wrote controls a terminal, and an output that cannot be written is said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest
from click.testing import CliRunner

from tests.fakes.snapshots import EVERYTHING
from tidegate.agent_api import client
from tidegate.cli import output, snapshot_file
from tidegate.cli.entry import cli
from tidegate.errors import ErrorKind, TidegateError

CHECKOUT = Path(__file__).resolve().parents[3]
EVIL = "7\x1b]0;PWN\x07\x1b[31mEVIL\x1b[2J\x9b31m\u202e\r\nForged: line\nto do: rm -rf /"


def spoiled(value: object) -> object:
    """A document in which every text is evil, as a false agent would write it."""
    match value:
        case str():
            return EVIL
        case dict():
            return {key: spoiled(one) for key, one in cast("dict[str, object]", value).items()}
        case list():
            return [spoiled(one) for one in cast("list[object]", value)]
        case _:
            return value


@pytest.fixture(name="snapshot", autouse=True)
def _snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "status.json"
    file.write_text(json.dumps(spoiled(dict(EVERYTHING))))
    monkeypatch.setattr(snapshot_file.read, "__defaults__", (str(file),))


def said_by(*argv: str) -> str:
    done = CliRunner().invoke(cli, argv)
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done.output


def assert_harmless(text: str) -> None:
    assert text, "something was said"
    assert all(char.isprintable() or char == "\n" for char in text)
    assert not any(line.lstrip().startswith(("Forged:", "to do: rm")) for line in text.splitlines())


@pytest.mark.parametrize("argv", [("status",), ("history",), ("explain",), ("status", "--json"), ("history", "--json")])
def test_a_snapshot_of_escape_sequences_reaches_no_terminal(argv: Sequence[str]) -> None:
    said = said_by(*argv)
    assert_harmless(said)
    assert "PWN" in said, "it is shown, in escapes"


VERBS = (
    ("check",),
    ("stage",),
    ("apply", "--reason", "x"),
    ("rollback", "--reason", "x"),
    ("resume", "--reason", "x"),
    ("deny", "7", "--reason", "x"),
    ("allow", "7", "--reason", "x"),
    ("reload",),
    ("explain",),
)


@pytest.mark.parametrize("argv", VERBS, ids=lambda argv: argv[0])
@pytest.mark.parametrize("fails", [False, True])
def test_an_answer_of_escape_sequences_reaches_no_terminal(
    argv: Sequence[str], fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answer(*_arguments: object, **_options: object) -> str:
        if fails:
            raise TidegateError(ErrorKind.REBOOT_REFUSED, EVIL, EVIL)
        gate = {"gate": EVIL, "verdict": "wait", "reason": EVIL, "since": EVIL, "until": EVIL, "remedy": EVIL}
        return json.dumps({"gates": [gate], "release": {"version": EVIL}}) if argv[0] == "explain" else EVIL

    monkeypatch.setattr(client, "ask_agent", answer)
    assert_harmless(said_by(*argv))


def test_a_screen_is_cleared_by_the_command_alone(capsys: pytest.CaptureFixture[str]) -> None:
    output.screen(["one", EVIL])
    shown = capsys.readouterr().out
    assert shown.startswith(f"{output.CLEAR}one\n")
    assert_harmless(shown.removeprefix(output.CLEAR))


@pytest.mark.parametrize("argv", [("config", "show"), ("--help",), ("metrics",), ("config", "show", "--json")])
def test_a_full_disk_is_said_in_a_line(argv: Sequence[str]) -> None:
    done = run_into("/dev/full", *argv)
    assert (done.returncode, done.stderr) == (
        1,
        "tidegate: standard output cannot be written: No space left on device\n",
    )


def test_a_reader_that_has_gone_is_no_error_to_speak_of() -> None:
    command = [sys.executable, "-m", "tidegate", "config", "show"]
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        done = subprocess.run(
            command, stdout=pipe, stderr=subprocess.PIPE, text=True, env=environment(), timeout=60, check=False
        )
    assert (done.returncode, done.stderr) == (1, "")


def run_into(path: str, *argv: str) -> subprocess.CompletedProcess[str]:
    with Path(path).open("wb") as sink:
        return subprocess.run(
            [sys.executable, "-m", "tidegate", *argv],
            stdout=sink,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
            timeout=60,
            check=False,
        )


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(CHECKOUT / "agent")}
