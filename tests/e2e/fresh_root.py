"""A fresh Debian to try commands in: apt, and next to nothing else.

It is no host: no systemd runs in it. It is the root of a mount namespace of its own, and has this machine's network,
mirrors and package index. ``python -m tests.e2e.fresh_root [--suite SUITE] COMMAND...`` runs a command in one, in a
copy of this checkout.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.lab.apt_sources import lines_for, read_apt_sources
from tests.e2e.lab.cache import Cache, digest, remove_tree
from tests.e2e.lab.debian import SUITES
from tests.e2e.lab.lab import Lab, open_lab
from tests.e2e.lab.namespaces import MOUNTS_ONLY, Namespaces
from tests.e2e.lab.process import Command, LabError, Result, must

CHECKOUT = Path(__file__).resolve().parents[2]
CHECKOUT_PARTS = (
    *("agent", "config.d", "contrib", "systemd", "tests"),
    *("pyproject.toml", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE"),
)
INSIDE = "/path/to/checkout"
"""Where the checkout is in the root: README.md calls it so."""

BUILD_SECS = 900.0
KEPT_PER_SUITE = 1
OPTIONS = (
    "--mode=root",
    "--variant=minbase",
    "--format=directory",
    "--include=ca-certificates",
    "--dpkgopt=force-unsafe-io",  # nobody wants it back after a power cut
)
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # Debian's, for root

AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
CONFIGURATION = ("/etc/resolv.conf", "/etc/pip.conf", str(AUTHORITIES))
PROXIES = ("http_proxy", "https_proxy", "no_proxy")
FOR_PIP = ("PIP_", "SSL_CERT_", "REQUESTS_CA_", "NODE_EXTRA_CA_")

# As a person would answer; and apt reaches its mirrors as this machine does.
APT_ANSWERS = 'APT::Get::Assume-Yes "true";\n'

# $root becomes the root of the namespace: nsenter(1) leads into it, where it would lead out of a chroot(2).
ENTER = """
mount --bind "$root" "$root"
cd "$root"
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t tmpfs -o mode=0755 tmpfs run
bind() { mkdir -p "$2"; mount --bind "$1" "$2"; }
bind "$archives" var/cache/apt/archives
bind "$pip" root/.cache/pip
bind "$lab" var/cache/tidegate-lab
[ ! -d "$wheels" ] || bind "$wheels" "./$wheels"
pivot_root . mnt
cd /
umount --lazy /mnt
"""


@dataclass(frozen=True, slots=True)
class FreshRoot:
    """A root to try commands in; ``folder`` is where its files are. Commands run as root in the checkout."""

    folder: Path
    namespaces: Namespaces

    def run(self, script: str, *, timeout_secs: float) -> Result:
        """Run a shell script."""
        return self.namespaces.run(self._command(script), timeout_secs=timeout_secs)

    def must(self, script: str, *, timeout_secs: float) -> str:
        """Run a shell script that must succeed; returns its standard output."""
        return self.run(script, timeout_secs=timeout_secs).checked()

    def watch(self, script: str) -> int:
        """Run a shell script on this terminal; returns its exit status."""
        return subprocess.run(self.namespaces.enter(self._command(script)), check=False).returncode

    @staticmethod
    def _command(script: str) -> list[str]:
        environment = [f"{name}={value}" for name, value in _environment().items()]
        return ["env", "--ignore-environment", "--chdir", INSIDE, *environment, "sh", "-ec", script]


def _environment() -> dict[str, str]:
    """That of a login of root, with how this machine reaches package indexes."""
    passed = {name: value for name, value in os.environ.items() if name.startswith(FOR_PIP) or name.lower() in PROXIES}
    return {"HOME": "/root", "PATH": PATH, "LANG": "C.UTF-8", "TERM": os.environ.get("TERM", "dumb"), **passed}


def fresh_files(cache: Cache, suite: str) -> Path:
    """The files of such a root, only ever to be copied."""

    def build(into: Path) -> None:
        cache.say(f"building a fresh Debian {suite} with mmdebstrap: half a minute, once")
        (into / "tmp").mkdir()
        with Namespaces.open(MOUNTS_ONLY) as namespaces:
            command: Command = ["mmdebstrap", *OPTIONS, suite, into / "root", *lines_for(suite, read_apt_sources())]
            in_scratch = os.environ | {"TMPDIR": str(into / "tmp")}
            namespaces.must(command, timeout_secs=BUILD_SECS, env=in_scratch)

    return cache.entry(f"fresh-{suite}", digest(suite, *OPTIONS), build, keep=KEPT_PER_SUITE) / "root"


@contextmanager
def fresh_root(lab: Lab, suite: str) -> Generator[FreshRoot]:
    """A fresh root with an empty machine id, and with a copy of this checkout. It is wiped at the end."""
    folder = lab.folder(f"fresh-{suite}") / "root"
    must(["cp", "-a", fresh_files(lab.cache, suite), folder])
    _configure(folder)
    _copy_checkout(folder / INSIDE.lstrip("/"))
    try:
        with Namespaces.open(MOUNTS_ONLY, _setup(lab.cache, folder)) as namespaces:
            yield FreshRoot(folder, namespaces)
    finally:
        remove_tree(folder)


def _configure(root: Path) -> None:
    (root / "etc/machine-id").write_text("")
    for file in map(Path, CONFIGURATION):
        if file.exists():
            shutil.copyfile(file, root / file.relative_to("/"))
    acquire = must(["apt-config", "dump", "Acquire"])
    (root / "etc/apt/apt.conf.d/90machine").write_text(acquire + APT_ANSWERS)


def _copy_checkout(into: Path) -> None:
    into.mkdir(parents=True)
    for part in CHECKOUT_PARTS:
        source = CHECKOUT / part
        if source.is_dir():
            shutil.copytree(source, into / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, into / part)


def _setup(cache: Cache, root: Path) -> str:
    """The script that enters ``root``, with what was downloaded before."""
    kept = {name: cache.root / "downloads" / name for name in ("archives", "pip")}
    for folder in kept.values():
        (folder / "partial").mkdir(parents=True, exist_ok=True)
    places = {**kept, "root": root, "lab": cache.root, "wheels": Path(os.environ.get("PIP_FIND_LINKS") or "/none")}
    return "\n".join([*(f"{name}={shlex.quote(str(place))}" for name, place in places.items()), ENTER])


def main() -> int:
    """The command line; returns the exit status of the command."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.e2e.fresh_root", description="Run a command in a fresh root."
    )
    parser.add_argument("--suite", choices=SUITES, default=list(SUITES)[-1])
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    try:
        with open_lab(Cache.default(print)) as lab, fresh_root(lab, arguments.suite) as root:
            return root.watch(shlex.join(arguments.command))
    except LabError as error:
        print(f"fresh root: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
