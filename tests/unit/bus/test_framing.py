"""Messages from a stream in pieces of any size; over-long ones are truncated."""

from __future__ import annotations

import array
import os
import socket
import struct
from collections.abc import Generator
from pathlib import Path

import pytest

from tidegate.bus.framing import MAX_ANSWER_BYTES, MAX_MESSAGE_BYTES, Frame, Framer

CALL, RETURN, SIGNAL = 1, 2, 4
Pair = tuple[socket.socket, socket.socket]


@pytest.fixture(name="pair")
def _pair() -> Generator[Pair]:
    """The daemon's end and ours, which does not block."""
    theirs, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    ours.setblocking(False)
    with theirs, ours:
        yield theirs, ours


def descriptors() -> int:
    """How many this process has open; the one that is listed with is always among them."""
    return len(list(Path("/proc/self/fd").iterdir()))


def message(kind: int = CALL, body: bytes = b"", fields: bytes = b"\1\2\3", order: str = "<") -> bytes:
    """What the framer looks at is right, the rest is anything."""
    mark = b"l" if order == "<" else b"B"
    head = struct.pack(f"{order}cBBBIII", mark, kind, 0, 1, len(body), 7, len(fields)) + fields
    return head + bytes(-len(head) % 8) + body


def everything(framer: Framer, theirs: socket.socket, data: bytes, piece_bytes: int) -> list[Frame]:
    """The frames that come of ``data`` when it is sent in pieces."""
    frames: list[Frame] = []
    for at in range(0, len(data), piece_bytes):
        theirs.sendall(data[at : at + piece_bytes])
        while (frame := framer.read()) is not None:
            frames.append(frame)
    return frames


@pytest.mark.parametrize("piece_bytes", [1, 3, 16, 17, 24, 1000])
@pytest.mark.parametrize("order", ["<", ">"])
def test_messages_come_out_as_they_went_in(pair: Pair, piece_bytes: int, order: str) -> None:
    theirs, ours = pair
    sent = [message(body=b"x" * size, fields=b"f" * size, order=order) for size in (0, 1, 8, 60)]
    frames = everything(Framer(ours), theirs, b"".join(sent), piece_bytes)
    assert frames == [Frame(one) for one in sent]


@pytest.mark.parametrize("piece_bytes", [1000, 60_000])
@pytest.mark.parametrize("kind", [CALL, SIGNAL])
def test_of_a_message_that_is_too_long_the_head_is_kept(pair: Pair, kind: int, piece_bytes: int) -> None:
    theirs, ours = pair
    longest = message(kind, bytes(MAX_MESSAGE_BYTES - 24))
    sent = message(kind, b"y" * (MAX_MESSAGE_BYTES - 23)), longest, message()
    frames = everything(Framer(ours), theirs, b"".join(sent), piece_bytes)
    assert frames == [Frame(message(kind), truncated=True), Frame(longest), Frame(message())]


def test_answers_may_be_longer_but_not_of_any_length(pair: Pair) -> None:
    theirs, ours = pair
    fits, too_long = message(RETURN, bytes(MAX_ANSWER_BYTES - 24)), message(RETURN, bytes(MAX_ANSWER_BYTES))
    frames = everything(Framer(ours), theirs, fits + too_long + message(), 100_000)
    assert [(len(frame.data), frame.truncated) for frame in frames] == [(len(fits), False), (24, True), (24, False)]


@pytest.mark.parametrize("fields_bytes", [MAX_MESSAGE_BYTES, 1_000_000])
def test_of_a_head_that_is_too_long_nothing_is_kept(pair: Pair, fields_bytes: int) -> None:
    theirs, ours = pair
    framer = Framer(ours)
    frames = everything(framer, theirs, message(fields=bytes(fields_bytes), body=b"12345678") + message(), 50_000)
    assert frames == [Frame(b"", truncated=True), Frame(message())]


def test_a_claim_of_gigabytes_costs_nothing_until_they_come(pair: Pair) -> None:
    theirs, ours = pair
    framer = Framer(ours)
    theirs.sendall(struct.pack("<cBBBIII", b"l", CALL, 0, 1, 2**32 - 1, 7, 2**32 - 9))
    assert framer.read() is None
    theirs.sendall(bytes(100_000))
    assert framer.read() is None


def test_descriptors_stay_with_their_message(pair: Pair) -> None:
    theirs, ours = pair
    framer = Framer(ours)
    with Path(os.devnull).open("rb") as file:
        theirs.sendall(message())
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file.fileno(), file.fileno()]))
        theirs.sendmsg([message(body=b"x")], [rights])
        theirs.sendall(message())
    frames = [framer.read() for _ in range(3)]
    assert [len(frame.descriptors) for frame in frames if frame is not None] == [0, 2, 0]
    for frame in frames:
        for descriptor in frame.descriptors if frame is not None else ():
            os.close(descriptor)


def test_descriptors_of_a_message_that_never_ends_are_closed(pair: Pair) -> None:
    theirs, ours = pair
    framer = Framer(ours)
    before = descriptors()
    with Path(os.devnull).open("rb") as file:
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file.fileno()]))
        theirs.sendmsg([message(body=b"x")[:20]], [rights])
    assert framer.read() is None
    assert descriptors() == before + 1
    framer.close()
    framer.close()
    assert descriptors() == before


def test_the_end_is_the_end(pair: Pair) -> None:
    theirs, ours = pair
    theirs.close()
    with pytest.raises(EOFError):
        Framer(ours).read()


def test_what_is_no_dbus_is_said(pair: Pair) -> None:
    theirs, ours = pair
    theirs.sendall(b"HTTP/1.1 400 Bad Request")
    with pytest.raises(ValueError, match="not a byte order"):
        Framer(ours).read()
