"""Releases: the base host plus what a scenario lays over it, committed in a second and served to machines."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tests.e2e.lab.debian import BASE_REF, BaseHost
from tests.e2e.lab.lab import Lab
from tests.e2e.lab.process import LabError, must
from tests.e2e.lab.signing import UNSIGNED, Signer
from tidegate.errors import TidegateError
from tidegate.publish.publisher import Request, publish

REF = "lab/stable"
FOUNDATION_REF = "lab/foundation"  # the base and the layers that every release of a depot has
COMMIT_SECS = 120.0

# Where a path of the running host is in a release.
RELOCATED = {"etc": "usr/etc", "bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}
NOT_IN_A_RELEASE = frozenset({"var", "run", "proc", "sys", "dev", "boot", "tmp", "sysroot", "ostree", "home", "root"})


@dataclass(frozen=True, slots=True)
class File:
    """A file that a scenario puts into a release; root owns it."""

    content: str | bytes
    mode: int = 0o644

    def write(self, to: Path) -> None:
        """Put it there."""
        to.write_bytes(self.content if isinstance(self.content, bytes) else self.content.encode())
        to.chmod(self.mode)


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link that a scenario puts into a release."""

    target: str

    def write(self, to: Path) -> None:
        """Put it there."""
        to.symlink_to(self.target)


Extra = File | Link
NO_EXTRAS: Mapping[str, Extra] = {}


@dataclass(frozen=True, slots=True)
class Release:
    """A committed release: ``payload`` is the commit, ``repo`` the bare repository that it is in."""

    version: str
    payload: str
    repo: Path


@dataclass(frozen=True, slots=True)
class Depot:
    """A lab's own copies (hard links) of a base host's repositories, to commit to and to serve from.

    The objects are the cache's own files: to spoil one for a test, let the server do it, or copy the file first.
    """

    base: BaseHost
    folder: Path
    signer: Signer | None = None

    @property
    def bare(self) -> Path:
        """Where releases are committed; sysroots are hard-linked from it."""
        return self.folder / "bare"

    @property
    def archive(self) -> Path:
        """What is served over HTTP."""
        return self.folder / "archive"

    def release(self, version: str, extras: Mapping[str, Extra] = NO_EXTRAS) -> Release:
        """Commit the foundation and ``extras`` (by path of the running host) as ``version``; not published yet."""
        overlay = self.folder / "overlay"
        overlay.mkdir()
        try:
            lay_over(self.base.tree, overlay, {"/usr/lib/os-release": self._os_release(version), **extras})
            return Release(version, self._commit(version, overlay), self.bare)
        finally:
            shutil.rmtree(overlay)

    def _os_release(self, version: str) -> File:
        lines = (self.base.tree / "usr/lib/os-release").read_text().splitlines()
        kept = [line for line in lines if not line.startswith(("VERSION=", "OSTREE_VERSION="))]
        return File("\n".join([*kept, f'VERSION="{version}"', f"OSTREE_VERSION='{version}'", ""]))

    def _commit(self, version: str, overlay: Path) -> str:
        sources = [f"--tree=ref={FOUNDATION_REF}", f"--tree=dir={overlay}"]
        about = [f"--subject={version}", f"--add-metadata-string=version={version}"]
        commit = ["ostree", f"--repo={self.bare}", "commit", f"--branch={REF}", *about, *sources]
        return must(commit, timeout_secs=COMMIT_SECS).strip()

    def new_graph(self) -> Path:
        """Where a graph may be: releases of one depot may be published in several."""
        return Path(tempfile.mkdtemp(prefix="graph-", dir=self.folder)) / "graph.json"

    def publish(self, release: Release, graph: Path | None = None, *, rollback_floor: str | None = None) -> None:
        """Let machines pull it, and offer it in ``graph``; without one only the branch leads to it.

        It may have been committed in another depot.

        Raises:
            LabError: it was refused, or failed.
        """
        signing = self.signer.signing if self.signer else UNSIGNED
        place = graph or self.new_graph()
        request = Request(
            self.archive,
            REF,
            place,
            signing,
            source=release.repo,
            commit=release.payload,
            rollback_floor=rollback_floor,
        )
        try:
            asyncio.run(publish(request, lambda _: None))
        except TidegateError as error:
            raise LabError(error.message, error.remedy) from error


def open_depot(lab: Lab, base: BaseHost, *, layers: Sequence[Path] = (), signer: Signer | None = None) -> Depot:
    """A fresh depot for ``base``: every release of it has the ``layers``, and is signed if there is a ``signer``."""
    depot = Depot(base, lab.folder(f"depot-{base.suite}"), signer)
    must(["cp", "-al", base.bare, depot.bare])
    must(["cp", "-al", base.archive, depot.archive])
    sources = [f"--tree=ref={BASE_REF}", *(f"--tree=dir={layer}" for layer in layers)]
    commit = ["ostree", f"--repo={depot.bare}", "commit", f"--branch={FOUNDATION_REF}", "--subject=foundation"]
    must([*commit, *sources], timeout_secs=COMMIT_SECS)
    return depot


def lay_over(base_tree: Path, overlay: Path, extras: Mapping[str, Extra]) -> None:
    """Write ``extras`` into the folder ``overlay``, folders with the owners and modes that they have in the base."""
    for path, extra in extras.items():
        target = overlay / in_release(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        extra.write(target)
    adopt_folders(base_tree, overlay)


def in_release(path: str) -> Path:
    """Where a path of the running host is in a release; raises :class:`LabError` for what no release can contain."""
    top, *rest = PurePosixPath(path).relative_to("/").parts
    if top in NOT_IN_A_RELEASE:
        raise LabError(f"{path} is not part of a release", "drop it into the machine instead (Machine.put)")
    return Path(RELOCATED.get(top, top), *rest)


def adopt_folders(base_tree: Path, overlay: Path) -> None:
    """Give folders of an overlay the owner and mode of the same folder in the base, or root's 0755.

    Raises:
        LabError: it is something else than a folder in the base, and the overlay would replace it.
    """
    for folder in [overlay, *(d for d in overlay.rglob("*") if d.is_dir() and not d.is_symlink())]:
        original = base_tree / folder.relative_to(overlay)
        if original.is_symlink() or original.is_file():
            raise LabError(f"/{folder.relative_to(overlay)} is no folder in the base host")
        _copy_owner(original, folder) if original.is_dir() else folder.chmod(0o755)


def _copy_owner(original: Path, folder: Path) -> None:
    seen = original.stat()
    os.chown(folder, seen.st_uid, seen.st_gid)
    folder.chmod(seen.st_mode & 0o7777)
