"""Judge whether a release fits on the disk before it is fetched. Pure, but for two functions that read sizes.

Two file systems fill up: that of the repository, where ostree keeps a reserve, and /boot, with kernel and initramfs of
each bootable release. ostree notices a full /boot only at shutdown, when the finalization fails.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tidegate.errors import ErrorKind, TidegateError

# ostree's default for core.min-free-space-percent.
DEFAULT_RESERVE_PERCENT = 3
# Sizes are printed with two or more digits ("19.8 MB"); the real one may be larger by this factor.
ROUNDING = 1.03
# For folders, boot loader entries, and rounding up to blocks.
BOOT_OVERHEAD_BYTES = 256 * 1024

_UNITS = {"bytes": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_NUMBER = r"(?P<number>\d+(?:\.\d+)?)[\s\u00a0](?P<unit>bytes|kB|MB|GB|TB)"
_UNPACKED = re.compile(rf"^Unpacked size \(needed/total\): {_NUMBER}/", re.MULTILINE)
_DELTA_UNPACKED = re.compile(rf"{_NUMBER} total uncompressed")
_RESERVE_SIZE = re.compile(r"(?P<number>\d+)(?P<unit>[MGT])B")
_RESERVE_UNITS = {"M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_LISTED = re.compile(
    r"^(?P<type>[-d])\d+ \d+ \d+ +(?P<bytes>\d+) (?P<checksum>[0-9a-f]{64})( [0-9a-f]{64})? (?P<path>/.*)$"
)
_KERNEL_NAME = re.compile(r"(vmlinu|initramfs|initrd|devicetree|aboot)")


@dataclass(frozen=True, slots=True)
class Disk:
    """A file system: its size, and the space that is free for root."""

    total_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class Reserve:
    """The space that ostree leaves free: a fixed size where one is set, else a part of the file system."""

    percent: int = DEFAULT_RESERVE_PERCENT
    fixed_bytes: int | None = None

    def of(self, disk: Disk) -> int:
        """Return the reserve on ``disk``, in bytes."""
        return disk.total_bytes * self.percent // 100 if self.fixed_bytes is None else self.fixed_bytes


def parse_reserve(percent: str, size: str) -> Reserve:
    """Read the repository's ``core.min-free-space-percent`` and ``-size``, empty where they are not set."""
    fixed = _RESERVE_SIZE.fullmatch(size.strip())
    return Reserve(
        int(percent) if percent.strip().isdigit() else DEFAULT_RESERVE_PERCENT,
        int(fixed["number"]) * _RESERVE_UNITS[fixed["unit"]] if fixed else None,
    )


def parse_commit_sizes(text: str) -> int | None:
    """Read ``ostree show --print-sizes``: the unpacked size of missing objects in bytes, or None without sizes."""
    return _bytes(_UNPACKED.search(text))


def parse_delta_sizes(text: str) -> int | None:
    """Read ``ostree pull --dry-run``: the unpacked size of a delta in bytes, or None where it is not stated."""
    return _bytes(_DELTA_UNPACKED.search(text))


@dataclass(frozen=True, slots=True)
class KernelFile:
    """A file that is copied to /boot."""

    name: str
    size_bytes: int
    checksum: str


def parse_folders(listing: str, parent: str) -> tuple[str, ...]:
    """Read ``ostree ls --checksum COMMIT PARENT``: the folders in it."""
    return tuple(line["path"] for line in _listed(listing) if line["type"] == "d" and line["path"] != parent)


def parse_kernel_files(listing: str) -> tuple[KernelFile, ...]:
    """Read ``ostree ls --checksum COMMIT /usr/lib/modules/VERSION``: the files that are copied to /boot."""
    return tuple(
        KernelFile(name, int(line["bytes"]), line["checksum"])
        for line in _listed(listing)
        if line["type"] == "-" and _KERNEL_NAME.match(name := line["path"].rsplit("/", 1)[-1])
    )


def repository_verdict(needed_bytes: int, disk: Disk, reserve: Reserve) -> TidegateError | None:
    """Return why the content does not fit into the repository, or None."""
    reserve_bytes = reserve.of(disk)
    if needed_bytes <= disk.free_bytes - reserve_bytes:
        return None
    return TidegateError(
        ErrorKind.ENGINE_NO_SPACE,
        f"the release needs {human(needed_bytes)}; {human(disk.free_bytes)} are free, of which ostree keeps"
        f" {human(reserve_bytes)} in reserve",
        "free space on /sysroot, for instance by deleting the rollback release: `ostree admin undeploy INDEX`",
    )


def boot_verdict(needed_bytes: int, disk: Disk, reclaimable_bytes: int) -> TidegateError | None:
    """Return why kernel and initramfs do not fit beside what must stay in /boot, or None."""
    needed_bytes += BOOT_OVERHEAD_BYTES
    if needed_bytes <= disk.free_bytes + reclaimable_bytes:
        return None
    return TidegateError(
        ErrorKind.ENGINE_NO_SPACE,
        f"kernel and initramfs need {human(needed_bytes)} on /boot; {human(disk.free_bytes)} are free"
        f" and {human(reclaimable_bytes)} can be reclaimed there",
        "delete the rollback release (`ostree admin undeploy INDEX`) or give /boot more room",
    )


def human(size_bytes: int) -> str:
    """Format a size as ostree does: decimal units, one digit after the point."""
    unit, scale = max((item for item in _UNITS.items() if item[1] <= max(size_bytes, 1)), key=lambda item: item[1])
    return f"{size_bytes} bytes" if scale == 1 else f"{size_bytes / scale:.1f} {unit}"


def read_disk(path: Path) -> Disk:
    """Read the file system that holds ``path``."""
    facts = os.statvfs(path)
    return Disk(facts.f_blocks * facts.f_frsize, facts.f_bfree * facts.f_frsize)


def tree_bytes(folders: Iterable[Path]) -> int:
    """Sum up the sizes of the files in some folders, in bytes."""
    return sum(path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file())


def _listed(listing: str) -> Iterable[re.Match[str]]:
    return (match for line in listing.splitlines() if (match := _LISTED.match(line)))


def _bytes(match: re.Match[str] | None) -> int | None:
    return match and round(float(match["number"]) * _UNITS[match["unit"]] * ROUNDING)
