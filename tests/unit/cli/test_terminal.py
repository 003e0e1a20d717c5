"""What people see on a terminal: lines that fit, local time beside UTC, colour where it is wanted."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import pytest
from click.testing import CliRunner

from tests.fakes.clock import START
from tests.fakes.snapshots import EVERYTHING
from tidegate.cli import snapshot_file, terminal
from tidegate.cli.entry import cli
from tidegate.cli.terminal import in_colour, rendered, wrapped
from tidegate.clock import Now, SystemClock
from tidegate.printable import moment

SESSIONS = Path(__file__).with_name("sessions")
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
WAITING = {
    "follows": {
        "source": {"kind": "static_graph", "url": "https://releases.example.org/stable.json", "signed": True},
        "strategy": ["periodic", "fleet_lock"],
        "window": {"open": False, "until": "2026-03-14T21:30:00Z"},
    },
    "state": "staged",
    "summary": "2 is staged and waits: periodic: no window is open",
    "gates": [
        {
            "gate": "periodic",
            "verdict": "wait",
            "reason": "no window is open",
            "since": "2026-03-02T09:00:00Z",
            "until": "2026-03-14T21:30:00Z",
            "remedy": "see tidegate windows; or tidegate apply --override periodic --reason TEXT",
        },
        {"gate": "inhibitors", "verdict": "allow", "reason": "", "since": None, "until": None},
    ],
}
CONFIGURATION = """
[updates]
strategy = "periodic"
[updates.periodic]
time_zone = "Europe/Berlin"
exclude = ["2026-03-07..2026-03-08"]
[[updates.periodic.window]]
days = ["Sat", "Sun"]
start_time = "22:30"
length_minutes = 120
"""


@pytest.fixture(name="in_berlin")
def _in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def session(folder: Path, monkeypatch: pytest.MonkeyPatch, columns: int) -> str:
    """What a person reads who types these commands."""
    status, snippet = folder / "status.json", folder / "10.toml"
    status.write_text(json.dumps({**EVERYTHING, **WAITING}), encoding="utf-8")
    snippet.write_text(CONFIGURATION, encoding="utf-8")
    monkeypatch.setattr(snapshot_file.read, "__defaults__", (str(status),))

    def now(_: SystemClock) -> Now:
        return Now(NOW, 0.0)

    def width(_: TextIO) -> int:
        return columns

    monkeypatch.setattr(SystemClock, "now", now)
    monkeypatch.setattr(terminal, "columns", width)
    monkeypatch.chdir(folder)
    typed = ("status", "explain", "history", "windows --config-root . --count 2", "statsu")
    return "".join(f"# tidegate {line}\n{_output(line)}\n" for line in typed)


def _output(line: str) -> str:
    return CliRunner().invoke(cli, line.split(), prog_name="tidegate", catch_exceptions=False).output


@pytest.mark.parametrize("columns", [80, 200])
@pytest.mark.usefixtures("in_berlin")
def test_a_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    """To accept a change: ``TIDEGATE_ACCEPT=1``, and read the difference."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere")
    seen, golden = session(tmp_path, monkeypatch, columns), SESSIONS / f"{columns}.txt"
    if os.environ.get("TIDEGATE_ACCEPT"):
        golden.write_text(seen, encoding="utf-8")
    assert seen == golden.read_text(encoding="utf-8")
    assert max(map(len, seen.splitlines())) <= columns


def test_a_line_continues_below_its_text_and_words_stay_whole() -> None:
    line = "Waits:    periodic: no window is open, see /usr/share/doc/a-long-path/that/cannot/be/broken.toml for more"
    assert wrapped(line, hang=10, columns=48) == [
        "Waits:    periodic: no window is open, see",
        "          /usr/share/doc/a-long-path/that/cannot/be/broken.toml",
        "          for more",
    ]
    assert wrapped("", hang=10, columns=80) == [""]
    assert wrapped("          to do: wait", hang=10, columns=80) == ["          to do: wait"]


def test_without_a_terminal_a_line_stays_a_line() -> None:
    line = "word " * 100 + "end"
    assert [*rendered([line], hang=10, columns=None)] == [line]


def test_only_the_first_mark_of_a_line_is_in_colour() -> None:
    marks = {"WAITS": "yellow"}
    (shown,) = rendered(["  x  WAITS  of a program called WAITS"], hang=0, columns=None, marks=marks)
    assert shown == "  x  \x1b[33m\x1b[1mWAITS\x1b[0m  of a program called WAITS"
    assert [*rendered(["AWAITS xWAITS"], hang=0, columns=None, marks=marks)] == ["AWAITS xWAITS"]


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colour_where_it_is_not_wanted(monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str]) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert in_colour(sys.stdout, {})
    assert in_colour(sys.stdout, {"NO_COLOR": ""})
    assert not in_colour(sys.stdout, environment)


def test_a_real_terminals_width_and_colours(tmp_path: Path) -> None:
    snapshot = tmp_path / "status.json"
    snapshot.write_text(json.dumps(EVERYTHING), encoding="utf-8")
    plain, coloured = (on_a_terminal(snapshot, 60, no_colour=value) for value in ("1", ""))
    assert "\x1b" not in plain
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[\d*m", "", coloured) == plain
    assert max(len(line) for line in plain.splitlines()) <= 60
    assert len(plain.splitlines()) > len(on_a_terminal(snapshot, 300, no_colour="1").splitlines())


SCRIPT = """
import sys
from tidegate.cli import snapshot_file
from tidegate.cli.entry import cli
snapshot_file.read.__defaults__ = (sys.argv[1],)
cli.main(["status"], prog_name="tidegate")
"""


def on_a_terminal(snapshot: Path, columns: int, *, no_colour: str) -> str:
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
    paths = ":".join(path for path in sys.path if path)
    environment = {"PATH": os.environ["PATH"], "TERM": "xterm", "NO_COLOR": no_colour, "PYTHONPATH": paths, "TZ": "UTC"}
    command = [sys.executable, "-c", SCRIPT, str(snapshot)]
    with subprocess.Popen(command, stdin=its, stdout=its, stderr=subprocess.DEVNULL, env=environment):
        os.close(its)
        return _read_all(ours)


def _read_all(terminal_fd: int) -> str:
    read: list[bytes] = []
    try:
        while data := os.read(terminal_fd, 65536):
            read.append(data)
    except OSError:  # how Linux says that the other end is closed
        pass
    finally:
        os.close(terminal_fd)
    return b"".join(read).decode().replace("\r\n", "\n")


@pytest.mark.usefixtures("in_berlin")
def test_local_time_stands_beside_utc_with_its_day() -> None:
    assert moment(datetime(2026, 3, 2, 23, 30, tzinfo=UTC)) == "2026-03-02 23:30 UTC (Tue 00:30 CET)"
    assert (
        moment(datetime(2026, 7, 2, 9, 5, 7, tzinfo=UTC), seconds=True) == "2026-07-02 09:05:07 UTC (Thu 11:05:07 CEST)"
    )


def test_a_host_on_utc_says_it_once() -> None:
    assert moment(START) == "2026-03-02 10:00 UTC"


def test_the_zone_may_change_while_an_agent_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert moment(START) == "2026-03-02 10:00 UTC"
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert moment(START) == "2026-03-02 10:00 UTC (Mon 19:00 JST)"
    monkeypatch.undo()
    assert moment(START) == "2026-03-02 10:00 UTC"
