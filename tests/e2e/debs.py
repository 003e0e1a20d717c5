"""The Debian packages of this checkout, as contrib/debian/build.sh makes them; also such as of another version."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.e2e.bed.cache import Cache, digest, digest_files
from tests.e2e.bed.process import must

BUILD_SECS = 400.0  # it fetches the libraries, and may have to install debhelper first
KEPT_BUILDS = 6

SOURCES = ("pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "agent", "config.d", "systemd")
CONTRIB = ("contrib/setup.sh", "contrib/debian", "contrib/man", "contrib/completions")

# Where a version stands.
VERSIONED = ("pyproject.toml", "agent/tidegate/__init__.py", "contrib/debian/changelog")


def packages(cache: Cache, checkout: Path, version: str | None = None) -> Path:
    """A folder with the packages; ``version`` makes them of another one than the checkout's."""
    key = digest(version or "", digest_files(*(checkout / part for part in (*SOURCES, *CONTRIB))))

    def build(into: Path) -> None:
        source = into / "source"
        _copy(checkout, source, version)
        build_packages(source, into)
        shutil.rmtree(source)

    return cache.entry("packages", key, build, keep=KEPT_BUILDS)


def build_packages(checkout: Path, into: Path) -> Sequence[Path]:
    """Run the command of the manual; gives the packages."""
    must(["sh", checkout / "contrib/debian/build.sh", into], timeout_secs=BUILD_SECS)
    return sorted(into.glob("*.deb"))


def _copy(checkout: Path, source: Path, version: str | None) -> None:
    for part in (*SOURCES, *CONTRIB):
        target = source / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if (checkout / part).is_dir():
            shutil.copytree(checkout / part, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(checkout / part, target)
    for name in VERSIONED if version else ():
        file = source / name
        file.write_text(re.sub(r"\b0\.\d+\.\d+\b", str(version), file.read_text(), count=1))
