"""Find and read the snippets of a configuration: folders in layers, where a later file masks one of the same name."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path

from tidegate.config import lines
from tidegate.config.problems import Problem

SUFFIX = ".toml"

MAX_SNIPPET_BYTES = 32 * 1024 * 1024
"""A hand-written snippet is a few kilobytes, a generated one may be megabytes. A larger file is a mistake, such as a
link to a disk image, and must not fill the memory."""

_NULL_DEVICE = os.makedev(1, 3)


class Source:
    """The name and text of a snippet. Its lines are indexed on first use only."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text

    @cached_property
    def index(self) -> lines.Index:
        """The lines of the snippet's keys."""
        return lines.index(self.text)


class UnusableError(Exception):
    """A snippet or folder exists, and cannot be used; see ``problem``."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def overlay(layers: Iterable[Mapping[str, Path]]) -> dict[str, Path]:
    """The effective snippets, in the order of their names: one in a later layer masks one of the same name."""
    found = {name: path for layer in layers for name, path in layer.items()}
    return {name: found[name] for name in sorted(found, key=os.fsencode)}


def listing(root: Path) -> Mapping[str, Path]:
    """The snippets in one folder, by name. A missing folder has none, and hidden files are ignored (as in Zincati).

    Raises:
        UnusableError: ``root`` cannot be read, or is not a folder.
    """
    try:
        names = os.listdir(root)  # noqa: PTH208 - a Path for each of a thousand entries costs more than reading them
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UnusableError(
            _problem(root, f"the folder cannot be read: {error.strerror}", "fix its path or mode")
        ) from None
    return {name: root / name for name in names if name.endswith(SUFFIX) and not name.startswith(".")}


def read(path: Path) -> Source | None:
    """Read a snippet; None for one that only masks another, an empty file or a link to ``/dev/null``.

    Raises:
        UnusableError: it is not a regular file, cannot be read, is too large, or is not UTF-8.
    """
    data = _read_bytes(path)
    if not data:
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UnusableError(
            _problem(path, f"byte 0x{data[error.start]:02x} is not UTF-8", "save the file as UTF-8", line)
        ) from None
    return Source(printable(path), text.removeprefix("\ufeff"))  # Zincati's parser skips a byte order mark, too


def printable(path: Path) -> str:
    """``path`` as printable text, with escapes for all other bytes."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


def _read_bytes(path: Path) -> bytes:
    try:
        status = path.stat()
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == _NULL_DEVICE:
            return b""
        if not stat.S_ISREG(status.st_mode):
            raise UnusableError(_not_a_file(path, status.st_mode))
        if status.st_size > MAX_SNIPPET_BYTES:
            raise UnusableError(_too_large(path, status.st_size))
        return path.read_bytes()
    except OSError as error:
        raise UnusableError(
            _problem(path, f"the file cannot be read: {error.strerror}", "fix its path or mode")
        ) from None


def _not_a_file(path: Path, mode: int) -> Problem:
    what = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
    return _problem(path, f"this is {what}", f"move it away, or give it a name that does not end in {SUFFIX}")


def _too_large(path: Path, size_bytes: int) -> Problem:
    return _problem(path, f"{size_bytes} bytes exceed the limit of {MAX_SNIPPET_BYTES} for a snippet", "split it")


def _problem(path: Path, message: str, remedy: str, line: int | None = None) -> Problem:
    return Problem(printable(path), line, None, message, remedy)
