"""A reader, or the boot after a power cut, finds the old content or the new: checked call by call."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tidegate.system.atomicfile import write_durably, write_visibly

Write = Callable[[Path, bytes, int], None]
BOTH = pytest.mark.parametrize("write", [write_durably, write_visibly])


@pytest.fixture(name="calls")
def _calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of the system, in order: writes, syncs (of a file or a folder), renames."""
    calls: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(handle: int) -> None:
        calls.append("fsync folder" if Path(f"/proc/self/fd/{handle}").resolve().is_dir() else "fsync file")
        fsync(handle)

    def noted_replace(path: Path, target: Path) -> Path:
        calls.append(f"rename {path.stat().st_size} bytes")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    return calls


def test_a_durable_write_syncs_the_whole_file_then_renames_it_then_syncs_the_folder(
    tmp_path: Path, calls: list[str]
) -> None:
    write_durably(tmp_path / "f", b"new!", 0o640)
    assert calls == ["fsync file", "rename 4 bytes", "fsync folder"]


def test_a_visible_write_does_not_wait_for_the_disk(tmp_path: Path, calls: list[str]) -> None:
    write_visibly(tmp_path / "f", b"new!", 0o644)
    assert calls == ["rename 4 bytes"]


@BOTH
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_the_mode_is_the_one_asked_for_whatever_the_umask(tmp_path: Path, write: Write, mode: int) -> None:
    old = os.umask(0o077)
    try:
        write(tmp_path / "f", b"x", mode)
    finally:
        os.umask(old)
    assert (tmp_path / "f").stat().st_mode & 0o7777 == mode


@BOTH
def test_a_reader_that_has_the_old_file_open_keeps_it(tmp_path: Path, write: Write) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"old")
    with path.open("rb") as reader:
        write(path, b"new", 0o600)
        assert (reader.read(), path.read_bytes()) == (b"old", b"new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["f"]


def _full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@BOTH
@pytest.mark.parametrize(("owner", "call"), [(os, "fchmod"), (os, "fsync"), (Path, "replace")])
def test_a_call_that_fails_leaves_the_old_content_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Write, owner: object, call: str
) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"old")
    if (write, call) == (write_visibly, "fsync"):
        return  # it makes no such call
    monkeypatch.setattr(owner, call, _full)
    with pytest.raises(OSError, match="No space left"):
        write(path, b"new", 0o600)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["f"]


@BOTH
def test_a_disk_that_fills_up_while_writing_leaves_the_old_content_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Write
) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"old")

    class Full:
        def __init__(self, handle: int, *_: object) -> None:
            self._handle = handle

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            os.close(self._handle)

        write = staticmethod(_full)

    monkeypatch.setattr(os, "fdopen", Full)
    with pytest.raises(OSError, match="No space left"):
        write(path, b"new", 0o600)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["f"]


@BOTH
def test_an_interrupted_write_leaves_no_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Write) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fchmod", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "f", b"new", 0o600)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_synced_is_an_error_after_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one failure after which the new content is there: whoever takes an error for "not done" has to bear that."""
    fsync = os.fsync

    def folder_fails(handle: int) -> None:
        if Path(f"/proc/self/fd/{handle}").resolve().is_dir():
            raise OSError(errno.EIO, "Input/output error")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", folder_fails)
    with pytest.raises(OSError, match="Input/output"):
        write_durably(tmp_path / "f", b"new", 0o600)
    assert (tmp_path / "f").read_bytes() == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["f"]
