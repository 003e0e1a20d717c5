"""Root's script at the end of a shutdown: /boot is flushed, and the boot noted; and the agent reads that note."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tidegate.system.boot import read_boot
from tidegate.system.last_boot import NOTE, read_last_boot

SCRIPT = Path(__file__).resolve().parents[3] / "systemd/tidegate-shutdown.sh"


def shut_down(root: Path, *, state: str) -> subprocess.CompletedProcess[str]:
    """Run the script while systemd is in ``state``."""
    tools, boot, note = root / "tools", root / "boot", root / NOTE.parent
    for folder in (tools, boot, note):
        folder.mkdir(parents=True, exist_ok=True)
    (tools / "systemctl").write_text(f"#!/bin/sh\necho {state}\n", encoding="ascii")
    (tools / "systemctl").chmod(0o755)
    settings = {"PATH": f"{tools}:/usr/sbin:/usr/bin:/sbin:/bin", "STATE_DIRECTORY": str(note)}
    return subprocess.run(
        ["sh", SCRIPT, boot], env=os.environ | settings, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_boot_that_is_shut_down_leaves_its_note(tmp_path: Path) -> None:
    done = shut_down(tmp_path, state="stopping")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    here = read_boot(0)
    assert read_last_boot(tmp_path).shut_down == here
    assert not read_last_boot(tmp_path).cut_short(here)


@pytest.mark.parametrize("state", ["running", "degraded", "starting", "offline"])
def test_a_service_that_is_stopped_by_hand_says_nothing_of_the_boot(tmp_path: Path, state: str) -> None:
    assert shut_down(tmp_path, state=state).returncode == 0
    assert read_last_boot(tmp_path).shut_down is None


def test_what_the_initramfs_remembered_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot/tidegate-replayed").write_text("/ostree/boot.0/x\n", encoding="ascii")
    shut_down(tmp_path, state="stopping")
    assert list((tmp_path / "boot").iterdir()) == []
