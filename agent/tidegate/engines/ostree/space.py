"""Whether a release fits, with numbers, before it is fetched. Decisions pure; the reading of facts at the end.

Two places fill up: the repository (where ostree keeps a reserve of its own) and /boot, where kernel and initramfs of
each bootable release lie. A full /boot is found out by ostree at shutdown only, as a finalization that failed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tidegate.errors import ErrorKind, TidegateError

# ostree's own when the repository's configuration says nothing (core.min-free-space-percent).
DEFAULT_RESERVE_PERCENT = 3
# Sizes are printed with two or more digits ("19.8 MB"), so the truth may be this much above.
ROUNDING = 1.03
# Folders and the boot loader's entries beside the kernel; block sizes round up.
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
    """A file system: what it holds, what is free for root."""

    total_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class Reserve:
    """What ostree refuses to use: a fixed size where one is set, else a part of the whole."""

    percent: int = DEFAULT_RESERVE_PERCENT
    fixed_bytes: int | None = None

    def of(self, disk: Disk) -> int:
        """In bytes."""
        return disk.total_bytes * self.percent // 100 if self.fixed_bytes is None else self.fixed_bytes


def parse_reserve(percent: str, size: str) -> Reserve:
    """The repository's ``core.min-free-space-percent`` and ``-size``; empty where not set."""
    fixed = _RESERVE_SIZE.fullmatch(size.strip())
    return Reserve(
        int(percent) if percent.strip().isdigit() else DEFAULT_RESERVE_PERCENT,
        int(fixed["number"]) * _RESERVE_UNITS[fixed["unit"]] if fixed else None,
    )


def parse_commit_sizes(text: str) -> int | None:
    """``ostree show --print-sizes``: what is missing here, unpacked, in bytes. None when the commit has no sizes."""
    return _bytes(_UNPACKED.search(text))


def parse_delta_sizes(text: str) -> int | None:
    """``ostree pull --dry-run``: what a delta comes to, unpacked, in bytes. None when the text does not say."""
    return _bytes(_DELTA_UNPACKED.search(text))


@dataclass(frozen=True, slots=True)
class KernelFile:
    """A file that goes to /boot."""

    name: str
    size_bytes: int
    checksum: str


def parse_folders(listing: str, parent: str) -> tuple[str, ...]:
    """``ostree ls --checksum COMMIT PARENT``: the folders in it."""
    return tuple(line["path"] for line in _listed(listing) if line["type"] == "d" and line["path"] != parent)


def parse_kernel_files(listing: str) -> tuple[KernelFile, ...]:
    """``ostree ls --checksum COMMIT /usr/lib/modules/VERSION``: what of it goes to /boot."""
    return tuple(
        KernelFile(name, int(line["bytes"]), line["checksum"])
        for line in _listed(listing)
        if line["type"] == "-" and _KERNEL_NAME.match(name := line["path"].rsplit("/", 1)[-1])
    )


def repository_verdict(needed_bytes: int, disk: Disk, reserve: Reserve) -> TidegateError | None:
    """Why the content does not fit, or None."""
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
    """Why kernel and initramfs do not fit beside what must stay in /boot, or None."""
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
    """Decimal units, one digit after the point, as ostree prints them."""
    unit, scale = max((item for item in _UNITS.items() if item[1] <= max(size_bytes, 1)), key=lambda item: item[1])
    return f"{size_bytes} bytes" if scale == 1 else f"{size_bytes / scale:.1f} {unit}"


def read_disk(path: Path) -> Disk:
    """The file system that holds ``path``."""
    facts = os.statvfs(path)
    return Disk(facts.f_blocks * facts.f_frsize, facts.f_bfree * facts.f_frsize)


def tree_bytes(folders: Iterable[Path]) -> int:
    """What the files of some folders take."""
    return sum(path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file())


def _listed(listing: str) -> Iterable[re.Match[str]]:
    return (match for line in listing.splitlines() if (match := _LISTED.match(line)))


def _bytes(match: re.Match[str] | None) -> int | None:
    return match and round(float(match["number"]) * _UNITS[match["unit"]] * ROUNDING)
