"""Can whole hosts run here? Found out by doing, not by guessing from names."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.e2e.lab.apt_sources import lines_for, read_apt_sources
from tests.e2e.lab.lab import CGROUP_PREFIX, CGROUP_ROOT, SETUP
from tests.e2e.lab.namespaces import OWN_NETWORK, Namespaces
from tests.e2e.lab.process import LabError

CAP_SYS_ADMIN = 21  # linux/capability.h

# command -> the Debian package that has it
TOOLS = {
    "chattr": "e2fsprogs",
    "gpg": "gnupg",
    "mmdebstrap": "mmdebstrap",
    "nsenter": "util-linux",
    "ostree": "ostree",
    "systemd-nspawn": "systemd-container",
    "systemd-sysusers": "systemd",
    "unshare": "util-linux",
}

# Joins a cgroup of its own and leaves it again; cgroup.kill (Linux 5.14) is how the power is cut.
TRY_CGROUP = 'mkdir "$0"; [ -e "$0/cgroup.kill" ]; sh -c "echo 0 > $0/cgroup.procs"; rmdir "$0"'


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; ``trouble`` is None when it is in order."""

    subject: str
    trouble: str | None


@cache
def can_run() -> str | None:
    """None when whole hosts can run here, else the reason why not, with what to do about it. Looked at once."""
    return next((f.trouble for f in (check() for check in CHECKS) if f.trouble is not None), None)


def examine() -> list[Finding]:
    """All findings; later ones may only repeat what an earlier one says."""
    return [check() for check in CHECKS]


def _root() -> Finding:
    return Finding("root", None if os.geteuid() == 0 else "hosts in containers need root; this is an ordinary user")


def _capability() -> Finding:
    effective = re.search(r"^CapEff:\s*(\w+)$", Path("/proc/self/status").read_text(), re.MULTILINE)
    has = effective is not None and int(effective[1], 16) >> CAP_SYS_ADMIN & 1
    return Finding("CAP_SYS_ADMIN", None if has else "CAP_SYS_ADMIN is missing (a container without --privileged?)")


def _tools() -> Finding:
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    packages = sorted({TOOLS[tool] for tool in missing})
    trouble = f"{', '.join(missing)} missing: apt-get install {' '.join(packages)}"
    return Finding("tools", trouble if missing else None)


def _mirrors() -> Finding:
    return Finding("Debian mirrors in apt's sources", _trouble(lambda: lines_for("stable", read_apt_sources())))


def _namespaces() -> Finding:
    return Finding("namespaces and mounts", _trouble(_try_namespaces))


def _cgroups() -> Finding:
    return Finding("unified cgroups with cgroup.kill", _trouble(_try_cgroup))


def _try_namespaces() -> None:
    with Namespaces.open(OWN_NETWORK):
        pass


def _try_cgroup() -> None:
    with Namespaces.open(OWN_NETWORK, SETUP) as namespaces:
        namespaces.must(["sh", "-ec", TRY_CGROUP, CGROUP_ROOT / f"{CGROUP_PREFIX}-{os.getpid()}-probe"])


def _trouble(act: Callable[[], object]) -> str | None:
    try:
        act()
    except (LabError, OSError) as error:
        return str(error)
    return None


CHECKS: tuple[Callable[[], Finding], ...] = (_root, _capability, _tools, _mirrors, _namespaces, _cgroups)
