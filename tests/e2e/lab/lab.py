"""The room that machines run in: a network of its own with loopback only, cgroups, and a folder for their disks.

Machines, servers and harness share the loopback: what the harness serves on 127.0.0.1 in the lab is 127.0.0.1 in every
machine, and nothing else in the world can be reached.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import tempfile
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.e2e.lab.cache import Cache, remove_tree, try_lock
from tests.e2e.lab.namespaces import OWN_NETWORK, Namespaces
from tests.e2e.lab.process import LabError

CGROUP_PREFIX = "tidegate-lab"
CGROUP_ROOT = Path("/sys/fs/cgroup")
EMPTY_FILE = Path("/run/empty")
NSPAWN_SOCKETS = Path("/run/systemd/nspawn/unix-export")

# systemd-nspawn wants a /run that it may write to and one tree of unified cgroups, whatever this machine has mounted.
SETUP = """
mount -t tmpfs -o mode=0755 tmpfs /run
mkdir -p /run/systemd
: > /run/empty
umount -R /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 cgroup2 /sys/fs/cgroup
"""

CLONE_NEWNET = 0x40000000  # linux/sched.h; os.setns is in Python 3.12 and newer only
SIOCSIFFLAGS = 0x8914  # linux/sockios.h
IFF_UP = 0x1

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Lab:
    """An open lab. ``work`` is its folder, on the cache's file system so that disks can be hard-linked from there."""

    namespaces: Namespaces
    cache: Cache
    work: Path

    def on_network(self, act: Callable[[], T]) -> T:
        """Call ``act`` in a thread that is on the lab's network. A socket made there stays there."""
        with ThreadPoolExecutor(max_workers=1) as thread:
            return thread.submit(self._join_and, act).result()

    def _join_and(self, act: Callable[[], T]) -> T:
        libc = ctypes.CDLL(None, use_errno=True)
        with (self.namespaces.proc / "ns/net").open("rb") as network:
            if libc.setns(network.fileno(), CLONE_NEWNET) != 0:
                raise LabError(f"cannot join the lab's network: {os.strerror(ctypes.get_errno())}")
        return act()

    def cgroup(self, machine: str) -> Path:
        """The cgroup of a machine, as the lab sees it. Two machines in one would kill each other's services."""
        return CGROUP_ROOT / f"{CGROUP_PREFIX}-{os.getpid()}-{machine}"

    def folder(self, name: str) -> Path:
        """A new folder for one disk or one set of records."""
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.work))
        folder.chmod(0o755)  # as / of a disk is
        return folder

    def forget_machine(self, machine: str) -> None:
        """Unmount what a killed systemd-nspawn leaves in /run, since no other of that name would start.

        It is a folder for the container's sockets (systemd 256 and newer).
        """
        folder = NSPAWN_SOCKETS / machine
        if self.namespaces.outside(folder).is_dir():
            self.namespaces.run(["umount", "--lazy", folder])
            self.namespaces.must(["rmdir", folder])

    def remove_cgroup(self, cgroup: Path) -> None:
        """Remove a cgroup and what is below it, as far as nothing runs in it."""
        for folder, _, _ in os.walk(self.namespaces.outside(cgroup), topdown=False):
            with suppress(OSError):  # busy for a moment while its last process ends; the next lab sweeps again
                Path(folder).rmdir()


@contextmanager
def open_lab(cache: Cache) -> Generator[Lab]:
    """Open a lab, and clear away what harnesses that were killed have left behind.

    Raises:
        LabError: containers cannot run here; the message says what the kernel refused.
    """
    with _work_folder(cache) as work, Namespaces.open(OWN_NETWORK, SETUP) as namespaces:
        lab = Lab(namespaces, cache, work)
        lab.on_network(_loopback_up)
        _sweep_cgroups(lab)
        try:
            yield lab
        finally:
            for cgroup in _cgroups(lab, f"{CGROUP_PREFIX}-{os.getpid()}-*"):
                lab.remove_cgroup(cgroup)


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def _cgroups(lab: Lab, pattern: str) -> list[Path]:
    root = lab.namespaces.outside(CGROUP_ROOT)
    return [CGROUP_ROOT / found.name for found in root.glob(pattern)]


def _sweep_cgroups(lab: Lab) -> None:
    for cgroup in _cgroups(lab, f"{CGROUP_PREFIX}-*"):
        owner = cgroup.name.removeprefix(f"{CGROUP_PREFIX}-").split("-")[0]
        if not Path(f"/proc/{owner}").exists():
            lab.remove_cgroup(cgroup)


@contextmanager
def _work_folder(cache: Cache) -> Generator[Path]:
    """A folder that is ours while we hold its lock; folders that nobody holds are removed."""
    labs = cache.root / "labs"
    labs.mkdir(parents=True, exist_ok=True)
    _sweep_work(labs)
    work = Path(tempfile.mkdtemp(dir=labs))
    work.chmod(0o755)  # users of the machines have to get through to their own root
    with work.with_suffix(".new").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        held = Path(lock.name).rename(work.with_suffix(".lock"))  # it is never seen without being held
        try:
            yield work
        finally:
            remove_tree(work)
            held.unlink()


def _sweep_work(labs: Path) -> None:
    for lock in labs.glob("*.lock"):
        with lock.open("w") as handle:
            if try_lock(handle.fileno()):
                remove_tree(lock.with_suffix(""))
                lock.unlink(missing_ok=True)
