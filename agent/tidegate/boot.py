"""Which boot of the host this is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class BootInstance:
    """One run of userspace.

    The kernel's boot id alone is not enough: a soft-reboot (systemd 254 and newer) starts userspace anew, possibly in
    another release, under the same boot id; systemd counts them in ``SoftRebootsCount``.
    """

    boot_id: str
    soft_reboots: int = 0


def read_boot_id(path: Path = BOOT_ID_FILE) -> str:
    """The kernel's id of this boot, 36 characters with dashes."""
    return path.read_text(encoding="ascii").strip()
