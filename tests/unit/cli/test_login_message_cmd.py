"""The message for people who log in: made by root from fields, whatever is in the folder of the agent."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.fakes.snapshots import EVERYTHING
from tidegate.cli.entry import cli
from tidegate.report.motd import notices

EVIL = "\x1b]0;PWN\x07\x1b[2J\nForged: line"


@pytest.fixture(name="snapshot")
def _snapshot(tmp_path: Path) -> Path:
    (tmp_path / "public").mkdir()
    return tmp_path / "public/status.json"


@pytest.fixture(name="message")
def _message(tmp_path: Path) -> Path:
    return tmp_path / "motd.d/60-tidegate"


def run(snapshot: Path, message: Path) -> Result:
    return CliRunner().invoke(cli, ["login-message", "--snapshot", str(snapshot), "--message", str(message)])


def test_the_message_comes_and_goes_with_what_the_snapshot_says(snapshot: Path, message: Path) -> None:
    snapshot.write_text(json.dumps(EVERYTHING))
    assert run(snapshot, message).exit_code == 0
    assert message.read_text() == notices(EVERYTHING).motd != ""
    assert message.stat().st_mode & 0o777 == 0o644
    snapshot.write_text("{}")
    assert run(snapshot, message).exit_code == 0
    assert not message.exists()


@pytest.mark.parametrize("put", ["fifo", "link", "nonsense", "huge", "nothing"])
def test_what_is_no_snapshot_makes_no_message_and_hangs_nothing(snapshot: Path, message: Path, put: str) -> None:
    message.parent.mkdir()
    message.symlink_to("/run/tidegate/public/motd")  # that of an earlier version
    match put:
        case "fifo":
            os.mkfifo(snapshot)
        case "link":
            snapshot.symlink_to("/etc/shadow")
        case "nonsense":
            snapshot.write_text("[" * 100_000)
        case "huge":
            with snapshot.open("wb") as file:
                file.truncate(64 * 1024 * 1024)
        case _:
            pass
    assert run(snapshot, message).exit_code == 0
    assert not message.is_symlink()
    assert not message.exists()


def test_no_escape_sequence_reaches_a_login(snapshot: Path, message: Path) -> None:
    staged = {"version": EVIL, "payload": "bb", "locked": True}
    spoiled = {**EVERYTHING, "state": "failed", "summary": EVIL, "staged": staged, "blocked_by": [EVIL, 3]}
    for one in (spoiled, {"staged": staged, "blocked_by": [EVIL] * 1000}):
        snapshot.write_text(json.dumps(one))
        run(snapshot, message)
        text = message.read_text()
        assert all(char.isprintable() or char == "\n" for char in text)
        assert "\nForged" not in text
        assert len(text) < 8192
