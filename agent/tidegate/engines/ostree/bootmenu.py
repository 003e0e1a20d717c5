"""Which boot menu the boot loader read: the one that is on disk now, or the one from before the last switch.

libostree has two menus, ``/boot/loader.0`` and ``.1``, between which the link ``/boot/loader`` chooses; the entries of
menu N name the release to boot by ``ostree=/ostree/boot.N/...``. So the command line of a running system says which
menu it was chosen from.
"""

from __future__ import annotations

import re
from pathlib import Path

_FROM_MENU = re.compile(r"(?:^|\s)ostree=/ostree/boot\.(?P<menu>[01])/")
_LOADER = re.compile(r"loader\.(?P<menu>[01])/?")


def booted_by_current_menu(command_line: str, loader: str) -> bool | None:
    """Whether a system with this kernel ``command_line`` was chosen from the menu that the link ``loader`` leads to.

    None where either does not say.
    """
    booted, current = _FROM_MENU.search(command_line), _LOADER.fullmatch(loader)
    return booted["menu"] == current["menu"] if booted and current else None


def read(root: Path, boot: Path) -> bool | None:
    """The same of this host. ``root`` is where its ``/proc`` and ``/run`` are."""
    try:
        return booted_by_current_menu(_command_line(root), str((boot / "loader").readlink()))
    except OSError:
        return None


def _command_line(root: Path) -> str:
    """In a container the options of the boot entry are arguments of PID 1, and the kernel's are another system's."""
    if not (root / "run/systemd/container").exists():
        return (root / "proc/cmdline").read_text(encoding="utf-8", errors="replace")
    return (root / "proc/1/cmdline").read_text(encoding="utf-8", errors="replace").replace("\0", " ")
