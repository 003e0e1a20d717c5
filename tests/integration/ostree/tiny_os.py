"""A tiny OSTree world for tests: an OS of a few small files, its repository, and sysroots that carry it.

Everything is driven through the real ``ostree`` command. The trees are useless as an operating system but whole in
ostree's eyes: kernel, initramfs, ``/usr/etc``, the usual empty folders.
"""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]
STATEROOT = "demo"
REMOTE = "demo"
REF = "demo/x86_64/stable"
KERNEL = "6.1.0-demo"
FILES = 6
FILE_BYTES = 20_000
FOLDERS = ("var", "sysroot", "boot", "run", "proc", "dev", "sys", "tmp", "usr/bin", "usr/lib64", "usr/sbin")
MERGED_USR = ("bin", "lib", "lib64", "sbin")


def run(*argv: str | Path, cwd: Path | None = None) -> str:
    """Run a command to its end and give its standard output; a failure shows what it printed."""
    done = subprocess.run([str(part) for part in argv], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{argv} exited {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def foreign_prefixes() -> tuple[Path, ...]:
    """Folders outside ``/usr`` that this Python needs: bound into a pretended host so that it can run there."""
    wanted = {Path(sys.prefix), Path(sys.base_prefix), CHECKOUT}
    return tuple(sorted(path for path in wanted if path.parts[1] != "usr"))


def plant_tree(tree: Path, version: str, *, kernel_bytes: int = 4096) -> None:
    """One version of the OS; its content follows from ``version`` alone."""
    noise = random.Random(version)
    tops = tuple(prefix.parts[1] for prefix in foreign_prefixes())
    for folder in (*FOLDERS, *tops):
        (tree / folder).mkdir(parents=True, exist_ok=True)
    for name in MERGED_USR:
        (tree / name).symlink_to(f"usr/{name}")
    (tree / "ostree").symlink_to("sysroot/ostree")
    modules = tree / "usr/lib/modules" / KERNEL
    modules.mkdir(parents=True)
    (modules / "vmlinuz").write_bytes(noise.randbytes(kernel_bytes))
    (modules / "initramfs.img").write_bytes(noise.randbytes(kernel_bytes))
    (tree / "usr/etc").mkdir()
    (tree / "usr/etc/release-notes").write_text(f"release {version}\n", encoding="ascii")
    (tree / "usr/lib/os-release").write_text(f"ID=demo\nVERSION_ID={version}\n", encoding="ascii")
    for number in range(FILES):
        (tree / f"usr/lib/payload-{number}").write_bytes(noise.randbytes(FILE_BYTES))


@dataclass(frozen=True, slots=True)
class Repository:
    """An archive repository, as a web server would show it."""

    path: Path

    @classmethod
    def create(cls, path: Path) -> Repository:
        """An empty one."""
        run("ostree", f"--repo={path}", "init", "--mode=archive")
        return cls(path)

    def commit(self, version: str, *options: str, kernel_bytes: int = 4096) -> str:
        """Publish a version; gives the 64-hex checksum. ``options`` go to ``ostree commit``."""
        tree = self.path.with_name(f"tree-{self.path.name}-{version}")
        if not tree.exists():
            plant_tree(tree, version, kernel_bytes=kernel_bytes)
        day = int(float(version))
        checksum = run(
            "ostree", f"--repo={self.path}", "commit", f"--branch={REF}", f"--tree=dir={tree}",
            "--bootable", "--canonical-permissions", "--owner-uid=0", "--owner-gid=0",
            f"--add-metadata-string=version={version}", f"--timestamp=2026-01-{day:02} 00:00:00 +0000", *options,
        ).strip()  # fmt: skip
        self.refresh_summary()
        return checksum

    def point_branch_to(self, checksum: str) -> None:
        """Let the branch point to another commit, as a publisher or a thief may."""
        run("ostree", f"--repo={self.path}", "refs", f"--create={REF}", "--force", checksum)
        self.refresh_summary()

    def drop_branch(self) -> None:
        """Take the branch away; its commits stay."""
        run("ostree", f"--repo={self.path}", "refs", "--delete", REF)
        self.refresh_summary()

    def delta(self, old: str, new: str) -> Path:
        """Generate the static delta between two commits; gives its first part."""
        run("ostree", f"--repo={self.path}", "static-delta", "generate", f"--from={old}", f"--to={new}")
        self.refresh_summary()
        (part,) = self.path.glob("deltas/*/*/0")
        return part

    def refresh_summary(self, *options: str) -> None:
        """Write the summary anew."""
        run("ostree", f"--repo={self.path}", "summary", "--update", *options)

    def object_file(self, suffix: str, *, largest: bool = True) -> Path:
        """One loose object, the largest of its kind by default."""
        objects = sorted(self.path.glob(f"objects/*/*.{suffix}"), key=lambda path: path.stat().st_size)
        return objects[-1 if largest else 0]


@dataclass(frozen=True, slots=True)
class Published:
    """Three releases; from the first to the second there is a static delta, to the third there is none."""

    repository: Repository
    v1: str
    v2: str
    v3: str
    delta_part: Path


@dataclass(frozen=True, slots=True)
class Sysroot:
    """A physical root with OSTree deployments."""

    path: Path

    @classmethod
    def create(cls, path: Path, url: str, *remote_options: str) -> Sysroot:
        """An empty one whose remote is ``url``."""
        path.mkdir(parents=True)
        run("ostree", "admin", "init-fs", "--modern", path)
        run("ostree", "admin", f"--sysroot={path}", "os-init", STATEROOT)
        sysroot = cls(path)
        sysroot.configure("sysroot.bootloader", "none")
        sysroot.configure("core.fsync", "false")
        options = remote_options or ("--no-gpg-verify",)
        run("ostree", f"--repo={sysroot.repo}", "remote", "add", *options, REMOTE, url, REF)
        return sysroot

    def clone(self, path: Path, url: str) -> Sysroot:
        """A copy whose remote is ``url``: far quicker than another one made from nothing."""
        run("cp", "-a", self.path, path)
        twin = Sysroot(path)
        config = twin.repo / "config"
        text = config.read_text(encoding="utf-8")
        config.write_text(re.sub(r"(?m)^url=.*$", f"url={url}", text), encoding="utf-8")
        return twin

    @property
    def repo(self) -> Path:
        """Its object store."""
        return self.path / "ostree/repo"

    def configure(self, key: str, value: str) -> None:
        """Set one key of the repository's configuration."""
        run("ostree", f"--repo={self.repo}", "config", "set", key, value)

    def install(self, checksum: str) -> None:
        """Pull and deploy a release the plain way, as an installer does."""
        run("ostree", f"--repo={self.repo}", "pull", REMOTE, f"{REF}@{checksum}")
        run("ostree", "admin", "deploy", f"--sysroot={self.path}", f"--os={STATEROOT}", "--karg=rw",
            f"{REMOTE}:{REF}")  # fmt: skip

    def status(self) -> str:
        """What ``ostree admin status`` prints."""
        return run("ostree", "admin", "status", f"--sysroot={self.path}")

    def has_commit(self, checksum: str) -> bool:
        """Whether a commit object is here."""
        return (self.repo / "objects" / checksum[:2] / f"{checksum[2:]}.commit").exists()

    def lose_an_object(self, checksum: str) -> None:
        """Damage the store: delete one file that only this commit has."""
        listing = run("ostree", f"--repo={self.repo}", "ls", "--checksum", checksum, "/usr/lib/payload-0")
        name = listing.split()[4]
        (self.repo / "objects" / name[:2] / f"{name[2:]}.file").unlink()

    def local_ref(self) -> str | None:
        """Where the remote's ref points locally."""
        ref = self.repo / "refs/remotes" / REMOTE / REF
        return ref.read_text(encoding="ascii").strip() if ref.exists() else None

    def default_entry(self) -> Path:
        """The deployment that a boot loader would choose: the entry with the highest ``version``."""
        return self.deployment_of(self.default_options())

    def default_options(self) -> str:
        """The kernel command line of that entry."""
        entries = (
            read_entry(path.read_text(encoding="utf-8")) for path in self.path.glob("boot/loader/entries/*.conf")
        )
        return max(entries, key=lambda entry: int(entry["version"]))["options"]

    def deployment_of(self, options: str) -> Path:
        """The deployment that a kernel command line leads to, whether it is there or not."""
        (option,) = (word for word in options.split() if word.startswith("ostree="))
        return Path(str(self.path) + option.removeprefix("ostree=")).resolve()

    def loosen(self) -> None:
        """Take the immutable bit off the deployments so that a temporary folder can be removed."""
        for deployment in self.path.glob("ostree/deploy/*/deploy/*.?"):
            run("chattr", "-i", deployment)


def read_entry(text: str) -> dict[str, str]:
    """One entry of the boot loader's menu."""
    lines: Iterable[str] = text.splitlines()
    return dict(line.split(" ", 1) for line in lines if " " in line)
