"""Decide whether root may execute a file: no other user can have changed it, or anything on the path to it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from tidegate.system.ownership import FolderOwners, why_not_roots


def why_not_run(path: Path) -> str | None:
    """Return why root does not run the program at ``path``, as text that follows its name; None where it does.

    Where ``path`` is a link, the folders of the link and those of its target must both belong to root.
    """
    try:
        # Path.resolve() raises RuntimeError for a link to itself (Python 3.11), realpath() the kernel's own error.
        status = Path(os.path.realpath(path, strict=True)).stat()
        why = FolderOwners().why_not_roots(path)
        return _why_bad_file(status) or (why and f"is not safe to run: {why}")
    except OSError as err:
        return f"cannot be examined: {err.strerror}"


def _why_bad_file(status: os.stat_result) -> str | None:
    if not stat.S_ISREG(status.st_mode):
        return "is not a regular file"
    if why := why_not_roots(status):
        return why
    return None if status.st_mode & stat.S_IXUSR else "is not executable (chmod +x)"
