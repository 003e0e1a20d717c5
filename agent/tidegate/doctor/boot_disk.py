"""Whether a power cut during a shutdown leaves a boot menu that leads nowhere; part of area ``boot``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tidegate.doctor.base import Area, Finding
from tidegate.doctor.reading import Unit
from tidegate.engines.ostree.boot_order import FLUSHES_ITSELF, SYSTEM_PYTHON

SHUTDOWN = "tidegate-shutdown.service"
JOURNALING = frozenset({"ext3", "ext4", "xfs"})
REMEDY = (
    "update to releases with ostree 2025.2 or newer; or put /boot on vfat, or on ext4 without a journal"
    " (mkfs.ext4 -O ^has_journal); releases built with contrib/initramfs-tools heal themselves"
)


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system of /boot: its type, and whether what is written to it goes to a journal first."""

    kind: str
    journal: bool


def read_disk(root: Path) -> Disk | None:
    """Read the mount table; None where it does not say what /boot is on."""
    try:
        lines = (root / "proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    mounts = {place: (device, kind) for device, place, kind, *_ in (line.split(" ") for line in lines)}
    for place in ("/boot", "/sysroot", "/"):
        if place in mounts:
            device, kind = mounts[place]
            return Disk(kind, _has_journal(root, device, kind))
    return None


def _has_journal(root: Path, device: str, kind: str) -> bool:
    """On ext4 it can be left out when the file system is made; the kernel lists those that have one."""
    listed = root / "proc/fs/jbd2"
    if kind == "xfs" or not listed.is_dir():
        return kind in JOURNALING
    return kind in JOURNALING and (listed / f"{Path(device).name}-8").exists()


BINDINGS = (SYSTEM_PYTHON, "-I", "-c", "import gi; gi.require_version('OSTree', '1.0')")
"""Fails where libostree's bindings for the system's Python are missing."""


def judge_bindings(area: Area, version: tuple[int, int], *, installed: bool) -> Iterator[Finding]:
    """Whether the boot order can be written so that it is on the disk before anything is deleted."""
    if version < FLUSHES_ITSELF and not installed:
        text = "a power cut in a rollback may leave this host unbootable: ostree is older than 2025.2, and libostree's"
        remedy = "add python3-gi and gir1.2-ostree-1.0 to the releases"
        yield area.warning("boot-order", f"{text} bindings, through which Tidegate prevents that, are missing", remedy)


def judge(area: Area, version: tuple[int, int], disk: Disk | None, shutdown: Unit) -> Iterator[Finding]:
    """Report the hole that ostree before 2025.2 leaves, and what keeps it small."""
    if disk is None:
        yield area.unknown("boot-disk", "the file system of /boot is unknown", "findmnt /boot")
    elif version >= FLUSHES_ITSELF or not disk.journal:
        yield area.ok("boot-disk", "a boot loader finds each switch on the disk", f"/boot: {disk.kind}")
    else:
        text = (
            f"a power cut in the last second of an update's shutdown may leave this host unbootable: ostree"
            f" {version[0]}.{version[1]} writes the new menu to the journal of /boot, which boot loaders do not read"
        )
        yield area.warning("boot-disk", text, REMEDY, f"/boot: {disk.kind} with a journal")
    if shutdown.active != "active":
        text = f"{SHUTDOWN} does not run: /boot is not flushed in a shutdown, and power cuts count as failed attempts"
        yield area.warning("shutdown", text, f"systemctl start {SHUTDOWN}", f"{SHUTDOWN}: {shutdown.load}")
