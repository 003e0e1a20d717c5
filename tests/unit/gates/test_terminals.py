"""Notices on real terminals: pairs of pseudo-terminals, of which the test is the person in front."""

from __future__ import annotations

import os
import subprocess
import sys
import termios
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fakes.clock import START
from tidegate.gates.base import Notice
from tidegate.gates.terminals import DEVICES, MAX_CHARS, Undelivered, deliver, encoded

WITH_MESSAGES, WITHOUT = 0o620, 0o600


@dataclass(frozen=True, slots=True)
class Terminal:
    """``name`` is what logind calls it; ``screen`` is where the person reads."""

    name: str
    screen: int
    inside: int

    def shown(self) -> bytes:
        """Everything that was written."""
        os.set_blocking(self.screen, False)
        try:
            return os.read(self.screen, 65536)
        except BlockingIOError:
            return b""


@pytest.fixture
def terminal() -> Generator[Terminal]:
    """A terminal that takes messages."""
    screen, inside = os.openpty()
    path = Path(os.ttyname(inside))
    path.chmod(WITH_MESSAGES)
    yield Terminal(str(path.relative_to(DEVICES)), screen, inside)
    os.close(screen)
    os.close(inside)


def notice(*terminals: str, text: str = "One.\nTwo.") -> Notice:
    return Notice(text, START, terminals)


def test_users_read_it(terminal: Terminal) -> None:
    assert deliver(notice(terminal.name)) == ()
    shown = terminal.shown()
    assert shown.startswith(b"\a\r")
    assert b"One.\r" in shown
    assert b"Two.\r" in shown


TELL_WITHOUT_A_TERMINAL = """
import os, sys
from datetime import UTC, datetime
from tidegate.gates.base import Notice
from tidegate.gates.terminals import deliver
assert deliver(Notice("Hello.", datetime(2026, 3, 2, tzinfo=UTC), (sys.argv[1],))) == ()
try:
    os.open("/dev/tty", os.O_RDWR)
except OSError:
    sys.exit(0)
sys.exit("it has a controlling terminal now")
"""


def test_it_does_not_become_the_agents_controlling_terminal(terminal: Terminal) -> None:
    """A hangup there would end the agent."""
    command = [sys.executable, "-c", TELL_WITHOUT_A_TERMINAL, terminal.name]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, start_new_session=True, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_terminal_that_takes_no_messages_is_left_alone(terminal: Terminal) -> None:
    (DEVICES / terminal.name).chmod(WITHOUT)
    assert deliver(notice(terminal.name)) == (Undelivered(terminal.name, "takes no messages (mesg n)"),)
    assert terminal.shown() == b""


def test_a_stopped_terminal_does_not_block(terminal: Terminal) -> None:
    termios.tcflow(terminal.inside, termios.TCOOFF)
    assert deliver(notice(terminal.name)) == (Undelivered(terminal.name, "stopped"),)
    termios.tcflow(terminal.inside, termios.TCOON)
    assert deliver(notice(terminal.name)) == ()


def test_a_full_terminal_does_not_block(terminal: Terminal) -> None:
    results = [deliver(notice(terminal.name, text="x" * MAX_CHARS)) for _ in range(200)]
    assert results[0] == ()
    (last,) = results[-1]
    assert last.why.startswith("stopped")


def test_one_that_is_gone_does_not_keep_it_from_the_next(terminal: Terminal) -> None:
    assert deliver(notice("pts/4294967", terminal.name)) == (Undelivered("pts/4294967", "No such file or directory"),)
    assert b"One." in terminal.shown()


@pytest.mark.parametrize(
    "name",
    ["", "null", "../etc/passwd", "pts/../null", "pts/", "pts/1/2", "ttyS0", "/dev/tty1", "pts/1\n", "pts/\u0663"],
)
def test_what_is_not_called_like_a_terminal_is_not_opened(name: str) -> None:
    assert deliver(notice(name)) == (Undelivered(name, "not the name of a terminal"),)


def test_other_files_are_not_written_to(tmp_path: Path, terminal: Terminal) -> None:
    (tmp_path / "pts").mkdir()
    (tmp_path / "tty1").write_text("kept", encoding="utf-8")
    os.mkfifo(tmp_path / "tty2")
    (tmp_path / "tty3").symlink_to(DEVICES / terminal.name)
    reader = os.open(tmp_path / "tty2", os.O_RDONLY | os.O_NONBLOCK)
    undelivered = {one.terminal: one.why for one in deliver(notice("tty1", "tty2", "tty3"), tmp_path)}
    os.close(reader)
    assert undelivered == {
        "tty1": "not a terminal",
        "tty2": "not a terminal",
        "tty3": "Too many levels of symbolic links",
    }
    assert (tmp_path / "tty1").read_text(encoding="utf-8") == "kept"
    assert terminal.shown() == b""


def test_control_characters_are_replaced() -> None:
    written = encoded("a\x1b]0;gotcha\x07b\x9b31m\rc\nd")
    assert written == b"\a\r\na?]0;gotcha?b?31m?c\r\nd\r\n\r\n"


def test_a_notice_is_cut_off() -> None:
    assert len(encoded("x" * 10 * MAX_CHARS)) < MAX_CHARS + 10
