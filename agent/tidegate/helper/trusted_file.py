"""Decide whether root may execute a file: no other user can have changed it, or anything on the path to it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from tidegate.config.layers import printable

ROOT = 0


def why_not_run(path: Path) -> str | None:
    """Return why root does not run the program at ``path``, as text that follows its name; None where it does.

    Where ``path`` is a link, the folders of the link and those of its target must both belong to root.
    """
    try:
        # Path.resolve() raises RuntimeError for a link to itself (Python 3.11), realpath() the kernel's own error.
        real = Path(os.path.realpath(path, strict=True))
        status = real.stat()
        folders = [*path.parents, *real.parents]
        return _why_bad_file(status) or next(filter(None, map(_why_bad_folder, folders)), None)
    except OSError as err:
        return f"cannot be examined: {err.strerror}"


def _why_bad_file(status: os.stat_result) -> str | None:
    if not stat.S_ISREG(status.st_mode):
        return "is not a regular file"
    if why := _why_not_roots(status):
        return why
    return None if status.st_mode & stat.S_IXUSR else "is not executable (chmod +x)"


def _why_bad_folder(folder: Path) -> str | None:
    """A folder of root with the sticky bit is safe: other users cannot remove or rename root's files in it."""
    status = folder.stat()
    sticky = status.st_uid == ROOT and status.st_mode & stat.S_ISVTX
    why = None if sticky else _why_not_roots(status)
    return why and f"is not safe to run: its folder {printable(folder)} {why}"


def _why_not_roots(status: os.stat_result) -> str | None:
    if status.st_uid != ROOT:
        return f"belongs to uid {status.st_uid}, not to root"
    by_group = status.st_mode & stat.S_IWGRP and status.st_gid != ROOT
    return "can be written by others than root" if by_group or status.st_mode & stat.S_IWOTH else None
