"""Programs in folders that are checks: ours, and greenboot's where there are any.

greenboot (0.15) runs the files in its folders whose names end in ``.sh``, but for those that ``DISABLED_HEALTHCHECKS``
in its configuration names. It has no overriding; here a file in ``/etc`` replaces one of the same name in ``/usr``, so
that a link to ``/dev/null`` masks it.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

from tidegate.config.layers import overlay, printable
from tidegate.helper.transient import unit_name
from tidegate.system.boot import BootInstance

OURS = ("usr/lib/tidegate/health.d", "etc/tidegate/health.d", "run/tidegate/health.d")
GREENBOOTS = ("usr/lib/greenboot/check", "etc/greenboot/check")

_FOLDERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "required": tuple(f"{root}/required" for root in OURS),
        "wanted": tuple(f"{root}/wanted" for root in OURS),
        "greenboot-required": tuple(f"{root}/required.d" for root in GREENBOOTS),
        "greenboot-wanted": tuple(f"{root}/wanted.d" for root in GREENBOOTS),
    }
)
"""The folders of each group of :data:`tidegate.health.wire.EXECUTABLES`, later ones over earlier ones."""

_GREENBOOTS_CONFIGURATION = "etc/greenboot/greenboot.conf"
_DISABLED = re.compile(r"^\s*DISABLED_HEALTHCHECKS=\((.*?)\)", re.MULTILINE | re.DOTALL)
_MAX_CONFIGURATION_BYTES = 64 * 1024
_PLAIN_SIGNS = "._~@+-"
"""Beside letters and digits; all else in a file's name is written as %XX."""


@dataclass(frozen=True, slots=True)
class Program:
    """A file that is a check; ``name`` is printable whatever the file is called."""

    name: str
    path: Path


def programs(root: Path = Path("/")) -> tuple[Program, ...]:
    """All of them, group by group, in the order of their names.

    Raises:
        OSError: a folder is there and cannot be read.
    """
    return tuple(one for group in _FOLDERS for one in _of_group(root, group))


def _of_group(root: Path, group: str) -> Iterator[Program]:
    greenboots = group.startswith("greenboot")
    disabled = _disabled(root) if greenboots else frozenset[str]()
    for name, path in overlay(_listing(root / folder) for folder in _FOLDERS[group]).items():
        foreign = greenboots and (not name.endswith(".sh") or name in disabled)
        if not foreign and not _masks(path):
            yield Program(f"{group}/{quote(os.fsencode(name), safe=_PLAIN_SIGNS)}", path)


def _listing(folder: Path) -> Mapping[str, Path]:
    """The files in a folder; editors' and packagers' leftovers are none."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - of names, most are kept
    except (FileNotFoundError, NotADirectoryError):
        return {}
    return {name: folder / name for name in names if not name.startswith(".") and not name.endswith("~")}


def _masks(path: Path) -> bool:
    """Whether it only takes the place of another: an empty file or a link to ``/dev/null``, as with snippets."""
    try:
        status = path.stat()
    except OSError:
        return False  # whoever runs it says what is wrong with it
    return (stat.S_ISCHR(status.st_mode) and status.st_rdev == os.makedev(1, 3)) or (
        stat.S_ISREG(status.st_mode) and status.st_size == 0
    )


def _disabled(root: Path) -> frozenset[str]:
    """What greenboot is told to leave out, as far as that is a plain array of words; it is read by a shell there."""
    try:
        with (root / _GREENBOOTS_CONFIGURATION).open(encoding="utf-8", errors="replace") as file:
            found = _DISABLED.findall(file.read(_MAX_CONFIGURATION_BYTES))
        return frozenset(shlex.split(found[-1], comments=True)) if found else frozenset()
    except (OSError, ValueError):
        return frozenset()


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


FOLDER = Path("/run/tidegate/passed-checks")
"""Root's own. A soft-reboot keeps /run, so the notes name their boot."""


class Passed:
    """Notes in a folder, one a program. A program that was changed has not passed."""

    def __init__(self, boot: BootInstance, folder: Path = FOLDER) -> None:
        self._boot = boot
        self._folder = folder

    def has(self, program: Program) -> bool:
        """Whether ``program``, as it is now, has passed."""
        try:
            return self._note(program).read_text(encoding="utf-8") == self._text(program)
        except (OSError, ValueError):
            return False

    def remember(self, program: Program) -> None:
        """``program`` has passed.

        Raises:
            OSError: it cannot be written down.
        """
        self._folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._note(program).write_text(self._text(program), encoding="utf-8")

    def _note(self, program: Program) -> Path:
        return self._folder / unit_name(program.name)

    def _text(self, program: Program) -> str:
        status = program.path.stat()
        return f"{self._boot} {status.st_dev}:{status.st_ino} {status.st_mtime_ns} {status.st_size}\n"
