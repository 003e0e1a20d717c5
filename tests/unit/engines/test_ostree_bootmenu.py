"""Which boot menu the boot loader read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidegate.engines.ostree.bootmenu import booted_by_current_menu, read

ENTRY = "root=LABEL=root rw ostree=/ostree/boot.{}/debian/0123/0 quiet"


@pytest.mark.parametrize(
    ("command_line", "loader", "current"),
    [
        (ENTRY.format(0), "loader.0", True),
        (ENTRY.format(1), "loader.1", True),
        (ENTRY.format(0), "loader.1", False),
        (ENTRY.format(1), "loader.0/", False),
        ("ostree=/ostree/boot.1/debian/0123/0", "loader.1", True),
        (f"x{ENTRY.format(0).split()[2]}", "loader.0", None),
        ("root=LABEL=root rw", "loader.0", None),
        (ENTRY.format(0), "somewhere", None),
        (ENTRY.format(0), "loader.10", None),
        ("", "", None),
    ],
)
def test_the_menu_of_the_command_line_is_compared_with_the_present_one(
    command_line: str, loader: str, current: bool | None
) -> None:
    assert booted_by_current_menu(command_line, loader) is current


def host(tmp_path: Path, menu: int) -> Path:
    (tmp_path / "proc/1").mkdir(parents=True)
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot/loader").symlink_to(f"loader.{menu}")
    (tmp_path / "proc/cmdline").write_text(ENTRY.format(0) + "\n", encoding="ascii")
    (tmp_path / "proc/1/cmdline").write_text("\0".join(["/sbin/init", *ENTRY.format(1).split()]), encoding="ascii")
    return tmp_path


def test_a_machine_is_asked_for_the_kernels_command_line(tmp_path: Path) -> None:
    root = host(tmp_path, 0)
    assert read(root, root / "boot") is True


def test_a_container_is_asked_for_that_of_its_first_process(tmp_path: Path) -> None:
    root = host(tmp_path, 0)
    (root / "run/systemd").mkdir(parents=True)
    (root / "run/systemd/container").write_text("systemd-nspawn", encoding="ascii")
    assert read(root, root / "boot") is False


def test_a_host_without_such_a_menu_says_nothing(tmp_path: Path) -> None:
    root = host(tmp_path, 0)
    (root / "boot/loader").unlink()
    assert read(root, root / "boot") is None
    (root / "boot/loader").mkdir()
    assert read(root, root / "boot") is None
