"""Which boot of the host this is."""

from __future__ import annotations

from dataclasses import dataclass

BOOT_ID_FILE = "/proc/sys/kernel/random/boot_id"


@dataclass(frozen=True, slots=True)
class BootInstance:
    """One run of userspace.

    The kernel's boot id alone is not enough. A soft-reboot (systemd 254 and newer) starts userspace anew, possibly in
    another release, under the same boot id; systemd counts them in ``SoftRebootsCount``. And in a container a sandboxed
    service may see the machine's boot id instead of the container's (systemd 252 with ProtectKernelTunables); there
    ``init_ticks``, the start of process 1, tells one boot from the next.
    """

    boot_id: str
    soft_reboots: int = 0
    init_ticks: int = 0

    def shares_kernel_with(self, other: BootInstance) -> bool:
        """Whether no boot loader has run between the two: they are one, or soft-reboots apart."""
        return (self.boot_id, self.init_ticks) == (other.boot_id, other.init_ticks)


def read_boot(soft_reboots: int) -> BootInstance:
    """The boot that this process runs in; systemd has counted ``soft_reboots``."""
    with open(BOOT_ID_FILE, encoding="ascii") as file:  # noqa: PTH123 - `tidegate status` starts without pathlib
        boot_id = file.read().strip()
    return BootInstance(boot_id, soft_reboots, start_ticks(1) or 0)


_START_TIME = 19
"""Of the fields after the process's name: ``starttime`` is the 22nd in all, and the name is the 2nd."""


def start_ticks(pid: int) -> int | None:
    """When process ``pid`` started, in clock ticks since the kernel did; None without such a process.

    With the pid it names one process for good: a pid alone is given out again.
    """
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - as above
            text = file.read()
    except OSError:
        return None
    return int(text.rpartition(")")[2].split()[_START_TIME])
