"""The identity of a boot of the host."""

from __future__ import annotations

from dataclasses import dataclass

BOOT_ID_FILE = "/proc/sys/kernel/random/boot_id"


@dataclass(frozen=True, slots=True)
class BootInstance:
    """One run of userspace.

    The kernel's boot id does not suffice. A soft-reboot (systemd 254 and newer) restarts userspace, possibly in another
    release, under the same boot id; systemd counts them in ``SoftRebootsCount``. And in a container a sandboxed service
    may see the machine's boot id instead of the container's (systemd 252 with ProtectKernelTunables); there
    ``init_ticks``, the start time of process 1, distinguishes boots.
    """

    boot_id: str
    soft_reboots: int = 0
    init_ticks: int = 0

    def shares_kernel_with(self, other: BootInstance) -> bool:
        """Whether no boot loader has run between the two: they are equal, or differ by soft-reboots only."""
        return (self.boot_id, self.init_ticks) == (other.boot_id, other.init_ticks)


def read_boot(soft_reboots: int) -> BootInstance:
    """Return the boot that this process runs in; ``soft_reboots`` is systemd's count."""
    with open(BOOT_ID_FILE, encoding="ascii") as file:  # noqa: PTH123 - `tidegate status` starts without pathlib
        boot_id = file.read().strip()
    return BootInstance(boot_id, soft_reboots, start_ticks(1) or 0)


_START_TIME = 19
"""Index of ``starttime``, field 22 of proc_pid_stat(5), among the fields after the process's name, field 2."""


def start_ticks(pid: int) -> int | None:
    """Return the start time of the process ``pid`` in clock ticks since the boot; None where there is none.

    Together with the pid it identifies a process: a pid alone is reused.
    """
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - as above
            text = file.read()
    except OSError:
        return None
    return int(text.rpartition(")")[2].split()[_START_TIME])
