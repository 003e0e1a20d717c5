"""A host that libostree takes for booted, without a machine: one mount and pid namespace per boot.

libostree believes that it is booted when ``/run/ostree-booted`` exists and ``/`` is a deployment's folder. So the
default deployment is bound as ``/``, the sysroot under ``/sysroot``, and the machine's ``/usr`` over the tiny tree's
so that there is a userspace; ``systemctl`` and ``journalctl`` are stubs, first in the path. This file plays boot
loader: every boot takes the default entry, or the one that it is told.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.integration.ostree.tiny_os import CHECKOUT, STATEROOT, Sysroot, foreign_prefixes

# Answers what the engine asks of systemd, and remembers what it was told, under /run/stub.
SYSTEMCTL = r"""#!/bin/sh
mkdir -p /run/stub
for last; do :; done
echo "$*" >> /run/stub/calls
case "$*" in
*start*) [ -e /run/stub/refuse ] && { echo "Job for $last failed." >&2; exit 1; }; : > "/run/stub/$last.active" ;;
*show*ostree-boot-complete.service*) cat /run/stub/boot-complete 2>/dev/null ||
    printf 'ActiveState=inactive\nResult=success\n' ;;
*show*) [ -e "/run/stub/$last.active" ] && [ ! -e /run/stub/lost ] &&
    printf 'ActiveState=active\nResult=success\n' || printf 'ActiveState=inactive\nResult=success\n' ;;
esac
"""

# The journal of the shutdown before: what a test wrote down as it.
JOURNALCTL = r"""#!/bin/sh
case "$*" in
*"-b -1"*UNIT=ostree-finalize-staged.service*) cat /run/stub/last-shutdown ;;
*ostree-boot-complete.service*) cat /run/stub/boot-complete-said ;;
esac 2>/dev/null
"""
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""The stubs come first, whatever the caller's path is."""

STUBS = {"systemctl": SYSTEMCTL, "journalctl": JOURNALCTL}

# $1 deployment, $2 sysroot, $3 stateroot, $4 folder of stubs, $5 ro or rw for /sysroot, $6 the options of the entry
# (arguments of process 1, as in any container), the rest: folders to bind.
# The pid namespace is needed too: libostree 2022.7 compares its own mount namespace with that of pid 1.
SETUP = r"""
deployment=$1 sysroot=$2 stateroot=$3 stubs=$4 mode=$5 options=$6; shift 6
root=$(mktemp -d -p "${stubs%/*}")
mount --bind "$deployment" "$root"
mount --bind "$sysroot" "$root/sysroot"
mount --bind "$sysroot/boot" "$root/boot"
mount --bind "$sysroot/ostree/deploy/$stateroot/var" "$root/var"
mount --rbind /usr "$root/usr"
for stub in "$stubs"/*; do mount --bind "$stub" "$root/usr/bin/${stub##*/}"; done
mount -t tmpfs tmpfs "$root/run"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
for path; do
    top=$root/$(echo "$path" | cut -d/ -f2)
    [ -e "$top/.bound" ] || { mount -t tmpfs tmpfs "$top"; : > "$top/.bound"; }
    mkdir -p "$root$path"; mount --bind "$path" "$root$path"
done
mkdir -p "$root/run/ostree"; : > "$root/run/ostree-booted"
[ "$mode" = rw ] || mount -o remount,bind,ro "$root/sysroot"
mkdir -p "$root/run/systemd"; echo test > "$root/run/systemd/container"
exec chroot "$root" /bin/sh -c 'echo up; exec sh -c "sleep infinity & wait" init $0' "$options"
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a verb: its result and the steps that it showed, or the error."""

    result: Any = None
    steps: list[str] = field(default_factory=list[str])
    kind: str | None = None
    message: str = ""
    remedy: str = ""


FROZEN_TRIES = 100


@dataclass(frozen=True, slots=True)
class Boot:
    """One running boot of a pretended host."""

    init_pid: int

    def command(self, *argv: str | Path) -> list[str]:
        """The command line that runs ``argv`` on the host."""
        enter = ["nsenter", f"--target={self.init_pid}", "--mount", "--pid", "--root", "--wd"]
        return [*enter, "--", "env", PATH, *map(str, argv)]

    def attempt(self, *argv: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command on the host, whatever it comes to."""
        return subprocess.run(self.command(*argv), capture_output=True, text=True, check=False)

    def run(self, *argv: str | Path) -> str:
        """Run a command on the host that must succeed; gives its standard output."""
        done = self.attempt(*argv)
        assert done.returncode == 0, f"{argv} exited {done.returncode}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def engine(self, verb: str, payload: str = "") -> Answer:
        """Run one verb of the engine under test on the host, in a process of its own."""
        module = "tests.integration.ostree.drive"
        path = f"PYTHONPATH={CHECKOUT / 'agent'}:{CHECKOUT}"
        printed = self.run("env", path, sys.executable, "-W", "error", "-m", module, verb, payload)
        return Answer(**json.loads(printed))

    def exists(self, path: str) -> bool:
        """Whether the host has a file."""
        return self.attempt("test", "-e", path).returncode == 0

    def shrink_boot(self, size_kb: int) -> None:
        """Put a small file system in the place of /boot, with what is there now."""
        self.run("cp", "-a", "/boot", "/tmp/boot")
        self.run("mount", "-t", "tmpfs", "-o", f"size={size_kb}k", "tmpfs", "/boot")
        self.run("cp", "-a", "/tmp/boot/.", "/boot")

    def finalize(self) -> str:
        """What systemd does at shutdown when ostree-finalize-staged.service is active, and only then."""
        if not self.exists("/run/stub/ostree-finalize-staged.service.active"):
            return "ostree-finalize-staged.service is not active"
        done = self.attempt("ostree", "admin", "finalize-staged")
        for _ in range(FROZEN_TRIES):  # another test's ostree freezes the file system that both are on
            if "remounting /sysroot read-write: device or resource busy" not in done.stderr.lower():
                break
            time.sleep(0.2)
            done = self.attempt("ostree", "admin", "finalize-staged")
        return done.stdout + done.stderr


@dataclass(frozen=True, slots=True)
class PretendHost:
    """A sysroot that can be booted."""

    sysroot: Sysroot
    scratch: Path

    @contextmanager
    def boot(self, *, entry: Path | None = None, read_only: bool = False, options: str = "") -> Generator[Boot]:
        """Boot the default entry (or ``entry``). Leaving the context cuts the power: ``/run`` is gone.

        ``options`` are those of the menu that the entry was chosen from, by default of the present one.
        """
        options = options or self.sysroot.default_options()
        stubs = self._plant_stubs()
        deployment = entry or self.sysroot.default_entry()
        argv = ["unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child",
                "sh", "-ec", SETUP, "sh", deployment, self.sysroot.path, STATEROOT, stubs,
                "ro" if read_only else "rw", options, *foreign_prefixes()]  # fmt: skip
        with subprocess.Popen([*map(str, argv)], stdout=subprocess.PIPE, text=True) as outer:
            assert outer.stdout is not None
            assert outer.stdout.readline() == "up\n", "the pretended host did not come up"
            try:
                yield Boot(_only_child(outer.pid))
            finally:
                outer.send_signal(signal.SIGKILL)

    def _plant_stubs(self) -> Path:
        folder = self.scratch / "stubs"
        folder.mkdir(exist_ok=True)
        for name, script in STUBS.items():
            (folder / name).write_text(script, encoding="utf-8")
            (folder / name).chmod(0o755)
        return folder


def _only_child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii"))
