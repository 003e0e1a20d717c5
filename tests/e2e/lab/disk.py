"""A disk that can be full: a tmpfs in the lab, whose size a test sets to the byte (rounded to pages)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.lab.lab import Lab


@dataclass(frozen=True, slots=True)
class Disk:
    """A file system of its own at ``path`` (as the lab sees it). It is gone with the lab."""

    lab: Lab
    path: Path

    @property
    def used_bytes(self) -> int:
        """How much is on it."""
        seen = os.statvfs(self.lab.namespaces.outside(self.path))
        return (seen.f_blocks - seen.f_bfree) * seen.f_frsize

    @property
    def free_bytes(self) -> int:
        """How much it has left."""
        seen = os.statvfs(self.lab.namespaces.outside(self.path))
        return seen.f_bavail * seen.f_frsize

    def leave_free(self, free_bytes: int) -> None:
        """Shrink or grow it so that ``free_bytes`` are left, for machines that run from it as well."""
        size_bytes = self.used_bytes + free_bytes
        self.lab.namespaces.must(["mount", "-o", f"remount,size={size_bytes}", self.path])

    def eject(self) -> None:
        """Unmount it; its contents are lost."""
        self.lab.namespaces.must(["umount", self.path])


def new_disk(lab: Lab, size_bytes: int) -> Disk:
    """Mount an empty disk of ``size_bytes``. Memory is used for what is written to it: 300 MB for a base host."""
    path = lab.folder("disk")
    lab.namespaces.must(["mount", "-t", "tmpfs", "-o", f"mode=0755,size={size_bytes}", "tmpfs", path])
    return Disk(lab, path)
