"""Writing to people's terminals.

What reaches a terminal is what write(1) and wall(1) may write as well: a member of the group ``tty`` writes where the
mode lets the group, and ``mesg n`` takes that away. A terminal that is stopped (Ctrl-S) or full stalls nobody: what it
does not take at once is lost.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tidegate.gates.base import Notice

DEVICES = Path("/dev")

MAX_CHARS = 2000
"""Of a notice: some lines."""

_TERMINAL = re.compile(r"pts/[0-9]{1,10}|tty[0-9]{1,3}", re.ASCII)
_BELL = "\a"
_NO_MESSAGES = "takes no messages (mesg n)"


@dataclass(frozen=True, slots=True)
class Untold:
    """A terminal that the notice has not reached, and why."""

    terminal: str
    why: str


def tell(notice: Notice, devices: Path = DEVICES) -> tuple[Untold, ...]:
    """Write ``notice`` to its terminals; gives those that it has not reached. Waits for nothing."""
    message = as_written(notice.text)
    tried = ((terminal, _write(terminal, message, devices)) for terminal in notice.terminals)
    return tuple(Untold(terminal, why) for terminal, why in tried if why is not None)


def as_written(text: str) -> bytes:
    """``text`` between empty lines, with a bell and without anything that a terminal would obey."""
    lines = ["", *text[:MAX_CHARS].split("\n"), "", ""]
    return (_BELL + "\r\n".join("".join(_harmless(line)) for line in lines)).encode()


def _harmless(line: str) -> Iterator[str]:
    return (char if char.isprintable() else "?" for char in line)


def _write(terminal: str, message: bytes, devices: Path) -> str | None:
    """Why it could not be written, or None."""
    if not _TERMINAL.fullmatch(terminal):
        return "not a terminal that is written to"
    try:
        descriptor = os.open(
            devices / terminal, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        )
    except OSError as err:
        return _NO_MESSAGES if err.errno == errno.EACCES else err.strerror
    try:
        return _write_to(descriptor, message)
    except BlockingIOError:
        return "stopped"
    except OSError as err:
        return err.strerror
    finally:
        os.close(descriptor)


def _write_to(descriptor: int, message: bytes) -> str | None:
    if not os.isatty(descriptor):
        return "no terminal"
    if not os.fstat(descriptor).st_mode & stat.S_IWGRP:  # root could write all the same
        return _NO_MESSAGES
    return None if os.write(descriptor, message) == len(message) else "stopped or slow: took a part of it"
