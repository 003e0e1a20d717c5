"""Strategy ``marker_file``: finalize while a file says so."""

from __future__ import annotations

import json
import os
import shlex
import stat
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn, cast

from tidegate.clock import parse_rfc3339, rfc3339
from tidegate.gates.base import Allow, Question, Verdict, Wait
from tidegate.release import Purpose

_OVERRIDE = "tidegate apply --now --override marker_file --reason TEXT"


class MarkerFile:
    """Allows while the marker is there, good and not expired.

    Asking does not use it up: it allows until it expires or is removed.
    """

    name = "marker_file"
    guards = frozenset({Purpose.UPDATE})
    overridable = True

    def __init__(self, path: Path) -> None:
        self._path = path

    async def ask(self, question: Question) -> Verdict:
        """What the file says at this moment."""
        try:
            not_after = read_marker(self._path)
        except UnusableMarker as err:
            return Wait(self.name, err.reason, remedy=f"{err.remedy}; or {_OVERRIDE}")
        if not_after is not None and question.now.wall >= not_after:
            reason = f"the marker {self._path} expired at {rfc3339(not_after)}"
            return Wait(self.name, reason, remedy=f"{write_anew(self._path)}; or {_OVERRIDE}")
        return Allow(self.name, f"{self._path} is there", not_after)


MAX_BYTES = 4096
"""A marker has a few dozen."""

EXPIRY_KEYS = ("not_after", "allowUntil")

_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


class UnusableMarker(Exception):
    """There is no marker, or none that can be trusted. ``reason`` says why, ``remedy`` is what mends it."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


def read_marker(path: Path) -> datetime | None:
    """When the marker expires; None is never.

    Raises:
        UnusableMarker: it does not allow anything.
    """
    try:
        return expiry_in(_read(path))
    except FileNotFoundError:
        raise UnusableMarker(f"there is no marker {path}", write_anew(path)) from None
    except OSError as err:
        reason = f"the marker {path} cannot be read: {err.strerror}"
        raise UnusableMarker(reason, f"make it readable: chmod 0644 {_quoted(path)}") from None
    except ValueError as err:
        raise UnusableMarker(f"the marker {path} makes no sense: {err}", write_anew(path)) from None


def write_anew(path: Path) -> str:
    """The command that makes a good marker."""
    return f"to allow it: echo '{{}}' > {_quoted(path)}"


def expiry_in(content: bytes) -> datetime | None:
    """When a marker with this content expires; None is never.

    Raises:
        ValueError: it is not what a marker looks like; the text says what is wrong.
    """
    if len(content) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES} bytes")
    if not content.strip():
        raise ValueError("it is empty")
    found = _parsed(content)
    unknown = [key for key in found if key not in EXPIRY_KEYS]
    if unknown:
        raise ValueError(f"the key {unknown[0][:40]!r} is not known; it takes {' or '.join(EXPIRY_KEYS)}")
    if len(found) > 1:
        raise ValueError(f"{' and '.join(EXPIRY_KEYS)} say the same: give one")
    return next((_instant(key, value) for key, value in found.items()), None)


def _parsed(content: bytes) -> Mapping[str, object]:
    try:
        found = json.loads(content.decode(), object_pairs_hook=_without_repetition)
    except (ValueError, RecursionError) as err:
        raise ValueError(f"it is not JSON: {err}") from None
    if not isinstance(found, dict):
        raise ValueError("it is no JSON object")
    return cast(Mapping[str, object], found)


def _without_repetition(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is given twice")
    return found


def _instant(key: str, value: object) -> datetime:
    try:
        match value:
            case bool():
                pass
            case str():
                return parse_rfc3339(value)
            case int() | float():
                return datetime.fromtimestamp(value, UTC)
            case _:
                pass
    except (ValueError, OverflowError, OSError) as err:
        raise ValueError(f"{key} is no instant: {err}") from None
    raise ValueError(f"{key} is no instant: give RFC 3339 text or seconds since 1970")


def _read(path: Path) -> bytes:
    """The content of a file that can be trusted. Nothing here waits: what is no plain file is not opened."""
    with _found(path) as found:
        _check(path, found)
        again = os.open(f"/proc/self/fd/{found}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(again, "rb") as file:
        return file.read(MAX_BYTES + 1)


@contextmanager
def _found(path: Path) -> Generator[int]:
    """A descriptor that stands for the file, reached without following a link, through folders that can be trusted."""
    here, name = Path("/"), os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in path.parts[1:]:
            _check_folder(here, name)
            below = os.open(part, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=name)
            os.close(name)
            here, name = here / part, below
        yield name
    finally:
        os.close(name)


def _check_folder(path: Path, folder: int) -> None:
    """In a folder with the sticky bit others cannot touch what is root's."""
    status = os.fstat(folder)
    if not stat.S_ISDIR(status.st_mode):
        _not_plain(path, status.st_mode, "a folder")
    _check_owner(path, status)
    if status.st_mode & _OTHERS_MAY_WRITE and not status.st_mode & stat.S_ISVTX:
        _refuse(path, "can be written by others than its owner", f"chmod go-w {_quoted(path)}")


def _check(path: Path, file: int) -> None:
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode):
        _not_plain(path, status.st_mode, "a plain file")
    _check_owner(path, status)
    if status.st_mode & _OTHERS_MAY_WRITE:
        _refuse(path, "can be written by others than its owner", f"chmod go-w {_quoted(path)}")


def _check_owner(path: Path, status: os.stat_result) -> None:
    if status.st_uid not in {0, os.geteuid()}:
        _refuse(path, f"belongs to uid {status.st_uid}, not to root", f"chown root: {_quoted(path)}")


def _not_plain(path: Path, mode: int, wanted: str) -> NoReturn:
    what = next((words for is_that, words in _KINDS if is_that(mode)), "something else")
    remedy = f"put {wanted} in its place, or name the real path in updates.marker_file.path"
    _refuse(path, f"is {what}, not {wanted}", remedy)


def _refuse(path: Path, why: str, remedy: str) -> NoReturn:
    raise UnusableMarker(f"{path} {why}, so the marker is not trusted", remedy)


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


_KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISREG, "a plain file"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
