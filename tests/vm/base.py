"""The base host of a virtual machine: a kernel, a guest agent, a network and no more units than it needs."""

from __future__ import annotations

import re
from pathlib import Path

from tests.e2e.lab.debian import Recipe
from tests.e2e.lab.layout import link_unit

PACKAGES = ("initramfs-tools", "busybox", "zstd", "e2fsprogs", "kmod", "iproute2", "qemu-guest-agent")

# The kernel comes last: what makes an initramfs for it is installed by then. The bed makes another (initramfs.py).
KERNEL_HOOK = (
    'chroot "$1" sh -c "apt-get update -q && apt-get install -y -q --no-install-recommends linux-image-cloud-amd64"'
)

# Each takes a second or more of an emulated processor at every boot, and none has a part in an update.
MASKED = (
    *("dev-hugepages.mount", "dev-mqueue.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount"),
    *("sys-kernel-config.mount", "sys-fs-fuse-connections.mount", "proc-sys-fs-binfmt_misc.automount"),
    *("kmod-static-nodes.service", "systemd-binfmt.service", "systemd-pcrphase.service"),
    *("systemd-pcrphase-sysinit.service", "systemd-networkd-wait-online.service", "systemd-update-utmp.service"),
    *("systemd-update-utmp-runlevel.service", "e2scrub_reap.service", "getty@tty1.service"),
    *("serial-getty@ttyS0.service", "serial-getty@hvc0.service"),
)

# QEMU's user network: 10.0.2.2 is the loopback of the network that QEMU runs in.
HARNESS = "10.0.2.2"
NETWORK = f"""\
[Match]
Name=en* eth*
[Network]
Address=10.0.2.15/24
Gateway={HARNESS}
LinkLocalAddressing=no
IPv6AcceptRA=no
"""

# The journal on a console of its own: lines tell the harness when to cut.
CONSOLE = "[Journal]\nForwardToConsole=yes\nTTYPath=/dev/hvc0\nMaxLevelConsole=info\n"

UNITS = ("systemd-networkd.service", "qemu-guest-agent.service")


def settle(root: Path) -> None:
    """Prepare a root in the layout of OSTree for being booted in a virtual machine."""
    etc = root / "usr/etc"
    units = etc / "systemd/system"
    for unit in MASKED:
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")
    for wanted in (*units.glob("timers.target.wants/*"), *units.glob("network-online.target.wants/*")):
        wanted.unlink()
    for unit in UNITS:
        link_unit(etc, unit)
    (etc / "fstab").write_text("LABEL=boot /boot ext4 defaults 0 2\n")
    (etc / "systemd/network/10-harness.network").write_text(NETWORK)
    console = root / "usr/lib/systemd/journald.conf.d/console.conf"
    console.write_text(CONSOLE)
    _open_root(etc / "shadow")


def _open_root(shadow: Path) -> None:
    """Let a person who watches a machine log in as root without a password."""
    shadow.write_text(re.sub(r"^root:[^:]*:", "root::", shadow.read_text(), flags=re.MULTILINE))


VIRTUAL_MACHINE = Recipe(
    "vm-base", PACKAGES, (f"--customize-hook={KERNEL_HOOK}",), settle, text=Path(__file__).read_bytes()
)
"""Boots a kernel of its own."""
