"""A plain Debian host in a container: a real systemd, dpkg, and a disk that may be written to; no OSTree."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.e2e.lab.apt_sources import lines_for, read_apt_sources
from tests.e2e.lab.cache import Cache, digest, remove_tree
from tests.e2e.lab.guest import Guest, GuestGoneError, find_leader, pids_below
from tests.e2e.lab.lab import Lab
from tests.e2e.lab.namespaces import MOUNTS_ONLY, Namespaces
from tests.e2e.lab.process import LabError, must
from tests.e2e.lab.waiting import wait_for

# What the packages depend on; nothing can be fetched from within the lab.
PACKAGES = (
    "systemd-sysv",
    "dbus",
    "polkitd",
    "python3",
    "ca-certificates",
    "bash-completion",
    "man-db",
    "systemd-timesyncd",
)
BUILD_SECS = 900.0
UP_SECS = 180.0
OFF_SECS = 120.0
CONSOLE_TAIL_CHARS = 2000
KEPT_PER_SUITE = 1


def plain_root(cache: Cache, suite: str) -> Path:
    """The files of such a host, only ever to be copied."""

    def build(into: Path) -> None:
        cache.say(f"building a plain host, Debian {suite}, with mmdebstrap: a minute, once")
        (into / "tmp").mkdir()
        with Namespaces.open(MOUNTS_ONLY) as namespaces:
            in_scratch = os.environ | {"TMPDIR": str(into / "tmp")}
            namespaces.must(_mmdebstrap(suite, into / "root"), timeout_secs=BUILD_SECS, env=in_scratch)

    return cache.entry(f"plain-{suite}", digest(suite, *PACKAGES), build, keep=KEPT_PER_SUITE) / "root"


def _mmdebstrap(suite: str, root: Path) -> list[str | Path]:
    plain = ["mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory"]
    choice = [f"--include={','.join(PACKAGES)}", "--aptopt=APT::Install-Recommends false"]
    return [*plain, *choice, suite, root, *lines_for(suite, read_apt_sources())]


@contextmanager
def plain_host(lab: Lab, suite: str) -> Generator[tuple[Guest, Path]]:
    """A running host, and its root as the harness sees it. At the end its plug is pulled and its disk wiped."""
    root = lab.folder(f"plain-{suite}") / "root"
    must(["cp", "-a", plain_root(lab.cache, suite), root])
    (root / "etc/machine-id").write_text("")
    # Two hosts of one name would kill each other's processes; what mkdtemp() makes up need not be a name of a host.
    name = f"plain-{digest(str(root))}"
    cgroup = lab.namespaces.outside(lab.cgroup(name))
    cgroup.mkdir()
    try:
        with _start(lab, name, root) as container:
            try:
                yield _up(container, cgroup, _console(root)), root
            finally:
                (cgroup / "cgroup.kill").write_text("1")
    finally:
        # A container that was killed is gone before the last of its processes is.
        wait_for(lambda: not [*pids_below(cgroup)], f"end of {name}'s processes", deadline_secs=OFF_SECS)
        lab.remove_cgroup(lab.cgroup(name))
        lab.forget_machine(name)
        remove_tree(root)


def _start(lab: Lab, name: str, root: Path) -> subprocess.Popen[bytes]:
    join: list[str | Path] = ["sh", "-c", 'echo 0 > "$0/cgroup.procs"; exec "$@"', lab.cgroup(name)]
    options = ["--register=no", "--keep-unit", "--link-journal=no", "--resolv-conf=off", "--timezone=off"]
    boot: list[str | Path] = ["systemd-nspawn", "--quiet", f"--directory={root}", "--boot", *options]
    boot += ["--console=read-only", f"--machine={name}", f"--hostname={name}"]
    with _console(root).open("ab") as log:
        return subprocess.Popen(
            lab.namespaces.enter([*join, *boot]),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _console(root: Path) -> Path:
    return root.with_name("console.log")


def _up(container: subprocess.Popen[bytes], cgroup: Path, console: Path) -> Guest:
    def look() -> Guest | None:
        if container.poll() is not None:
            raise LabError(f"a plain host has ended:\n{console.read_text(errors='replace')[-CONSOLE_TAIL_CHARS:]}")
        leader = find_leader(cgroup)
        if leader is None:
            return None
        guest = Guest(leader, cgroup)
        with suppress(GuestGoneError):
            state = guest.run(["systemctl", "is-system-running", "--wait"]).out.strip()
            return guest if state in {"running", "degraded"} else None
        return None

    return wait_for(look, "a plain host that is up", deadline_secs=UP_SECS)
