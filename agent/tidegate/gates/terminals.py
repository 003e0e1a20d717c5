"""Write a notice to users' terminals.

The rules are those of write(1) and wall(1): a member of the group ``tty`` may write where the mode lets the group, and
``mesg n`` clears that bit. Writes do not block: what a stopped (Ctrl-S) or full terminal does not accept is dropped.
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
"""Of a notice, which is a few lines; the rest is cut off."""

_TERMINAL = re.compile(r"pts/[0-9]{1,10}|tty[0-9]{1,3}", re.ASCII)
_BELL = "\a"
_NO_MESSAGES = "takes no messages (mesg n)"


@dataclass(frozen=True, slots=True)
class Undelivered:
    """A terminal that a notice could not be written to, and why."""

    terminal: str
    why: str


def deliver(notice: Notice, devices: Path = DEVICES) -> tuple[Undelivered, ...]:
    """Write ``notice`` to each of its terminals, without blocking. Returns those on which that failed."""
    message = encoded(notice.text)
    results = ((terminal, _write(terminal, message, devices)) for terminal in notice.terminals)
    return tuple(Undelivered(terminal, why) for terminal, why in results if why is not None)


def encoded(text: str) -> bytes:
    """``text`` with a bell, between empty lines; control characters, which a terminal would obey, become ``?``."""
    lines = ["", *text[:MAX_CHARS].split("\n"), "", ""]
    return (_BELL + "\r\n".join("".join(_printable(line)) for line in lines)).encode()


def _printable(line: str) -> Iterator[str]:
    return (char if char.isprintable() else "?" for char in line)


def _write(terminal: str, message: bytes, devices: Path) -> str | None:
    """Why the message was not written completely; None where it was."""
    if not _TERMINAL.fullmatch(terminal):
        return "not the name of a terminal"
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
        return "not a terminal"
    if not os.fstat(descriptor).st_mode & stat.S_IWGRP:  # root could write nevertheless
        return _NO_MESSAGES
    return None if os.write(descriptor, message) == len(message) else "stopped or slow: accepted a part of it"
