"""A disk image: an MBR, /boot and the root as partitions of their own, both ext4 with the defaults of ``mke2fs``."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.lab.process import must
from tests.e2e.lab.sysroot import Sysroot

SECTOR_BYTES = 512
MIB = 1024 * 1024
LINUX_PARTITION = 0x83
MAKE_SECS = 300.0


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition: where it begins on the disk, and how large it is."""

    label: str
    start_bytes: int
    size_bytes: int

    @property
    def end_bytes(self) -> int:
        """The first byte behind it."""
        return self.start_bytes + self.size_bytes


BOOT = Partition("boot", MIB, 160 * MIB)
ROOT = Partition("root", BOOT.end_bytes, 2048 * MIB)
PARTITIONS = (BOOT, ROOT)


def make_disk(sysroot: Sysroot, image: Path) -> None:
    """Write a disk image with the contents of ``sysroot``, without loop devices or mounts.

    Raises:
        LabError: mke2fs refused; its last words are in the message.
    """
    boot = sysroot.path / "boot"
    with image.open("wb") as disk:
        disk.truncate(ROOT.end_bytes)
        disk.write(_master_boot_record())
    _fill(image, BOOT, boot)
    aside = sysroot.path.with_name(f"{sysroot.path.name}-boot")
    boot.rename(aside)  # on the disk, it is the mount point only
    try:
        boot.mkdir()
        _fill(image, ROOT, sysroot.path)
    finally:
        boot.rmdir()
        aside.rename(boot)


def _master_boot_record() -> bytes:
    entries = b"".join(
        struct.pack(
            "<B3sB3sII",
            0x80 if part is BOOT else 0,
            b"\xfe\xff\xff",  # no cylinders: the sectors count
            LINUX_PARTITION,
            b"\xfe\xff\xff",
            part.start_bytes // SECTOR_BYTES,
            part.size_bytes // SECTOR_BYTES,
        )
        for part in PARTITIONS
    )
    return bytes(446) + entries.ljust(64, b"\0") + b"\x55\xaa"


def _fill(image: Path, part: Partition, folder: Path) -> None:
    # Nothing is left to be initialized after the first mount: such writes would be noise in the log.
    extended = f"offset={part.start_bytes},lazy_itable_init=0,lazy_journal_init=0"
    kind = ["-q", "-t", "ext4", "-b", "4096", "-m", "0", "-L", part.label, "-E", extended]
    must(["mke2fs", *kind, "-d", folder, image, f"{part.size_bytes // 1024}k"], timeout_secs=MAKE_SECS)


def copy_sparse(image: Path, to: Path) -> None:
    """Copy a disk image; what is empty takes no space."""
    must(["cp", "--sparse=always", image, to], timeout_secs=MAKE_SECS)


def extract(image: Path, part: Partition, to: Path) -> None:
    """Copy a partition into an image of its own."""
    places = [f"skip={part.start_bytes // MIB}", f"count={part.size_bytes // MIB}"]
    must(["dd", f"if={image}", f"of={to}", "bs=1M", "conv=sparse", "status=none", *places], timeout_secs=MAKE_SECS)
