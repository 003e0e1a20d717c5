"""Wheels for a host: the project's own, built from the checkout, and what it depends on, for that host's Python."""

from __future__ import annotations

import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.lab.cache import Cache, digest, digest_files
from tests.e2e.lab.debian import SUITES
from tests.e2e.lab.process import LabError, must, run

PROJECT = "tidegate"
PIP_SECS = 300.0
KEPT_WHEELS = 8

# What the wheel is made from; a change anywhere else needs no new one.
SOURCES = (
    *("pyproject.toml", "README.md", "LICENSE", "agent", "config.d", "systemd"),
    *("contrib/completions", "contrib/coordinator", "contrib/man", "contrib/monitoring", "contrib/schema"),
)

# pip download takes the versions of files from --python-version, but markers such as python_version < "3.13" from the
# Python that runs it (pip 23.2 to 25). What a dependency needs on an older Python only has to be asked for by name.
NEEDED_ON_OLDER_PYTHON = ("typing-extensions",)


@dataclass(frozen=True, slots=True)
class Wheelhouse:
    """Folders that together have a wheel of the project and of everything that it needs."""

    folders: tuple[Path, ...]

    @property
    def key(self) -> str:
        """A short name for the contents."""
        wheels = [wheel for folder in self.folders for wheel in sorted(folder.glob("*.whl"))]
        return digest_files(*wheels)


def wheelhouse(cache: Cache, checkout: Path, suite: str) -> Wheelhouse:
    """The wheels for a host of ``suite``: seconds when the agent has changed, nothing when it has not.

    Raises:
        LabError: pip is missing, or could not build or fetch something.
    """
    return Wheelhouse((project_wheel(cache, checkout), dependency_wheels(cache, checkout, suite)))


def project_wheel(cache: Cache, checkout: Path) -> Path:
    """A folder with the wheel of the checkout as it is now."""
    key = digest_files(*(checkout / source for source in SOURCES))

    def build(into: Path) -> None:
        cache.say("building the wheel of this checkout")
        _pip("wheel", "--no-deps", f"--wheel-dir={into}", str(checkout))

    return cache.entry("wheel", key, build, keep=KEPT_WHEELS)


def dependency_wheels(cache: Cache, checkout: Path, suite: str) -> Path:
    """A folder with the wheels that the checkout's pyproject.toml asks for."""
    requirements = [*declared_dependencies(checkout), *NEEDED_ON_OLDER_PYTHON]
    python = SUITES[suite]

    def fetch(into: Path) -> None:
        cache.say(f"fetching wheels for Python {python}")
        _pip("download", "--only-binary=:all:", f"--python-version={python}", f"--dest={into}", *requirements)

    return cache.entry("dependencies", digest(python, *requirements), fetch, keep=KEPT_WHEELS)


def declared_dependencies(checkout: Path) -> list[str]:
    """The ``dependencies`` of a checkout's pyproject.toml."""
    return list(tomllib.loads((checkout / "pyproject.toml").read_text())["project"]["dependencies"])


def _pip(*args: str) -> None:
    if not run([sys.executable, "-m", "pip", "--version"]).ok:
        raise LabError(f"{sys.executable} has no pip", "apt-get install python3-pip, or use a virtual environment")
    must([sys.executable, "-m", "pip", "--disable-pip-version-check", *args], timeout_secs=PIP_SECS)
