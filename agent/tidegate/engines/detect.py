"""Engine ``auto``: which engine a host asks for. A pure decision over facts, and a small reader of facts.

The order is that of ownership: rpm-ostree and bootc hosts are OSTree hosts as well, but driving plain ostree beside
their own tool would leave layered packages, image origins and their update state behind.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, assert_never

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
# bootc reads the boot loader and the image store; a disk that is busy takes its time.
BOOTC_DEADLINE_SECS = 60.0


class BootcAnswer(StrEnum):
    """What ``bootc status`` says of the host."""

    ABSENT = "absent"
    NOT_ITS_HOST = "not its host"
    ITS_HOST = "its host"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What the decision looks at."""

    ostree_booted: bool
    ostree_installed: bool
    rpm_ostree: bool
    bootc: BootcAnswer


class Owner(StrEnum):
    """Whose host it is."""

    RPM_OSTREE = "rpm-ostree"
    BOOTC = "bootc"
    BOOTC_PERHAPS = "bootc, perhaps"
    OSTREE = "ostree"
    OSTREE_WITHOUT_COMMAND = "ostree, without its command"
    NOBODY = "nobody"


def owner_of(facts: HostFacts) -> Owner:
    """Whose host this is, by the first rule that fits."""
    match facts:
        case HostFacts(ostree_booted=True, rpm_ostree=True):
            return Owner.RPM_OSTREE
        case HostFacts(bootc=BootcAnswer.ITS_HOST):
            return Owner.BOOTC
        case HostFacts(ostree_booted=True, bootc=BootcAnswer.UNREADABLE):
            return Owner.BOOTC_PERHAPS
        case HostFacts(ostree_booted=True, ostree_installed=True):
            return Owner.OSTREE
        case HostFacts(ostree_booted=True):
            return Owner.OSTREE_WITHOUT_COMMAND
        case _:
            return Owner.NOBODY


def engine_for(facts: HostFacts) -> str:
    """The name of the engine for a host.

    Raises:
        TidegateError: ``engine.unsupported-host`` where there is none, or none that may be driven.
    """
    owner = owner_of(facts)
    match owner:
        case Owner.OSTREE:
            return "ostree"
        case Owner.RPM_OSTREE | Owner.BOOTC:
            raise _refusal(
                f"this host is updated by {owner}, which keeps its own record of images and packages;"
                " driving plain ostree beside it would break them",
                f"use {owner}'s own updates, or set [engine] kind = 'ostree' if you gave {owner} up on this host",
            )
        case Owner.BOOTC_PERHAPS:
            raise _refusal(
                "bootc is installed and `bootc status` gives no usable answer, so this may be its host",
                "see what `bootc status` says, remove bootc, or set [engine] kind = 'ostree'",
            )
        case Owner.OSTREE_WITHOUT_COMMAND:
            raise _refusal("the host is booted from OSTree, but the ostree command is missing", "install ostree")
        case Owner.NOBODY:
            raise _refusal(
                f"no engine fits this host: it was not booted from OSTree (no /{OSTREE_BOOTED})",
                "install an OSTree host, or name the engine in [engine] kind",
            )
        case _:
            assert_never(owner)


async def read_facts(root: Path = Path("/")) -> HostFacts:
    """Look at the host below ``root``. Asks ``bootc`` where it is installed, reads files for the rest."""
    ostree_booted, ostree_installed, rpm_ostree, bootc = _look(root)
    return HostFacts(
        ostree_booted=ostree_booted,
        ostree_installed=ostree_installed,
        rpm_ostree=rpm_ostree,
        bootc=await _ask_bootc(root / BOOTC) if bootc else BootcAnswer.ABSENT,
    )


def _look(root: Path) -> tuple[bool, bool, bool, bool]:
    rpm_ostree = any((root / path).exists() for path in RPM_OSTREE)
    return (root / OSTREE_BOOTED).exists(), (root / OSTREE).exists(), rpm_ostree, (root / BOOTC).exists()


async def _ask_bootc(program: Path) -> BootcAnswer:
    argv = (str(program), "status", "--format=json", "--format-version=1")
    try:
        done = await process.run(argv, deadline_secs=BOOTC_DEADLINE_SECS)
    except TidegateError:
        return BootcAnswer.UNREADABLE
    return read_bootc(done.stdout) if done.returncode == 0 else BootcAnswer.UNREADABLE


def read_bootc(text: str) -> BootcAnswer:
    """``bootc status`` in format version 1: a host of its own has the type ``bootcHost``, others have null. Pure."""
    try:
        status: dict[str, Any] = json.loads(text)["status"]
        kind = status["type"]
    except (ValueError, KeyError, TypeError):
        return BootcAnswer.UNREADABLE
    return BootcAnswer.NOT_ITS_HOST if kind is None else BootcAnswer.ITS_HOST


def _refusal(message: str, remedy: str) -> TidegateError:
    return TidegateError(ErrorKind.ENGINE_UNSUPPORTED_HOST, message, remedy)
