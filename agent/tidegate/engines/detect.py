"""Engine ``auto``: read the facts of a host and choose its engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, assert_never

from tidegate.engines import registry
from tidegate.engines.entry import EngineEntry
from tidegate.engines.facts import BootcAnswer, HostFacts, Owner, owner_of
from tidegate.errors import ErrorKind, TidegateError
from tidegate.system import process

OSTREE_BOOTED = "run/ostree-booted"
OSTREE = "usr/bin/ostree"
BOOTC = "usr/bin/bootc"
# Either is enough: the daemon may be reachable where the client is not installed.
RPM_OSTREE = (
    "usr/bin/rpm-ostree",
    "usr/share/dbus-1/system-services/org.projectatomic.rpmostree1.service",
)
BOOTC_DEADLINE_SECS = 60.0
"""bootc reads the boot loader and the image store, which takes long on a busy disk."""


def engine_for(facts: HostFacts) -> EngineEntry:
    """Return the first engine that fits a host. Pure.

    Raises:
        TidegateError: ``engine.unsupported-host`` where none fits, with the reason.
    """
    entry = next((entry for entry in registry.ENTRIES if entry.detect(facts)), None)
    if entry is None:
        raise _refusal(owner_of(facts))
    return entry


async def read_facts(root: Path = Path("/")) -> HostFacts:
    """Read the facts of the host below ``root``: from files, and from ``bootc`` where it is installed."""
    return HostFacts(
        ostree_booted=_exists(root, OSTREE_BOOTED),
        ostree_installed=_exists(root, OSTREE),
        rpm_ostree=_exists(root, *RPM_OSTREE),
        bootc=await _ask_bootc(root / BOOTC) if _exists(root, BOOTC) else BootcAnswer.ABSENT,
    )


def _exists(root: Path, *paths: str) -> bool:
    return any((root / path).exists() for path in paths)


async def _ask_bootc(program: Path) -> BootcAnswer:
    argv = (str(program), "status", "--format=json", "--format-version=1")
    try:
        done = await process.run(argv, deadline_secs=BOOTC_DEADLINE_SECS)
    except TidegateError:
        return BootcAnswer.UNREADABLE
    return read_bootc(done.stdout) if done.returncode == 0 else BootcAnswer.UNREADABLE


def read_bootc(text: str) -> BootcAnswer:
    """Read ``bootc status`` in format version 1: the type is ``bootcHost`` on a bootc host, null on others. Pure."""
    try:
        status: dict[str, Any] = json.loads(text)["status"]
        kind = status["type"]
    except (ValueError, KeyError, TypeError):
        return BootcAnswer.UNREADABLE
    return BootcAnswer.NOT_ITS_HOST if kind is None else BootcAnswer.ITS_HOST


def _refusal(owner: Owner) -> TidegateError:
    """Why no engine fits a host of this owner."""
    match owner:
        case Owner.RPM_OSTREE | Owner.BOOTC:
            return _unsupported(
                f"this host is updated by {owner}, which keeps its own record of images and packages;"
                " driving plain ostree beside it would break them",
                f"use {owner}'s own updates, or set [engine] kind = 'ostree' if you gave {owner} up on this host",
            )
        case Owner.POSSIBLY_BOOTC:
            return _unsupported(
                "bootc is installed and `bootc status` gives no usable answer, so this may be its host",
                "check `bootc status`, remove bootc, or set [engine] kind = 'ostree'",
            )
        case Owner.OSTREE_WITHOUT_COMMAND:
            return _unsupported("the host is booted from OSTree, but the ostree command is missing", "install ostree")
        case Owner.OSTREE | Owner.NONE:
            return _unsupported(
                f"no engine fits this host: it was not booted from OSTree (no /{OSTREE_BOOTED})",
                "install an OSTree host, or name the engine in [engine] kind",
            )
        case _:
            assert_never(owner)


def _unsupported(message: str, remedy: str) -> TidegateError:
    return TidegateError(ErrorKind.ENGINE_UNSUPPORTED_HOST, message, remedy)
