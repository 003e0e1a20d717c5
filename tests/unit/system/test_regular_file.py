"""Files that somebody else may have put there: only regular ones are read, without waiting, and never too much."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tidegate.system.regular_file import (
    ExposedError,
    NotRegularError,
    TooLargeError,
    read,
    read_nofollow,
    read_secret,
    read_start,
)

Read = Callable[[Path, int], bytes]
ALL = pytest.mark.parametrize("reading", [read, read_nofollow, read_start])


@ALL
def test_the_whole_of_a_file_up_to_the_limit(tmp_path: Path, reading: Read) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 100)
    assert reading(file, 100) == b"x" * 100


@pytest.mark.parametrize("reading", [read, read_nofollow])
def test_a_larger_file_is_refused(tmp_path: Path, reading: Read) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 101)
    with pytest.raises(TooLargeError, match="more than 100 bytes"):
        reading(file, 100)
    assert read_start(file, 100) == b"x" * 100


@ALL
def test_a_fifo_is_refused_without_waiting_for_a_writer(tmp_path: Path, reading: Read) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(NotRegularError, match="it is a FIFO, not a plain file"):
        reading(tmp_path / "fifo", 100)


@ALL
def test_a_socket_a_folder_and_a_device_are_refused(tmp_path: Path, reading: Read) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        for path, what in ((tmp_path / "socket", "a socket"), (tmp_path, "a folder"), (Path("/dev/zero"), "a device")):
            with pytest.raises(NotRegularError, match=what):
                reading(path, 100)


def test_a_link_is_followed_only_where_it_has_a_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dangling").symlink_to("nowhere")
    assert read(tmp_path / "link", 1) == b"x"
    for link in ("link", "dangling"):
        with pytest.raises(NotRegularError, match="a symbolic link"):
            read_nofollow(tmp_path / link, 1)
    with pytest.raises(FileNotFoundError):
        read_nofollow(tmp_path / "nowhere", 1)


def test_a_secret_is_read_where_only_owner_and_group_can(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b"s3cr3t")
    for mode in (0o600, 0o640, 0o400, 0o660):
        file.chmod(mode)
        assert read_secret(file, 100) == b"s3cr3t"
    for mode in (0o644, 0o604, 0o602, 0o601):
        file.chmod(mode)
        with pytest.raises(ExposedError, match=f"mode 0{mode:o}"):
            read_secret(file, 100)
