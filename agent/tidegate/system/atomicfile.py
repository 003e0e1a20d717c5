"""Replace a file atomically: a reader, or the boot after a power cut, finds the old content or the new."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def write_durably(path: Path, content: bytes, mode: int) -> None:
    """Replace ``path`` and sync it: after the return the new content survives a power cut.

    Raises:
        OSError: it may not survive one. ``path`` still has the old content, or, where only the sync of the folder
            failed, the new one.
    """
    _replace(path, content, mode, durable=True)


def write_visibly(path: Path, content: bytes, mode: int) -> None:
    """Replace ``path`` without a sync, for content that need not survive a reboot.

    Raises:
        OSError: ``path`` still has the old content.
    """
    _replace(path, content, mode, durable=False)


def _replace(path: Path, content: bytes, mode: int, *, durable: bool) -> None:
    temporary = path.with_name(f".{path.name}.new")
    handle = _created(temporary, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(handle, mode)
            if durable:
                os.fsync(handle)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    if durable:
        _sync_folder(path.parent)


def _created(temporary: Path, mode: int) -> int:
    """Create the temporary file; what a killed writer, or somebody else, has left under its name is removed.

    A link or a FIFO there is never opened. Each file has one writer, so that no other draft is lost.
    """
    try:
        return os.open(temporary, _CREATE, mode)
    except FileExistsError:
        temporary.unlink()
        return os.open(temporary, _CREATE, mode)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
