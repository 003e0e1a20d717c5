"""Entries on a real datagram socket: what is sent, what is dropped, and that writing never blocks."""

from __future__ import annotations

import fcntl
import io
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tidegate.journal.native import Lines, NativeJournal, encoded, sink_of_process

PATIENCE_SECS = 5.0


@pytest.fixture(name="address")
def _address(tmp_path: Path) -> str:
    return str(tmp_path / "socket")


@pytest.fixture(name="journald")
def _journald(address: str) -> Iterator[socket.socket]:
    with listening(address) as server:
        yield server


@pytest.fixture(name="journal")
def _journal(address: str) -> Iterator[NativeJournal]:
    journal = NativeJournal(address)
    yield journal
    journal.close()


def listening(address: str) -> socket.socket:
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.bind(address)
    server.settimeout(PATIENCE_SECS)
    return server


def received(server: socket.socket) -> dict[str, str]:
    """The next entry as journald reads it, from the datagram or from the memfd that came with it."""
    data, descriptors, _, _ = socket.recv_fds(server, 1 << 20, 4)
    if descriptors:
        (descriptor,) = descriptors
        sealed = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)
        with os.fdopen(descriptor, "rb") as file:
            assert data == b""
            assert sealed == 0xF, "journald takes none that can still be changed"
            file.seek(0)
            data = file.read()
    return parsed(data)


def parsed(data: bytes) -> dict[str, str]:
    fields: dict[str, str] = {}
    while data:
        line, _, rest = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            size = int.from_bytes(rest[:8], "little")
            value, end, rest = rest[8 : 8 + size], rest[8 + size : 9 + size], rest[9 + size :]
            assert end == b"\n"
        fields[name.decode()] = value.decode()
        data = rest
    return fields


def test_an_entry_arrives_with_all_its_fields(journald: socket.socket, journal: NativeJournal) -> None:
    journal.write({"MESSAGE": "staged 2 = two", "PRIORITY": "5", "TIDEGATE_RELEASE": "2"})
    assert received(journald) == {
        "MESSAGE": "staged 2 = two", "PRIORITY": "5", "TIDEGATE_RELEASE": "2", "SYSLOG_IDENTIFIER": "tidegate",
    }  # fmt: skip


@pytest.mark.parametrize("value", ["two\nlines", "\n", "a\nPRIORITY=0\nMESSAGE=forged", "b\n" * 300, "no\0text\n"])
def test_a_value_of_several_lines_stays_one_field(journald: socket.socket, journal: NativeJournal, value: str) -> None:
    journal.write({"MESSAGE": value, "PRIORITY": "4"})
    assert received(journald) == {"MESSAGE": value, "PRIORITY": "4", "SYSLOG_IDENTIFIER": "tidegate"}


def test_what_was_no_utf8_is_shown_escaped() -> None:
    assert encoded({"MESSAGE": b"caf\xe9".decode(errors="surrogateescape")}) == b"MESSAGE=caf\\udce9\n"
    assert encoded({"MESSAGE": "café"}) == "MESSAGE=café\n".encode()


def test_a_field_without_a_value_is_left_out() -> None:
    assert encoded({"MESSAGE": "x", "TIDEGATE_RELEASE": ""}) == b"MESSAGE=x\n"


@pytest.mark.parametrize("newline", ["", "\n"])
def test_what_is_too_large_for_a_datagram_comes_in_a_sealed_memfd(
    journald: socket.socket, journal: NativeJournal, newline: str
) -> None:
    text = "x" * (4 << 20) + newline
    journal.write({"MESSAGE": text, "PRIORITY": "3"})
    assert received(journald)["MESSAGE"] == text
    assert journal.lost == 0


def test_a_full_journal_holds_up_nobody_and_what_was_lost_is_told(
    journald: socket.socket, journal: NativeJournal
) -> None:
    began = time.monotonic()
    for number in range(5000):
        journal.write({"MESSAGE": f"line {number}", "PRIORITY": "5"})
    assert time.monotonic() - began < PATIENCE_SECS
    lost = journal.lost
    assert 0 < lost < 5000
    for number in range(5000 - lost):
        assert received(journald)["MESSAGE"] == f"line {number}"
    journal.write({"MESSAGE": "room again", "PRIORITY": "5"})
    assert received(journald)["MESSAGE"] == "room again"
    told = received(journald)
    assert (told["MESSAGE"], told["PRIORITY"]) == (f"the journal did not take {lost} messages before this", "4")
    assert journal.lost == 0


def test_a_large_entry_for_a_full_journal_is_dropped_too(journald: socket.socket, journal: NativeJournal) -> None:
    assert journald
    while not journal.lost:
        journal.write({"MESSAGE": "filling", "PRIORITY": "5"})
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - as many as there are
    journal.write({"MESSAGE": "x" * (4 << 20), "PRIORITY": "5"})
    assert journal.lost == 2
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_a_journal_that_is_away_is_found_again_when_it_is_back(journal: NativeJournal, address: str) -> None:
    journal.write({"MESSAGE": "into nothing", "PRIORITY": "5"})
    first = listening(address)
    journal.write({"MESSAGE": "one", "PRIORITY": "5"})
    assert [received(first)["MESSAGE"] for _ in range(2)] == ["one", "the journal did not take 1 messages before this"]
    first.close()
    journal.write({"MESSAGE": "into nothing", "PRIORITY": "5"})
    Path(address).unlink()
    with listening(address) as second:
        journal.write({"MESSAGE": "two", "PRIORITY": "5"})
        assert received(second)["MESSAGE"] == "two"


def test_a_journal_that_is_closed_loses_and_does_not_fail(address: str) -> None:
    journal = NativeJournal(address)
    journal.close()
    journal.write({"MESSAGE": "late", "PRIORITY": "5"})
    assert journal.lost == 1


def test_the_journal_is_spoken_to_only_where_standard_error_is_connected_to_it(tmp_path: Path) -> None:
    with (tmp_path / "stderr").open("w") as file:
        seen = os.fstat(file.fileno())
        mine = {"JOURNAL_STREAM": f"{seen.st_dev}:{seen.st_ino}"}
        another = {"JOURNAL_STREAM": f"{seen.st_dev}:{seen.st_ino + 1}"}
        sink = sink_of_process(mine, file.fileno())
        assert isinstance(sink, NativeJournal)
        sink.close()
        for environment in (another, {}, {"JOURNAL_STREAM": "nonsense"}):
            assert isinstance(sink_of_process(environment, file.fileno()), Lines)


def test_elsewhere_each_line_has_its_priority_in_front() -> None:
    stream = io.StringIO()
    Lines(stream).write({"MESSAGE": "it failed\nTraceback", "PRIORITY": "3", "MESSAGE_ID": "x"})
    assert stream.getvalue() == "<3>it failed\n<3>Traceback\n"


class Gone(io.StringIO):
    """A stream whose reader is gone."""

    def flush(self) -> None:
        raise BrokenPipeError


def test_a_standard_error_that_nobody_reads_is_no_failure() -> None:
    Lines(Gone()).write({"MESSAGE": "hello", "PRIORITY": "5"})
    closed = io.StringIO()
    closed.close()
    Lines(closed).write({"MESSAGE": "hello", "PRIORITY": "5"})
