"""Strategy ``marker_file``: allow a reboot while a trusted file says so.

The file is JSON: ``{}``, or an object with one of :data:`EXPIRY_KEYS`. It counts only where nobody but root (and the
agent's own user) could have written it or put it there, so each folder of its path is checked as well as the file.
"""

from __future__ import annotations

import json
import os
import shlex
import stat
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, cast

from tidegate.clock import parse_rfc3339, rfc3339
from tidegate.config.keys import key
from tidegate.config.kinds.names import AbsoluteFile
from tidegate.gates.base import (
    Allow,
    Gate,
    GateSpec,
    Question,
    Rank,
    SpecifiedGate,
    Verdict,
    Wait,
    override_command,
)
from tidegate.jsonread import DuplicateKeys, mark_duplicate_keys
from tidegate.release import Purpose
from tidegate.system.regular_file import type_of

if TYPE_CHECKING:
    from tidegate.gates.select import GateSources
    from tidegate.settings import Settings

MAX_BYTES = 4096
"""A marker has a few dozen."""

EXPIRY_KEYS = ("not_after", "allowUntil")
"""Two names of one key: the instant from which on the marker no longer counts."""

_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class MarkerFileSettings:
    """``[updates.marker_file]``: the file of the strategy ``marker_file``."""

    path: str = key(
        "/var/lib/tidegate/allow-reboot.json",
        AbsoluteFile(),
        "The file that allows a reboot under the strategy `marker_file`: JSON, `{}` or with `not_after` (RFC 3339, or "
        "seconds since 1970). The file and the folders of its path must belong to root and be writable by root only.",
    )


def _build(settings: Settings, _sources: GateSources) -> Iterator[Gate]:
    yield MarkerFile(Path(settings.of(MarkerFileSettings).path))


SPEC = GateSpec(
    "marker_file",
    "the file is missing, expired or not trusted",
    guards=frozenset({Purpose.UPDATE}),
    overridable=True,
    rank=Rank.STRATEGY,
    strategy=True,
    table="updates.marker_file",
    section=MarkerFileSettings,
    build=_build,
)


class MarkerFile(SpecifiedGate):
    """Allows while the marker exists, is trusted and has not expired. A reboot does not consume it."""

    spec = SPEC

    def __init__(self, path: Path) -> None:
        self._path = path

    async def ask(self, question: Question) -> Verdict:
        """Read the marker, and compare its expiry with the wall clock."""
        try:
            not_after = read_marker(self._path)
        except UnusableMarker as err:
            return Wait(self.name, err.reason, remedy=f"{err.remedy}; or {override_command(self.name)}")
        if not_after is not None and question.now.wall >= not_after:
            reason = f"the marker {self._path} expired at {rfc3339(not_after)}"
            return Wait(self.name, reason, remedy=f"{write_anew(self._path)}; or {override_command(self.name)}")
        return Allow(self.name, f"{self._path} is there", not_after)


class UnusableMarker(Exception):
    """The marker is missing, malformed or not trusted: ``reason`` says which, and ``remedy`` what to do."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


def read_marker(path: Path) -> datetime | None:
    """The instant (UTC) at which the marker at ``path`` expires; None where it never does.

    Raises:
        UnusableMarker: there is no marker, or it cannot be read, parsed or trusted.
    """
    try:
        return expiry_in(_read(path))
    except FileNotFoundError:
        raise UnusableMarker(f"there is no marker {path}", write_anew(path)) from None
    except OSError as err:
        reason = f"the marker {path} cannot be read: {err.strerror}"
        raise UnusableMarker(reason, f"make it readable: chmod 0644 {_quoted(path)}") from None
    except ValueError as err:
        raise UnusableMarker(f"the marker {path} is malformed: {err}", write_anew(path)) from None


def write_anew(path: Path) -> str:
    """The shell command that writes a marker without expiry, as a remedy."""
    return f"to allow it: echo '{{}}' > {_quoted(path)}"


# The content


def expiry_in(content: bytes) -> datetime | None:
    """The instant (UTC) at which a marker with this content expires; None where it never does.

    Raises:
        ValueError: the content is not that of a marker; the text says why.
    """
    if len(content) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES} bytes")
    if not content.strip():
        raise ValueError("it is empty")
    fields = _parsed(content)
    unknown = [key for key in fields if key not in EXPIRY_KEYS]
    if unknown:
        raise ValueError(f"the key {unknown[0][:40]!r} is not known; it takes {' or '.join(EXPIRY_KEYS)}")
    if len(fields) > 1:
        raise ValueError(f"{' and '.join(EXPIRY_KEYS)} mean the same: give one")
    return next((_instant(key, value) for key, value in fields.items()), None)


def _parsed(content: bytes) -> Mapping[str, object]:
    try:
        found = json.loads(content.decode(), object_pairs_hook=mark_duplicate_keys)
    except (ValueError, RecursionError) as err:
        raise ValueError(f"it is not JSON: {err}") from None
    if isinstance(found, DuplicateKeys):
        raise ValueError("a key is given twice")
    if not isinstance(found, dict):
        raise ValueError("it is not a JSON object")
    return cast(Mapping[str, object], found)


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
        raise ValueError(f"{key} is not an instant: {err}") from None
    raise ValueError(f"{key} is not an instant: give RFC 3339 text or seconds since 1970")


# The file


def _read(path: Path) -> bytes:
    """The content of a trusted file. Never blocks: only a regular file is opened for reading.

    Raises:
        OSError: the file cannot be reached or read.
        UnusableMarker: the file, or a folder of its path, is not trusted.
    """
    with _opened(path) as found:
        _check_file(path, found)
        readable = os.open(f"/proc/self/fd/{found}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(readable, "rb") as file:
        return file.read(MAX_BYTES + 1)


@contextmanager
def _opened(path: Path) -> Generator[int]:
    """An ``O_PATH`` descriptor of the file, reached without following a link and through trusted folders only."""
    here, descriptor = Path("/"), os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in path.parts[1:]:
            _check_folder(here, descriptor)
            below = os.open(part, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=descriptor)
            os.close(descriptor)
            here, descriptor = here / part, below
        yield descriptor
    finally:
        os.close(descriptor)


def _check_folder(path: Path, folder: int) -> None:
    """Others may write to a folder with the sticky bit: there they cannot rename or remove a file of root's."""
    status = os.fstat(folder)
    if not stat.S_ISDIR(status.st_mode):
        _wrong_type(path, status.st_mode, "a folder")
    _check_owner(path, status)
    if status.st_mode & _OTHERS_MAY_WRITE and not status.st_mode & stat.S_ISVTX:
        _distrust(path, "can be written by others than its owner", f"chmod go-w {_quoted(path)}")


def _check_file(path: Path, file: int) -> None:
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode):
        _wrong_type(path, status.st_mode, "a plain file")
    _check_owner(path, status)
    if status.st_mode & _OTHERS_MAY_WRITE:
        _distrust(path, "can be written by others than its owner", f"chmod go-w {_quoted(path)}")


def _check_owner(path: Path, status: os.stat_result) -> None:
    if status.st_uid not in {0, os.geteuid()}:
        _distrust(path, f"belongs to uid {status.st_uid}, not to root", f"chown root: {_quoted(path)}")


def _wrong_type(path: Path, mode: int, wanted: str) -> NoReturn:
    remedy = f"put {wanted} in its place, or name the real path in updates.marker_file.path"
    _distrust(path, f"is {type_of(mode)}, not {wanted}", remedy)


def _distrust(path: Path, why: str, remedy: str) -> NoReturn:
    raise UnusableMarker(f"{path} {why}, so the marker is not trusted", remedy)


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
