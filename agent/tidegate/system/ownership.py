"""Decide whether only root can have written a file: its owner and mode, and those of every folder on the way to it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from tidegate.printable import path_text

ROOT = 0


def why_not_roots(status: os.stat_result) -> str | None:
    """Return why a file or folder is not root's alone, as text that follows its name; None where it is."""
    if status.st_uid != ROOT:
        return f"belongs to uid {status.st_uid}, not to root"
    by_group = status.st_mode & stat.S_IWGRP and status.st_gid != ROOT
    return "can be written by others than root" if by_group or status.st_mode & stat.S_IWOTH else None


class FolderOwners:
    """The owners of folders, each looked at once. Make one for each reading: they may change in between."""

    def __init__(self) -> None:
        self._known: dict[str, str | None] = {}

    def why_not_roots(self, path: Path) -> str | None:
        """Return which folder on the way to ``path`` is not root's alone, as text; None where all are.

        Where ``path`` is a link, the folders of the link and those of its target count.

        Raises:
            OSError: a folder cannot be examined.
        """
        return self._why_not(path.parent) or (
            self._why_not(Path(os.path.realpath(path)).parent) if path.is_symlink() else None
        )

    def _why_not(self, folder: Path) -> str | None:
        name = str(folder)
        if name not in self._known:
            # Path.resolve() raises RuntimeError for a link to itself (Python 3.11), realpath() the kernel's own error.
            real = Path(os.path.realpath(folder, strict=True))
            folders = dict.fromkeys((folder, *folder.parents, real, *real.parents))
            self._known[name] = next(filter(None, map(_why_bad_folder, folders)), None)
        return self._known[name]


def _why_bad_folder(folder: Path) -> str | None:
    """A folder of root with the sticky bit is safe: other users cannot remove or rename root's files in it."""
    status = folder.stat()
    sticky = status.st_uid == ROOT and status.st_mode & stat.S_ISVTX
    why = None if sticky else why_not_roots(status)
    return why and f"its folder {path_text(folder)} {why}"
