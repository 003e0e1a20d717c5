"""The host before Tidegate is on it: a minimal Debian, built once and kept as an OSTree commit."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.lab.apt_sources import lines_for, read_apt_sources
from tests.e2e.lab.cache import Cache, digest, remove_tree
from tests.e2e.lab.layout import to_ostree_layout
from tests.e2e.lab.namespaces import MOUNTS_ONLY, Namespaces
from tests.e2e.lab.process import Command, LabError, must

# What differs between the suites that matters here: the version of Debian's own Python.
SUITES = {"bookworm": "3.11", "trixie": "3.13"}

PACKAGES = (
    "systemd-sysv",
    "dbus",
    "libpam-systemd",
    "udev",
    "polkitd",
    "python3",
    "python3-venv",
    "ca-certificates",
    "ostree",
    "ostree-boot",
    "python3-gi",
    "gir1.2-ostree-1.0",
)
UNSHIPPED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")
COMPILE = "python3 -m compileall -q -f -j 0 --invalidation-mode unchecked-hash"

BASE_REF = "lab/base"
BUILD_SECS = 900.0
KEPT_PER_SUITE = 2  # the one of this recipe, and the one of the branch that somebody compares with


@dataclass(frozen=True, slots=True)
class BaseHost:
    """A built base: a bare repository (sysroots are hard-linked from it), the same in archive mode (served over HTTP),
    and a checkout of it, hard-linked as well and therefore only ever to be read."""

    suite: str
    key: str
    folder: Path

    @property
    def bare(self) -> Path:
        """The repository in bare mode."""
        return self.folder / "bare"

    @property
    def archive(self) -> Path:
        """The repository in archive mode."""
        return self.folder / "archive"

    @property
    def tree(self) -> Path:
        """The files of the host as ostree deploys them: /etc is in usr/etc."""
        return self.folder / "tree"


def _settled(_: Path) -> None:
    """A base host that is in order as it is."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A kind of base host: ``packages`` beside the usual ones, options of mmdebstrap, and ``settle``, which is called
    with the root in the layout of OSTree, before it is committed. ``text`` is the source of all that."""

    kind: str
    packages: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    settle: Callable[[Path], None] = _settled
    text: bytes = b""


CONTAINER = Recipe("base")
"""Boots on the kernel of the machine below, in a container."""


def base_key(suite: str, recipe: Recipe = CONTAINER) -> str:
    """The name of the recipe: its text, its packages and the kind of machine."""
    texts = [(Path(__file__).parent / name).read_bytes() for name in ("debian.py", "layout.py")]
    return digest(suite, os.uname().machine, *texts, recipe.text)


def host_base(cache: Cache, suite: str, recipe: Recipe = CONTAINER) -> BaseHost:
    """The base host of a suite, built on the first call for its recipe (a minute or two).

    Raises:
        LabError: no such suite here, or the build failed; the last words of what failed are in the message.
    """
    if suite not in SUITES:
        raise LabError(f"no host of Debian {suite!r} here", f"one of: {', '.join(SUITES)}")
    key = base_key(suite, recipe)
    kind = f"{recipe.kind}-{suite}"
    folder = cache.entry(kind, key, lambda into: _build(cache, suite, recipe, into), keep=KEPT_PER_SUITE)
    return BaseHost(suite, key, folder)


def _build(cache: Cache, suite: str, recipe: Recipe, into: Path) -> None:
    root, scratch = into / "root", into / "tmp"
    scratch.mkdir()  # mmdebstrap that is killed leaves what it has in $TMPDIR; here it goes with the unfinished entry
    with Namespaces.open(MOUNTS_ONLY) as namespaces:  # what mmdebstrap mounts goes with it
        cache.say(f"building the base host, Debian {suite}, with mmdebstrap: a minute or two, once")
        in_scratch = os.environ | {"TMPDIR": str(scratch)}
        namespaces.must(mmdebstrap_command(suite, root, recipe), timeout_secs=BUILD_SECS, env=in_scratch)
    remove_tree(scratch)
    cache.say(f"committing the base host, Debian {suite}")
    to_ostree_layout(root)
    recipe.settle(root)
    _commit(root, into)
    os.sync()


def mmdebstrap_command(suite: str, root: Path, recipe: Recipe = CONTAINER) -> Command:
    """How the root of ``suite`` is made, from this machine's own mirrors.

    Checkouts of ostree have one fixed mtime, so compiled Python that is checked by mtime would be stale everywhere, and
    /usr is read-only: it is compiled to be trusted unchecked.
    """
    unshipped = [f"--dpkgopt=path-exclude={pattern}" for pattern in UNSHIPPED]
    compile_hook = f'chroot "$1" sh -c {shlex.quote(f"{COMPILE} /usr/lib/python3 /usr/lib/python3.*")}'
    return [
        "mmdebstrap",
        "--mode=root",
        "--variant=minbase",
        "--format=directory",
        f"--include={','.join((*PACKAGES, *recipe.packages))}",
        "--aptopt=APT::Install-Recommends false",
        *unshipped,
        f"--customize-hook={compile_hook}",
        *recipe.options,
        suite,
        root,
        *lines_for(suite, read_apt_sources()),
    ]


def _commit(root: Path, into: Path) -> None:
    bare, archive = into / "bare", into / "archive"
    init_repo(bare, "bare")
    init_repo(archive, "archive")
    commit = ["commit", f"--branch={BASE_REF}", "--subject=base", "--consume", f"--tree=dir={root}"]
    must(["ostree", f"--repo={bare}", *commit], timeout_secs=BUILD_SECS)
    must(["ostree", f"--repo={archive}", "pull-local", bare, BASE_REF], timeout_secs=BUILD_SECS)
    must(
        ["ostree", f"--repo={bare}", "checkout", "--require-hardlinks", BASE_REF, into / "tree"],
        timeout_secs=BUILD_SECS,
    )


def init_repo(repo: Path, mode: str) -> None:
    """Make an empty repository; fast rather than small or safe against power cuts, which is right for a cache."""
    must(["ostree", f"--repo={repo}", "init", f"--mode={mode}"])
    must(["ostree", f"--repo={repo}", "config", "set", "core.fsync", "false"])
    must(["ostree", f"--repo={repo}", "config", "set", "archive.zlib-level", "1"])
