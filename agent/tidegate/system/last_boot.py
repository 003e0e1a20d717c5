"""How the boot before this one ended: with a shutdown, a crash of the kernel, or a reset by the watchdog."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tidegate.system import regular_file
from tidegate.system.boot import BootInstance

NOTE = Path("var/lib/tidegate-shutdown/boot")
"""Written by ``tidegate-shutdown.service`` when the host goes down: the boot id and the start time of process 1."""

MAX_NOTE_BYTES = 4096
"""Far above the two words of the note."""

CRASHES = (Path("sys/fs/pstore"), Path("var/lib/systemd/pstore"))
"""Where firmware keeps the kernel's last words, and where systemd-pstore.service moves them early in the boot."""

WATCHDOGS = Path("sys/class/watchdog")
CARD_RESET = 0x20
"""``WDIOF_CARDRESET`` of the kernel's watchdog interface: the card has reset the host."""


@dataclass(frozen=True, slots=True)
class LastBoot:
    """The traces that earlier boots have left.

    ``shut_down``: the latest boot that ended with a shutdown; None where no boot has left that note. ``crashed_at``:
    when the kernel last left its last words; None where it never did. ``reset_by_watchdog``: this boot began so.
    """

    shut_down: BootInstance | None = None
    crashed_at: datetime | None = None
    reset_by_watchdog: bool = False

    def cut_short(self, boot: BootInstance) -> bool:
        """Whether ``boot``, an earlier one, is known to have ended without a shutdown."""
        return self.shut_down is not None and not self.shut_down.shares_kernel_with(boot)


UNKNOWN = LastBoot()


def read_last_boot(root: Path = Path("/")) -> LastBoot:
    """Read the traces on this host; what cannot be read is not known."""
    return LastBoot(
        _shut_down(root / NOTE),
        max((_changed_at(path) for folder in CRASHES for path in _crashes(root / folder)), default=None),
        any(_has_reset(path) for path in _listed(root / WATCHDOGS)),
    )


def _shut_down(note: Path) -> BootInstance | None:
    try:
        boot_id, ticks = regular_file.read(note, MAX_NOTE_BYTES).decode("ascii").split()
        return BootInstance(boot_id, init_ticks=int(ticks))
    except (OSError, ValueError):
        return None


def _crashes(folder: Path) -> Iterator[Path]:
    try:
        yield from folder.rglob("dmesg*")
    except OSError:
        return


def _changed_at(path: Path) -> datetime:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError:
        return datetime.fromtimestamp(0, UTC)


def _listed(folder: Path) -> tuple[Path, ...]:
    try:
        return tuple(folder.iterdir())
    except OSError:
        return ()


def _has_reset(watchdog: Path) -> bool:
    try:
        return bool(int((watchdog / "bootstatus").read_text(encoding="ascii")) & CARD_RESET)
    except (OSError, ValueError):
        return False
