"""How the boot before ended, as far as it has left traces."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tidegate.system.boot import BootInstance
from tidegate.system.last_boot import UNKNOWN, LastBoot, read_last_boot

BOOT = BootInstance("11111111-0000-4000-8000-000000000000", init_ticks=25)


def put(root: Path, name: str, text: str, at: float = 1_700_000_000) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="ascii")
    os.utime(path, (at, at))


def test_a_host_without_traces(tmp_path: Path) -> None:
    assert read_last_boot(tmp_path) == UNKNOWN
    assert not UNKNOWN.cut_short(BOOT), "nobody has noted anything, so nothing is known"


def test_the_note_of_the_last_shutdown(tmp_path: Path) -> None:
    put(tmp_path, "var/lib/tidegate-shutdown/boot", f"{BOOT.boot_id} 25\n")
    last = read_last_boot(tmp_path)
    assert last == LastBoot(BOOT)
    assert not last.cut_short(BootInstance(BOOT.boot_id, soft_reboots=2, init_ticks=25))
    assert last.cut_short(BootInstance(BOOT.boot_id, init_ticks=26)), "a container may see another's boot id"
    assert last.cut_short(BootInstance("22222222-0000-4000-8000-000000000000", init_ticks=25))


@pytest.mark.parametrize("text", ["", "\n", "11111111 x", "a b c", "1"])
def test_a_note_that_was_not_written_to_its_end_is_none(tmp_path: Path, text: str) -> None:
    put(tmp_path, "var/lib/tidegate-shutdown/boot", text)
    assert read_last_boot(tmp_path) == UNKNOWN


def test_the_latest_crash_counts_wherever_it_is_kept(tmp_path: Path) -> None:
    put(tmp_path, "sys/fs/pstore/dmesg-efi-170000000001001", "Panic#1", at=1_700_000_100)
    put(tmp_path, "sys/fs/pstore/console-ramoops-0", "not a crash", at=1_700_000_900)
    put(tmp_path, "var/lib/systemd/pstore/1700000200/dmesg.txt", "Panic#2", at=1_700_000_200)
    assert read_last_boot(tmp_path).crashed_at == datetime.fromtimestamp(1_700_000_200, UTC)


@pytest.mark.parametrize(
    ("status", "reset"), [("0\n", False), ("32\n", True), ("33", True), ("1", False), ("?", False)]
)
def test_a_reset_by_the_watchdog(tmp_path: Path, status: str, reset: bool) -> None:
    put(tmp_path, "sys/class/watchdog/watchdog0/bootstatus", status)
    assert read_last_boot(tmp_path).reset_by_watchdog is reset
