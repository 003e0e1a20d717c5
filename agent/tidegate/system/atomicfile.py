"""Writing a file so that a reader, or a power cut, finds the old content or the new and nothing between."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
"""One name for the draft, not a new one each time: what a killed writer left is overwritten by the next. Each file has
one writer, and its folder belongs to that writer, so nobody else's draft or link can be there."""


def write_durably(path: Path, content: bytes, mode: int) -> None:
    """Replace ``path``; when this returns, the new content survives a power cut.

    Raises:
        OSError: it may not survive one. The old content is there still, unless it was the folder that could not be
            synced: then the new is.
    """
    _replace(path, content, mode, durable=True)


def write_visibly(path: Path, content: bytes, mode: int) -> None:
    """Replace ``path`` for readers, without waiting for the disk: for what a reboot may forget.

    Raises:
        OSError: nothing has changed then.
    """
    _replace(path, content, mode, durable=False)


def _replace(path: Path, content: bytes, mode: int, *, durable: bool) -> None:
    draft = path.with_name(f".{path.name}.new")
    handle = os.open(draft, _CREATE, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(handle, mode)
            if durable:
                os.fsync(handle)
        draft.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
    if durable:
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
