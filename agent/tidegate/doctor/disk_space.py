"""The part of area ``engine`` that is about room: a kernel more in /boot, a release more in the repository."""

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
"""Of what the running release takes; more is rarely new, since what two releases share is stored once."""

MAX_FILES = 400_000
"""Beyond that a release is not measured: it would take a slow disk longer than a person waits."""


@dataclass(frozen=True, slots=True)
class Facts:
    """``kernel_bytes`` is the largest of the kernels in /boot with its initramfs. ``release_bytes`` is what the running
    release takes, None where it has too many files to be measured. ``rollback`` is the index that `ostree admin
    undeploy` would take to make room."""

    boot: Disk
    kernel_bytes: int
    sysroot: Disk
    release_bytes: int | None
    rollback: int | None


async def examine(root: Path, rollback: Sequence[Listed]) -> list[Finding]:
    """Look at the two file systems."""
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
    """Whether the next release fits."""
    yield _boot(facts)
    yield _sysroot(facts)


def _boot(facts: Facts) -> Finding:
    needed_bytes = facts.kernel_bytes + BOOT_OVERHEAD_BYTES
    numbers = f"a kernel with its initramfs needs {human(needed_bytes)}, {human(facts.boot.free_bytes)} are free"
    if facts.boot.free_bytes >= needed_bytes:
        return AREA.ok("boot-space", "/boot has room for one more kernel", numbers)
    return AREA.problem("boot-space", f"/boot has no room for one more kernel: {numbers}", _make_room(facts, "/boot"))


def _sysroot(facts: Facts) -> Finding:
    usable_bytes = max(0, facts.sysroot.free_bytes - Reserve().of(facts.sysroot))
    numbers = f"{human(usable_bytes)} are free beyond ostree's reserve"
    remedy = _make_room(facts, "/sysroot")
    if usable_bytes == 0:
        return AREA.problem("sysroot-space", "/sysroot is full: nothing can be downloaded", remedy, numbers)
    if facts.release_bytes is None:
        return AREA.unknown("sysroot-space", f"the running release was not measured; {numbers}", "du -sx /usr")
    size = f"the running release takes {human(facts.release_bytes)}"
    if usable_bytes < facts.release_bytes * SHARE_NEEDED:
        text = f"/sysroot may be too small for a large update: {numbers}, {size}"
        return AREA.warning("sysroot-space", text, remedy)
    return AREA.ok("sysroot-space", "/sysroot has room for a release", numbers, size)


def _make_room(facts: Facts, place: str) -> str:
    if facts.rollback is not None:
        return f"ostree admin undeploy {facts.rollback}"
    return f"give {place} more room, or delete what does not belong there"
