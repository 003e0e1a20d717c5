"""Find the programs in folders that are health checks: Tidegate's own, and greenboot's.

greenboot (0.15) runs the files in its folders whose names end in ``.sh``, except those that ``DISABLED_HEALTHCHECKS``
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

from tidegate.config.layers import overlay
from tidegate.system import regular_file

TIDEGATE_ROOTS = ("usr/lib/tidegate/health.d", "etc/tidegate/health.d", "run/tidegate/health.d")
GREENBOOT_ROOTS = ("usr/lib/greenboot/check", "etc/greenboot/check")

_FOLDERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "required": tuple(f"{root}/required" for root in TIDEGATE_ROOTS),
        "wanted": tuple(f"{root}/wanted" for root in TIDEGATE_ROOTS),
        "greenboot-required": tuple(f"{root}/required.d" for root in GREENBOOT_ROOTS),
        "greenboot-wanted": tuple(f"{root}/wanted.d" for root in GREENBOOT_ROOTS),
    }
)
"""The folders of each group of :data:`tidegate.health.wire.EXECUTABLES`, later ones override earlier ones."""

_GREENBOOT_CONFIGURATION = "etc/greenboot/greenboot.conf"
_DISABLED = re.compile(r"^\s*DISABLED_HEALTHCHECKS=\((.*?)\)", re.MULTILINE | re.DOTALL)
_MAX_CONFIGURATION_BYTES = 64 * 1024
_SAFE_SIGNS = "._~@+-"
"""With letters and digits, what is kept of a file's name; other bytes are written as %XX."""


@dataclass(frozen=True, slots=True)
class Program:
    """A file that is a check. ``name`` is ``GROUP/NAME``, printable whatever the name of the file."""

    name: str
    path: Path


def programs(root: Path = Path("/")) -> tuple[Program, ...]:
    """Return the programs below ``root``, group by group, each in the order of names.

    Raises:
        OSError: a folder exists and cannot be read.
    """
    return tuple(one for group in _FOLDERS for one in _of_group(root, group))


def _of_group(root: Path, group: str) -> Iterator[Program]:
    is_greenboot = group.startswith("greenboot")
    disabled = _disabled(root) if is_greenboot else frozenset[str]()
    for name, path in overlay(_listing(root / folder) for folder in _FOLDERS[group]).items():
        ignored = is_greenboot and (not name.endswith(".sh") or name in disabled)
        if not ignored and not _masks(path):
            yield Program(f"{group}/{quote(os.fsencode(name), safe=_SAFE_SIGNS)}", path)


def _listing(folder: Path) -> Mapping[str, Path]:
    """The files in a folder, without hidden ones and backups of editors."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - of names, most are kept
    except (FileNotFoundError, NotADirectoryError):
        return {}
    return {name: folder / name for name in names if not name.startswith(".") and not name.endswith("~")}


def _masks(path: Path) -> bool:
    """Whether it only masks another: an empty file or a link to ``/dev/null``, as with configuration snippets."""
    try:
        status = path.stat()
    except OSError:
        return False  # its error is reported when it is to be run
    return (stat.S_ISCHR(status.st_mode) and status.st_rdev == os.makedev(1, 3)) or (
        stat.S_ISREG(status.st_mode) and status.st_size == 0
    )


def _disabled(root: Path) -> frozenset[str]:
    """The checks that greenboot skips, as far as that is an array of plain words; greenboot reads it with a shell."""
    try:
        content = regular_file.read_start(root / _GREENBOOT_CONFIGURATION, _MAX_CONFIGURATION_BYTES)
        found = _DISABLED.findall(content.decode("utf-8", "replace"))
        return frozenset(shlex.split(found[-1], comments=True)) if found else frozenset()
    except (OSError, ValueError):
        return frozenset()
