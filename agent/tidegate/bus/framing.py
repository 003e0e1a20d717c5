"""The socket of a D-Bus connection, and the framing of messages in its stream.

Any local user may send to a service. So the length that a message announces is checked before its body is buffered, and
no content of a message ends the connection, which all callers share.
"""

from __future__ import annotations

import array
import os
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

CONNECT_SECS = 5.0
"""The daemon answers in milliseconds; a full backlog must not block the process for ever."""

MAX_MESSAGE_BYTES = 64 * 1024
"""Of a call or a signal, which anybody may send. The longest legitimate one carries the metadata of a release."""

MAX_ANSWER_BYTES = 4 * 1024 * 1024
"""Of a reply to this process: the sessions of a host, its failed units, the agent's snapshot."""

_FIXED_BYTES = 16
"""Byte order, type, flags, version, length of the body, serial, length of the header's fields."""
_ALIGNMENT = 8
_RETURN, _ERROR = 2, 3
_ORDERS: Mapping[int, Literal["little", "big"]] = {ord("l"): "little", ord("B"): "big"}
_SKIP_BYTES = 64 * 1024
_MAX_DESCRIPTORS = 16  # of one message, as the system bus allows


@dataclass(frozen=True, slots=True)
class Frame:
    """A message as received. ``truncated``: it was too long, and its body is left out; if its header was, all of it."""

    data: bytes
    descriptors: tuple[int, ...] = ()
    truncated: bool = False


class Framer:
    """Reads messages from a non-blocking socket, one at a time, and no byte of the next one."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._descriptors: list[int] = []
        self._begin()

    def read(self) -> Frame | None:
        """Return the next message, or None until the rest of it has arrived.

        Raises:
            EOFError: the daemon has closed the connection.
            OSError: the connection is broken.
            ValueError: the stream is not D-Bus; nothing that follows can be read.
        """
        while True:
            if len(self._data) < self._wanted:
                arrived = self._receive(self._wanted - len(self._data))
                if arrived is None:
                    return None
                self._data += arrived
            elif not self._length_known:
                self._read_length()
            elif self._to_skip:
                skipped = self._receive(min(self._to_skip, _SKIP_BYTES))
                if skipped is None:
                    return None
                self._to_skip -= len(skipped)
            else:
                return self._end()

    def close(self) -> None:
        """Close the descriptors of an incomplete message."""
        close_all(self._descriptors)
        self._descriptors = []

    def _begin(self) -> None:
        self._data = bytearray()
        self._wanted = _FIXED_BYTES
        self._to_skip = 0
        self._length_known = self._truncated = False
        self._descriptors = []

    def _read_length(self) -> None:
        """Read the length of the message from its first bytes, and decide how much of it is kept."""
        self._length_known = True
        order = _ORDERS.get(self._data[0])
        if order is None:
            raise ValueError(f"a message begins with {self._data[0]}, which is not a byte order")
        body_bytes, fields_bytes = (int.from_bytes(self._data[at : at + 4], order) for at in (4, 12))
        head_bytes = _FIXED_BYTES + fields_bytes + -fields_bytes % _ALIGNMENT
        limit_bytes = MAX_ANSWER_BYTES if self._data[1] in {_RETURN, _ERROR} else MAX_MESSAGE_BYTES
        self._truncated = head_bytes + body_bytes > limit_bytes
        if not self._truncated:
            self._wanted = head_bytes + body_bytes
        elif head_bytes > limit_bytes:
            self._data, self._wanted = bytearray(), 0
            self._to_skip = head_bytes - _FIXED_BYTES + body_bytes
        else:
            self._data[4:8] = bytes(4)  # the kept header announces an empty body
            self._wanted, self._to_skip = head_bytes, body_bytes

    def _end(self) -> Frame:
        frame = Frame(bytes(self._data), tuple(self._descriptors), self._truncated)
        self._begin()
        return frame

    def _receive(self, most_bytes: int) -> bytes | None:
        room = socket.CMSG_LEN(_MAX_DESCRIPTORS * array.array("i").itemsize)
        try:
            data, ancillary, _flags, _address = self._channel.recvmsg(most_bytes, room)
        except (BlockingIOError, InterruptedError):
            return None
        for level, kind, payload in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                self._descriptors += _descriptors_in(payload)
        if not data:
            raise EOFError("the daemon closed the connection")
        return data


def _descriptors_in(payload: bytes) -> array.array[int]:
    descriptors = array.array("i")
    descriptors.frombytes(payload[: len(payload) - len(payload) % descriptors.itemsize])
    return descriptors


def open_socket(addresses: Iterable[tuple[str, Mapping[str, str]]]) -> socket.socket:
    """Return a non-blocking socket, connected to the first of ``addresses`` that accepts.

    Raises:
        OSError: none does, or none of them is a unix socket.
    """
    problem = OSError("the address does not name a unix socket")
    for transport, options in addresses:
        name = options.get("path") or "\0" + options.get("abstract", "")
        if transport != "unix" or name == "\0":
            continue
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            channel.settimeout(CONNECT_SECS)
            channel.connect(name)
        except OSError as error:
            channel.close()
            problem = error
            continue
        channel.settimeout(0)  # non-blocking, as asyncio requires
        return channel
    raise problem


def close_all(descriptors: Sequence[int]) -> None:
    """Close file descriptors that are not needed or cannot be passed on."""
    for descriptor in descriptors:
        os.close(descriptor)
