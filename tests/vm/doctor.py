"""Can virtual machines run here?"""

from __future__ import annotations

import os
import shutil

from tests.e2e.lab.doctor import can_run as can_build
from tests.vm.qemu import QEMU

# command -> the Debian package that has it
TOOLS = {QEMU: "qemu-system-x86", "debugfs": "e2fsprogs", "e2fsck": "e2fsprogs", "mke2fs": "e2fsprogs"}
MACHINE = "x86_64"


def can_run() -> str | None:
    """None when they can, else the reason why not, with what to do about it. KVM is not needed."""
    if os.uname().machine != MACHINE:
        return f"the virtual machines are of {MACHINE}; this is {os.uname().machine}"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        packages = sorted({TOOLS[tool] for tool in missing})
        return f"{', '.join(missing)} missing: apt-get install {' '.join(packages)}"
    return can_build()
