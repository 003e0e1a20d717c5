"""Which programs root may be asked to run: those that nobody but root can have put where they are."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from tidegate.config.layers import printable

ROOT = 0


def why_not_run(path: Path) -> str | None:
    """Why the program at ``path`` is not run, in words that follow its name; None where it may be.

    Both the way to it and the way to what it may be a link to have to be root's.
    """
    try:
        # Of a link to itself Path.resolve() says so with a RuntimeError (3.11), realpath() with the kernel's own error.
        real = Path(os.path.realpath(path, strict=True))
        status = real.stat()
        folders = [*path.parents, *real.parents]
        return _why_bad_file(status) or next(filter(None, map(_why_bad_folder, folders)), None)
    except OSError as err:
        return f"cannot be looked at: {err.strerror}"


def _why_bad_file(status: os.stat_result) -> str | None:
    if not stat.S_ISREG(status.st_mode):
        return "is no plain file"
    if why := _why_not_roots(status):
        return why
    return None if status.st_mode & stat.S_IXUSR else "is not executable (chmod +x)"


def _why_bad_folder(folder: Path) -> str | None:
    """With the sticky bit, nobody else can take away or replace what is root's in it."""
    status = folder.stat()
    sticky = status.st_uid == ROOT and status.st_mode & stat.S_ISVTX
    why = None if sticky else _why_not_roots(status)
    return why and f"is not safe to run: its folder {printable(folder)} {why}"


def _why_not_roots(status: os.stat_result) -> str | None:
    if status.st_uid != ROOT:
        return f"belongs to uid {status.st_uid}, not to root"
    by_group = status.st_mode & stat.S_IWGRP and status.st_gid != ROOT
    return "can be written by others than root" if by_group or status.st_mode & stat.S_IWOTH else None
