"""The node id for Cincinnati servers, compared with systemd's derivation on this host."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tidegate.errors import TidegateError
from tidegate.identity import APP_ID, Identity, identify, read_machine_id

TOOL = shutil.which("systemd-id128")


def _machine_id_is_there() -> bool:
    try:
        read_machine_id()
    except TidegateError:
        return False
    return True


@pytest.mark.skipif(TOOL is None, reason="needs systemd-id128")
@pytest.mark.skipif(not _machine_id_is_there(), reason="this system has no machine id")
def test_the_id_of_this_host_is_the_one_that_systemd_derives() -> None:
    command = (TOOL or "", "machine-id", f"--app-specific={APP_ID.hex()}")
    derived = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    assert identify(Identity()).node_uuid == derived
