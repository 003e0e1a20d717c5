"""What firmware and boot loader do: choose an entry of the menu, and start it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.e2e.lab.lab import EMPTY_FILE
from tests.e2e.lab.process import Command
from tests.e2e.lab.sysroot import BootEntry, Sysroot

REBOOT_RC = 133  # what nspawn --keep-unit makes of reboot(2); power off is 0

Choice = Callable[[Sequence[BootEntry]], BootEntry]


def default_entry(menu: Sequence[BootEntry]) -> BootEntry:
    """What a boot loader starts when nobody touches it."""
    return menu[0]


def fallback_entry(menu: Sequence[BootEntry]) -> BootEntry:
    """The entry below the default: what a person picks, or boot counting falls back to."""
    return menu[1]


def entry_of(payload: str) -> Choice:
    """The first entry that boots the release ``payload``; LookupError, and no boot, when there is none."""

    def choose(menu: Sequence[BootEntry]) -> BootEntry:
        found = [entry for entry in menu if entry.payload == payload]
        return found[0]

    return choose


@dataclass(frozen=True, slots=True)
class Boot:
    """One power-on or reboot. ``number`` counts from 1 over the life of the machine."""

    number: int
    entry: BootEntry

    @property
    def payload(self) -> str:
        """The checksum of the release that was booted."""
        return self.entry.payload


def nspawn_command(name: str, sysroot: Sysroot, boot: Boot) -> Command:
    """How a deployment is booted.

    libostree takes the deployment for booted because / has its device and inode (so no overlay over it) and
    /run/ostree-booted exists. Without ``norbind`` the bind of the sysroot would drag the container's own mounts along.
    The entry's options become arguments of PID 1: systemd takes them for the kernel command line in a container.
    """
    root = boot.entry.deployment
    return [
        "systemd-nspawn",
        "--quiet",
        f"--directory={root}",
        "--boot",
        "--register=no",
        "--keep-unit",
        "--console=read-only",
        f"--machine={name}",
        f"--hostname={name}",
        "--link-journal=no",
        "--resolv-conf=off",
        "--timezone=off",
        f"--bind-ro={root}/usr:/usr:norbind",
        f"--bind={sysroot.path}:/sysroot:norbind",
        f"--bind={sysroot.path}/boot:/boot:norbind",
        f"--bind={sysroot.var}:/var:norbind",
        f"--bind-ro={EMPTY_FILE}:/run/ostree-booted",
        *boot.entry.options,
    ]
