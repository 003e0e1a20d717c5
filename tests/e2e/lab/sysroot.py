"""The disk of a machine: an OSTree sysroot in a folder, and its boot loader's entries."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.lab.depot import REF, Release
from tests.e2e.lab.disk import Disk
from tests.e2e.lab.lab import Lab
from tests.e2e.lab.process import Command

STATEROOT = "debian"
REMOTE = "lab"
KARGS = ("root=LABEL=root", "rw", "quiet")
POPULATE_SECS = 180.0

# The immutable bit would make the folder outlive a killed harness; the machine itself sets it as usual.
QUICK = {"OSTREE_SYSROOT_DEBUG": "mutable-deployments", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


@dataclass(frozen=True, slots=True)
class Remote:
    """Where the host fetches releases from; ``key`` is an exported OpenPGP key that commits must be signed with."""

    url: str
    key: Path | None = None

    def options(self) -> list[str]:
        """For ostree remote add."""
        if self.key is None:
            return ["--no-gpg-verify"]
        return ["--set=gpg-verify=true", f"--gpg-import={self.key}"]


@dataclass(frozen=True, slots=True)
class BootEntry:
    """One line of the boot menu.

    ``rank`` is the entry's version: the boot loader's default has the highest. ``deployment`` is the folder that it
    boots, as the lab sees it.
    """

    rank: int
    title: str
    options: tuple[str, ...]
    deployment: Path

    @property
    def payload(self) -> str:
        """The checksum of the release that it boots."""
        return self.deployment.name.split(".")[0]


@dataclass(frozen=True, slots=True)
class Sysroot:
    """A populated sysroot. ``path`` is what the lab sees; files are read through :meth:`outside`."""

    lab: Lab
    path: Path

    def outside(self, below: str = "") -> Path:
        """How the harness reaches a file of the sysroot."""
        return self.lab.namespaces.outside(self.path / below)

    def entries(self) -> list[BootEntry]:
        """The boot menu, the default first. Only contents count: versions of ostree name the files differently."""
        files = self.outside("boot/loader/entries").glob("*.conf")
        return sorted((self._entry(f.read_text()) for f in files), key=lambda e: e.rank, reverse=True)

    def _entry(self, text: str) -> BootEntry:
        fields = entry_fields(text)
        options = tuple(fields["options"].split())
        link = next(o for o in options if o.startswith("ostree=")).removeprefix("ostree=")
        deployment = self.lab.namespaces.must(["readlink", "-e", f"{self.path}{link}"]).strip()
        return BootEntry(int(fields["version"]), fields.get("title", ""), options, Path(deployment))

    @property
    def var(self) -> Path:
        """The host's /var, as the lab sees it."""
        return self.path / "ostree/deploy" / STATEROOT / "var"

    def ostree(self, *args: str) -> str:
        """Run ostree on the sysroot's repository from outside."""
        return self.lab.namespaces.must(["ostree", f"--repo={self.path}/ostree/repo", *args])


def entry_fields(text: str) -> dict[str, str]:
    """The keys and values of a Boot Loader Specification entry."""
    return dict(re.findall(r"^(\S+)\s+(.*)$", text, re.MULTILINE))


def make_sysroot(
    lab: Lab, release: Release, remote: Remote, *, kargs: Sequence[str] = KARGS, disk: Disk | None = None
) -> Sysroot:
    """Install ``release`` into a new folder of the lab, hard-linked: a second, and a few megabytes.

    ``disk`` is a file system of its own instead, which everything is copied to.

    Raises:
        LabError: ostree refused; its words are in the message.
    """
    sysroot = Sysroot(lab, disk.path if disk else lab.folder("sysroot"))
    install(sysroot, release, remote, kargs)
    return sysroot


def install(sysroot: Sysroot, release: Release, remote: Remote, kargs: Sequence[str] = KARGS) -> None:
    """Populate an empty sysroot, as an installer would."""
    path, repo = sysroot.path, f"--repo={sysroot.path}/ostree/repo"
    refspec = f"{REMOTE}:{REF}"
    options = [f"--karg={karg}" for karg in kargs]
    steps: list[Command] = [
        ["ostree", "admin", "init-fs", "--modern", path],
        ["ostree", "admin", "os-init", STATEROOT, f"--sysroot={path}"],
        ["ostree", "config", repo, "set", "sysroot.bootloader", "none"],
        ["ostree", "config", repo, "set", "core.fsync", "false"],
        ["ostree", repo, "remote", "add", *remote.options(), REMOTE, remote.url],
        ["ostree", repo, "pull-local", f"--remote={REMOTE}", release.repo, release.payload],
        ["ostree", repo, "refs", "--force", f"--create={refspec}", release.payload],
        ["ostree", "admin", "deploy", f"--sysroot={path}", f"--os={STATEROOT}", *options, refspec],
    ]
    for step in steps:
        sysroot.lab.namespaces.must(step, timeout_secs=POPULATE_SECS, env=QUICK)
