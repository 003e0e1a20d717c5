"""How this Tidegate was installed, and how its optional libraries are added to it."""

from __future__ import annotations

import sys
from pathlib import Path

OSTREE_BOOTED = Path("/run/ostree-booted")
"""Exists where /usr belongs to the releases. Whether it can be written to is no evidence: services see it read-only."""

_PACKAGES = {"coordinator": "tidegate-coordinator", "metrics": "tidegate-common"}
"""The Debian packages that have the libraries of an extra."""


def is_packaged(prefix: str = sys.prefix) -> bool:
    """Whether it came as a Debian package; its environment serves all versions of Python (contrib/debian/place.py)."""
    return Path(prefix, "lib/python3/site-packages/tidegate").is_dir()


def remedy_for_extra(extra: str, prefix: str = sys.prefix, ostree_booted: Path = OSTREE_BOOTED) -> str:
    """How to install the libraries of ``tidegate[extra]`` here: by a package or by pip, and in the image if need be."""
    how = _by_package(extra) if is_packaged(prefix) else f"{prefix}/bin/pip install 'tidegate[{extra}]'"
    return f"add it to this host's releases while they are built: {how}" if ostree_booted.exists() else how


def _by_package(extra: str) -> str:
    if extra in _PACKAGES:
        return f"apt-get install {_PACKAGES[extra]}"
    return f"the Debian packages do not have it: install tidegate[{extra}] into a virtual environment (README.md)"
