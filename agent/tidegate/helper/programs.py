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

from tidegate.config.layers import overlay

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
