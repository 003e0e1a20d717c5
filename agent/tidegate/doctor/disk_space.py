"""Disk space, part of area ``engine``: for one more kernel in /boot and one more release in the repository."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tidegate.doctor.base import Area, Finding
from tidegate.doctor.reading import in_thread, listed
from tidegate.engines.ostree.space import BOOT_OVERHEAD_BYTES, Disk, Reserve, human, read_disk, tree_bytes
from tidegate.engines.ostree.status import Listed

AREA = Area("engine")

SHARE_NEEDED = 0.5
"""Share of the running release's size that the next one needs: files that both share are stored once."""

MAX_FILES = 400_000
"""A release with more files is not measured: on a slow disk that would exceed the deadline."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Free and needed space. ``kernel_bytes``: the largest kernel in /boot with its initramfs. ``release_bytes``: the
    size of the running release, None if it has too many files to be measured. ``rollback``: the index of a deployment
    that `ostree admin undeploy` can remove, None if there is none."""

    boot: Disk
    kernel_bytes: int
    sysroot: Disk
    release_bytes: int | None
    rollback: int | None


async def examine(root: Path, rollback: Sequence[Listed]) -> list[Finding]:
    """Check the file systems of /boot and /sysroot."""
    index = next((entry.index for entry in rollback if not entry.pinned), None)
    return [*judge(await in_thread(_read, root, index))]


def _read(root: Path, rollback: int | None) -> Facts:
    kernels = [tree_bytes([folder]) for folder in listed(root / "boot/ostree") if folder.is_dir()]
    largest = max(kernels, default=0)
    return Facts(read_disk(root / "boot"), largest, read_disk(root / "sysroot"), _release_bytes(root / "usr"), rollback)


def _release_bytes(usr: Path) -> int | None:
    size_bytes, files = 0, 0
    for folder, _, names in os.walk(usr):
        files += len(names)
        if files > MAX_FILES:
            return None
        size_bytes += sum(_size(Path(folder) / name) for name in names)
    return size_bytes


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def judge(facts: Facts) -> Iterator[Finding]:
    """Whether the next release fits on the disks."""
    yield _boot(facts)
    yield _sysroot(facts)


def _boot(facts: Facts) -> Finding:
    needed_bytes = facts.kernel_bytes + BOOT_OVERHEAD_BYTES
    numbers = f"a kernel with its initramfs needs {human(needed_bytes)}, {human(facts.boot.free_bytes)} are free"
    if facts.boot.free_bytes >= needed_bytes:
        return AREA.ok("boot-space", "/boot has enough space for one more kernel", numbers)
    return AREA.problem(
        "boot-space", f"/boot has not enough space for one more kernel: {numbers}", _make_room(facts, "/boot")
    )


def _sysroot(facts: Facts) -> Finding:
    usable_bytes = max(0, facts.sysroot.free_bytes - Reserve().of(facts.sysroot))
    numbers = f"{human(usable_bytes)} are free above ostree's reserve"
    remedy = _make_room(facts, "/sysroot")
    if usable_bytes == 0:
        return AREA.problem("sysroot-space", "/sysroot is full: nothing can be downloaded", remedy, numbers)
    if facts.release_bytes is None:
        return AREA.unknown("sysroot-space", f"the running release was not measured; {numbers}", "du -sx /usr")
    size = f"the running release takes {human(facts.release_bytes)}"
    if usable_bytes < facts.release_bytes * SHARE_NEEDED:
        text = f"/sysroot may be too small for a large update: {numbers}, {size}"
        return AREA.warning("sysroot-space", text, remedy)
    return AREA.ok("sysroot-space", "/sysroot has enough space for a release", numbers, size)


def _make_room(facts: Facts, place: str) -> str:
    if facts.rollback is not None:
        return f"ostree admin undeploy {facts.rollback}"
    return f"enlarge {place}, or delete files that do not belong there"
