"""Hatchling build hook: compile the man pages into the wheel, as ``share/tidegate/man/man1/tidegate.1`` and so on."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SHARED_FOLDER = "share/tidegate/man"
COMPILER = "contrib/man/roff.py"


class ManPages(BuildHookInterface[Any]):
    """Run the compiler into a temporary folder, outside the checkout: that may be read-only or somebody else's."""

    _folder: Path | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's signature
        """Compile the pages and add them to the wheel's shared data; also in an editable one.

        The compiler is a program of its own because hatchling loads this file by its path, without its folder in
        ``sys.path``; debian/rules runs the same program.
        """
        self._folder = Path(tempfile.mkdtemp(prefix="tidegate-man-"))
        subprocess.run([sys.executable, "-I", Path(self.root, COMPILER), self._folder], check=True)
        for page in sorted(self._folder.glob("man*/*")):
            build_data["shared_data"][str(page)] = f"{SHARED_FOLDER}/{page.parent.name}/{page.name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Remove the temporary folder."""
        if self._folder is not None:
            shutil.rmtree(self._folder)
