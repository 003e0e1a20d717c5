"""The Debian packages of this checkout, as contrib/debian/build.sh makes them; and the same under another version."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.e2e.lab.cache import Cache, digest, digest_files
from tests.e2e.lab.process import must

BUILD_SECS = 400.0  # it fetches the libraries, and may have to install debhelper first
KEPT_BUILDS = 6
SOURCE = "source"

SOURCES = ("pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "agent", "config.d", "systemd")
CONTRIB = ("contrib/setup.sh", "contrib/debian", "contrib/man", "contrib/completions")
EXAMPLES = ("contrib/coordinator", "contrib/monitoring", "contrib/schema")

# Where the version stands in what is installed: its own, and those of the packages that it depends on.
VERSIONED = ("DEBIAN/control", "usr/lib/tidegate/lib/python3/site-packages/tidegate/__init__.py")


def packages(cache: Cache, checkout: Path) -> Path:
    """A folder with the packages, and with what they were built from in its folder ``source``."""

    def build(into: Path) -> None:
        _copy(checkout, into / SOURCE)
        build_packages(into / SOURCE, into)

    parts = (checkout / part for part in (*SOURCES, *CONTRIB, *EXAMPLES))
    return cache.entry("packages", digest_files(Path(__file__), *parts), build, keep=KEPT_BUILDS)


def renumbered(cache: Cache, debs: Path, version: str) -> Path:
    """A folder with the same packages, which say that they are of ``version``: seconds, where a build is a minute."""

    def build(into: Path) -> None:
        for deb in sorted(debs.glob("*.deb")):
            _renumber(deb, version, into)

    return cache.entry("renumbered", digest(version, debs.name), build, keep=KEPT_BUILDS)


def build_packages(checkout: Path, into: Path) -> Sequence[Path]:
    """Run the command of the manual; gives the packages."""
    must(["sh", checkout / "contrib/debian/build.sh", into], timeout_secs=BUILD_SECS)
    return sorted(into.glob("*.deb"))


def _copy(checkout: Path, source: Path) -> None:
    for part in (*SOURCES, *CONTRIB, *EXAMPLES):
        target = source / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if (checkout / part).is_dir():
            shutil.copytree(checkout / part, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(checkout / part, target)


def _renumber(deb: Path, version: str, into: Path) -> None:
    name, built, architecture = deb.name.split("_")
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch, name)
        must(["dpkg-deb", "--raw-extract", deb, tree])
        for file in (tree / place for place in VERSIONED):
            if file.exists():
                file.write_text(re.sub(rf"\b{re.escape(built)}\b", version, file.read_text()))
        result = into / f"{name}_{version}_{architecture}"
        must(["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", tree, result])
