"""Read facts from the host: the output of programs, units, and files."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tidegate.errors import ErrorKind, TidegateError
from tidegate.system import process, regular_file

MAX_LINE_BYTES = 4096

PROGRAM_SECS = 10.0
"""Deadline for one program. All of them print facts at hand; the margin is for a busy disk."""

_UNIT_PROPERTIES = (
    "Id", "LoadState", "UnitFileState", "ActiveState", "Result", "NRestarts", "DropInPaths", "NeedDaemonReload",
    "Requires",
)  # fmt: skip

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit as ``systemctl show`` reports it; ``enabled`` is its UnitFileState."""

    name: str
    load: str = "not-found"
    enabled: str = ""
    active: str = "inactive"
    result: str = ""
    restarts: int = 0
    drop_ins: tuple[str, ...] = ()
    needs_reload: bool = False
    requires: tuple[str, ...] = ()

    @property
    def is_masked(self) -> bool:
        """Whether the unit is masked, so that it cannot be started."""
        return self.load == "masked"

    @property
    def unmask(self) -> str:
        """The command that unmasks the unit."""
        return f"systemctl unmask {'--runtime ' if self.enabled == 'masked-runtime' else ''}{self.name}"

    @property
    def exists(self) -> bool:
        """Whether the unit is installed."""
        return self.load not in {"not-found", ""}


@dataclass(frozen=True, slots=True)
class FileFacts:
    """Permissions and owner of a file or folder. ``error``: why they could not be read; ``exists`` is False then."""

    path: Path
    exists: bool = False
    mode: int = 0
    uid: int = -1
    gid: int = -1
    is_folder: bool = False
    error: str = ""

    @property
    def octal(self) -> str:
        """The permissions in octal, for chmod(1)."""
        return f"{self.mode:04o}"


async def ask(*argv: str, secs: float = PROGRAM_SECS) -> process.Completed:
    """Run a program that prints facts and changes nothing.

    Raises:
        TidegateError: it is not installed, or exceeds its deadline.
    """
    return await process.run(argv, deadline_secs=secs)


async def in_thread(read: Callable[..., T], *args: object) -> T:
    """Read files in a thread, so that a slow disk does not delay the other areas."""
    return await asyncio.to_thread(read, *args)


async def read_units(*names: str) -> Mapping[str, Unit]:
    """The units ``names``, by one systemctl call.

    Raises:
        TidegateError: systemd cannot be queried.
    """
    if not names:  # systemctl would show the manager itself
        return {}
    done = await ask("systemctl", "show", f"--property={','.join(_UNIT_PROPERTIES)}", "--", *names)
    if done.returncode != 0:
        why = done.stderr.strip().partition("\n")[0]
        raise TidegateError(ErrorKind.BUS_UNREACHABLE, f"systemd cannot be queried: {why}", "systemctl status")
    return parse_units(done.stdout, names)


def parse_units(text: str, names: Iterable[str]) -> Mapping[str, Unit]:
    """Parse the output of ``systemctl show`` for ``names``: a block for each, in that order. Pure."""
    blocks = (block for block in text.split("\n\n") if block.strip())
    return {name: _unit(name, block) for name, block in zip(names, blocks, strict=False)}


def _unit(name: str, block: str) -> Unit:
    pairs = (line.partition("=") for line in block.strip().splitlines())
    fields = {key: value for key, _, value in pairs}
    restarts = fields.get("NRestarts", "")
    return Unit(
        name=name,
        load=fields.get("LoadState", ""),
        enabled=fields.get("UnitFileState", ""),
        active=fields.get("ActiveState", ""),
        result=fields.get("Result", ""),
        restarts=int(restarts) if restarts.isdigit() else 0,
        drop_ins=tuple(fields.get("DropInPaths", "").split()),
        needs_reload=fields.get("NeedDaemonReload") == "yes",
        requires=tuple(fields.get("Requires", "").split()),
    )


def file_facts(path: Path) -> FileFacts:
    """Permissions and owner of ``path``, following links."""
    try:
        seen = path.stat()
    except FileNotFoundError:
        return FileFacts(path)
    except OSError as err:
        return FileFacts(path, error=err.strerror or str(err))
    mode = stat.S_IMODE(seen.st_mode)
    return FileFacts(path, True, mode, seen.st_uid, seen.st_gid, stat.S_ISDIR(seen.st_mode))  # noqa: FBT003 - exists


def first_line(path: Path) -> str:
    """The text of a small file of one line, without blanks around it; empty if it cannot be read."""
    try:
        return regular_file.read_start(path, MAX_LINE_BYTES).decode("utf-8", "replace").strip()
    except OSError:
        return ""


def listed(folder: Path) -> list[Path]:
    """The entries of ``folder``, sorted; none if it cannot be read."""
    try:
        return sorted(folder / name for name in os.listdir(folder))  # noqa: PTH208 - iterdir() of 3.11 fails only later
    except OSError:
        return []
