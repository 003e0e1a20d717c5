"""Find and read the snippets of a configuration: folders in layers, where a later file masks one of the same name."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path

from tidegate.config import lines
from tidegate.config.problems import Problem
from tidegate.printable import path_text
from tidegate.system import ownership, regular_file

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


WhyNot = Callable[[Path, os.stat_result], str | None]
"""Returns why a snippet of this path and status is not read, as text that follows its name; None where it is."""


def anybodys(_path: Path, _status: os.stat_result) -> str | None:
    """Read every snippet, whatever its owner: for folders that the caller has named."""
    return None


class OnlyRoots:
    """Reads the snippets that only root can have written: they name programs that root runs, and releases.

    Make one for each loading, since it remembers the folders that it has seen.
    """

    def __init__(self) -> None:
        self._folders = ownership.FolderOwners()

    def why_not(self, path: Path, status: os.stat_result) -> str | None:
        """See :data:`WhyNot`.

        Raises:
            OSError: a folder on the way cannot be examined.
        """
        why_folder = self._folders.why_not_roots(path)
        null = _is_null(status)  # which everybody may write, and which has no content
        return (None if null else ownership.why_not_roots(status)) or (why_folder and f"is not safe: {why_folder}")


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


def read(path: Path, why_not: WhyNot = anybodys) -> Source | None:
    """Read a snippet; None for one that only masks another, an empty file or a link to ``/dev/null``.

    Raises:
        UnusableError: it is not a regular file, cannot be read, is too large, is not UTF-8, or ``why_not`` objects.
    """
    data = _read_bytes(path, why_not)
    if not data:
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UnusableError(
            _problem(path, f"byte 0x{data[error.start]:02x} is not UTF-8", "save the file as UTF-8", line)
        ) from None
    return Source(path_text(path), text.removeprefix("\ufeff"))  # Zincati's parser skips a byte order mark, too


def _read_bytes(path: Path, why_not: WhyNot) -> bytes:
    status = None
    try:
        status = path.stat()
        if _is_null(status):
            _require_trusted(path, status, why_not)
            return b""
        with regular_file.opened(path) as handle:
            status = os.fstat(handle)  # what is open now counts
            _require_trusted(path, status, why_not)
            return regular_file.content(handle, path, MAX_SNIPPET_BYTES)
    except regular_file.TooLargeError:
        raise UnusableError(_too_large(path, 0 if status is None else status.st_size)) from None
    except regular_file.NotRegularError as error:
        raise UnusableError(_not_a_file(path, error.mode)) from None
    except OSError as error:
        raise UnusableError(
            _problem(path, f"the file cannot be read: {error.strerror}", "fix its path or mode")
        ) from None


def _is_null(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == _NULL_DEVICE


def _require_trusted(path: Path, status: os.stat_result, why_not: WhyNot) -> None:
    if why := why_not(path, status):
        raise UnusableError(_not_trusted(path, why))


def _not_trusted(path: Path, why: str) -> Problem:
    name = shlex.quote(path_text(path))
    remedy = f"look at its content first; then chown root: {name} && chmod go-w {name}"
    if why.startswith("is not safe"):
        remedy = f"give the folder to root alone; see namei -l {name}"
    return _problem(path, f"the file {why}, so it is not read", remedy)


def _not_a_file(path: Path, mode: int) -> Problem:
    what = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
    return _problem(path, f"this is {what}", f"move it away, or give it a name that does not end in {SUFFIX}")


def _too_large(path: Path, size_bytes: int) -> Problem:
    return _problem(path, f"{size_bytes} bytes exceed the limit of {MAX_SNIPPET_BYTES} for a snippet", "split it")


def _problem(path: Path, message: str, remedy: str, line: int | None = None) -> Problem:
    return Problem(path_text(path), line, None, message, remedy)
