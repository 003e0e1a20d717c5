"""Prometheus' own tool."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable

import pytest

PROMTOOL_SECS = 60.0

Promtool = Callable[..., str]


@pytest.fixture(scope="session")
def promtool() -> Promtool:
    """Runs promtool; gives what it says, and fails the test where it finds fault."""
    path = shutil.which("promtool")
    if path is None:
        pytest.skip("needs promtool (apt-get install prometheus)")

    def run(*arguments: object, stdin: bytes = b"") -> str:
        command = [path, *map(str, arguments)]
        done = subprocess.run(command, input=stdin, capture_output=True, timeout=PROMTOOL_SECS, check=False)
        said = (done.stdout + done.stderr).decode()
        assert done.returncode == 0, said
        return said

    return run
