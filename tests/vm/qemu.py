"""QEMU's command line for one power-on of a machine, and the accelerator that works here."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.e2e.lab.process import Command, run
from tests.vm.bootmenu import Loaded

QEMU = "qemu-system-x86_64"
MEMORY_MIB = 900
PROBE_SECS = 20.0

# The cheapest model to emulate; Debian needs no more.
TCG = ("-accel", "tcg,thread=multi,tb-size=256", "-cpu", "qemu64")
KVM = ("-accel", "kvm", "-cpu", "host")
PANIC = "VFS: Unable to mount root"


@cache
def accelerator(kernel: Path) -> tuple[str, ...]:
    """The options of the accelerator: KVM where ``kernel`` really boots with it, else emulation.

    A /dev/kvm that can be opened proves nothing: nested, it may fail, or be slower than TCG.
    """
    if not os.access("/dev/kvm", os.W_OK):
        return TCG
    plain = ["-display", "none", "-nodefaults", "-no-reboot", "-m", "256", "-serial", "stdio", "-kernel", str(kernel)]
    tried = run(
        ["timeout", f"{PROBE_SECS:g}", QEMU, *KVM, *plain, "-append", "console=ttyS0 panic=-1"], timeout_secs=60
    )
    return KVM if PANIC in tried.out else TCG


@dataclass(frozen=True, slots=True)
class Hardware:
    """A machine's disk, its write log if it has one, and the folder for its sockets and consoles."""

    image: Path
    folder: Path
    write_log: Path | None = None
    processors: int = 1

    @property
    def agent_socket(self) -> Path:
        """Where the guest agent answers."""
        return self.folder / "agent.sock"

    @property
    def monitor_socket(self) -> Path:
        """Where QEMU tells what happens to the machine."""
        return self.folder / "monitor.sock"

    def serial(self, boot: int) -> Path:
        """The text of the serial line in one boot: kernel, initramfs."""
        return self.folder / f"serial-{boot}.log"

    def journal(self, boot: int) -> Path:
        """The journal of one boot, as it was written."""
        return self.folder / f"journal-{boot}.log"


def command(hardware: Hardware, loaded: Loaded, boot: int, accelerate: Sequence[str]) -> Command:
    """How one power-on is started: the machine's part of the boot loader is done already, a reset ends it."""
    folder = hardware.folder
    return [
        *(QEMU, "-machine", "q35,smm=off", *accelerate, "-smp", str(hardware.processors), "-m", str(MEMORY_MIB)),
        *("-display", "none", "-no-user-config", "-nodefaults", "-no-reboot"),
        *("-serial", f"file:{hardware.serial(boot)}"),
        *_disk(hardware, boot),
        # blklogwrites adds two pieces to a write; merged ones may have IOV_MAX pieces already, and fail (QEMU 7.2).
        *("-device", "virtio-blk-pci,drive=disk,write-cache=on,request-merging=off"),
        *("-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile="),
        *("-device", "virtio-serial-pci"),
        *("-chardev", f"file,id=journal,path={hardware.journal(boot)}", "-device", "virtconsole,chardev=journal"),
        *("-chardev", f"socket,path={hardware.agent_socket},server=on,wait=off,id=agent"),
        *("-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"),
        *("-device", "virtio-rng-pci", "-qmp", f"unix:{folder / 'monitor.sock'},server=on,wait=off"),
        *("-kernel", loaded.kernel, "-initrd", loaded.initramfs, "-append", loaded.entry.options),
    ]


def _disk(hardware: Hardware, boot: int) -> list[str]:
    """The disk. Flushes are logged, not carried out: that this machine survives is not what is tested."""
    image = f"filename={hardware.image},cache.no-flush=on"
    if hardware.write_log is None:
        return ["-blockdev", f"driver=file,node-name=disk,{image}"]
    log = f"driver=file,node-name=log,filename={hardware.write_log},cache.no-flush=on"
    append = "on" if boot > 1 else "off"
    logging = f"driver=blklogwrites,node-name=disk,file=image,log=log,log-append={append},log-super-update-interval=1"
    return ["-blockdev", f"driver=file,node-name=image,{image}", "-blockdev", log, "-blockdev", logging]
