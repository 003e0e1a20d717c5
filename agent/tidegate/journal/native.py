"""The native protocol of the journal, and its fallback, lines on standard error.

journald takes an entry as one datagram of fields: the message, its priority, its kind (``MESSAGE_ID``), and further
fields to search by. Where the process does not log to the journal, the message alone goes to standard error.

Source: "Native Journal Protocol" (systemd.io/JOURNAL_NATIVE_PROTOCOL) and sd-daemon(3) for the lines. A field is
``NAME=value`` and a newline; a value with newlines in it has its length, in 64 bits, in place of the ``=``. What is too
large for a datagram goes into a sealed memfd, whose descriptor is sent instead.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Protocol, TextIO

SOCKET = "/run/systemd/journal/socket"
STDERR_FD = 2
IDENTIFIER = "tidegate"

WARNING = 4

_TOO_LARGE = frozenset({errno.EMSGSIZE, errno.ENOBUFS})
"""The errors of a datagram that is larger than the socket's buffer (unix(7))."""

_SEALED = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
"""journald maps the memfd, and accepts only one that cannot change any more."""

Fields = Mapping[str, str]
"""The fields of an entry, ``MESSAGE`` and ``PRIORITY`` among them. Names are capitals, digits and underscores."""


class Sink(Protocol):
    """The destination of entries. Writing one never fails and never blocks."""

    def write(self, fields: Fields) -> None:
        """Write one entry."""
        ...


def sink_of_process(environment: Mapping[str, str] = os.environ, stderr_fd: int = STDERR_FD) -> Sink:
    """Return the journal where standard error is connected to it, else lines on standard error."""
    if _is_journal(environment.get("JOURNAL_STREAM", ""), stderr_fd):
        return NativeJournal()
    return Lines(sys.stderr)


def _is_journal(stream: str, fd: int) -> bool:
    """Compare with ``JOURNAL_STREAM``, device and inode of what systemd connected: it may be redirected since."""
    try:
        seen = os.fstat(fd)
    except OSError:
        return False
    return stream == f"{seen.st_dev}:{seen.st_ino}"


class NativeJournal:
    """Sends to journald. An entry that it does not accept at once is dropped and counted, so that logging never blocks.

    Each entry names the address of the socket, so that a restarted journald is reached again.
    """

    def __init__(self, address: str = SOCKET) -> None:
        self.lost = 0
        """Entries dropped since the last one that arrived."""
        self._address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)

    def write(self, fields: Fields) -> None:
        """Send one entry; the first after lost entries is followed by one with their number."""
        if not self._send(encoded({**fields, "SYSLOG_IDENTIFIER": IDENTIFIER})):
            self.lost += 1
        elif self.lost:
            lost, self.lost = self.lost, 0
            self.write({"MESSAGE": f"the journal did not take {lost} messages before this", "PRIORITY": str(WARNING)})

    def close(self) -> None:
        """Close the socket; entries written from then on are lost."""
        self._socket.close()

    def _send(self, entry: bytes) -> bool:
        try:
            self._socket.sendto(entry, self._address)
        except OSError as err:
            return err.errno in _TOO_LARGE and self._send_large(entry)
        return True

    def _send_large(self, entry: bytes) -> bool:
        try:
            with open(os.memfd_create("journal-entry", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC), "wb") as file:  # noqa: PTH123 - a descriptor
                file.write(entry)
                file.flush()
                fcntl.fcntl(file, fcntl.F_ADD_SEALS, _SEALED)
                # Not socket.send_fds(), which passes over the address (Python 3.11 to 3.13).
                rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, file.fileno().to_bytes(4, sys.byteorder))
                self._socket.sendmsg([], [rights], 0, self._address)
        except OSError:
            return False
        return True


class Lines:
    """Writes the message to a stream, each of its lines prefixed with its priority, see sd-daemon(3)."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, fields: Fields) -> None:
        """Write the message; the other fields are for journals."""
        lines = fields["MESSAGE"].splitlines() or [""]
        text = "".join(f"<{fields['PRIORITY']}>{line}\n" for line in lines)
        with suppress(OSError, ValueError):  # the reader has exited, or the stream is closed
            self._stream.write(text)
            self._stream.flush()


def encoded(fields: Fields) -> bytes:
    """Encode the fields as journald reads them. Empty values are left out; no value can start another field."""
    return b"".join(_field(name.encode("ascii"), _bytes(value)) for name, value in fields.items() if value)


def _field(name: bytes, value: bytes) -> bytes:
    if b"\n" not in value:
        return b"%b=%b\n" % (name, value)
    return b"%b\n%b%b\n" % (name, len(value).to_bytes(8, "little"), value)


def _bytes(value: str) -> bytes:
    """Escape lone surrogates, which stand for bytes of a message that were not UTF-8."""
    return value.encode(errors="backslashreplace")
