"""Which programs have passed in this boot: they are run until they do, and then no more, as greenboot has it."""

from __future__ import annotations

from pathlib import Path

from tidegate.helper.programs import Program
from tidegate.helper.transient import unit_name
from tidegate.system.boot import BootInstance

FOLDER = Path("/run/tidegate/passed-checks")
"""Root's own. A soft-reboot keeps /run, so the notes name their boot."""


class Passed:
    """Notes in a folder, one a program. A program that was changed has not passed."""

    def __init__(self, boot: BootInstance, folder: Path = FOLDER) -> None:
        self._boot = boot
        self._folder = folder

    def has(self, program: Program) -> bool:
        """Whether ``program``, as it is now, has passed."""
        try:
            return self._note(program).read_text(encoding="utf-8") == self._text(program)
        except (OSError, ValueError):
            return False

    def remember(self, program: Program) -> None:
        """``program`` has passed.

        Raises:
            OSError: it cannot be written down.
        """
        self._folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._note(program).write_text(self._text(program), encoding="utf-8")

    def _note(self, program: Program) -> Path:
        return self._folder / unit_name(program.name)

    def _text(self, program: Program) -> str:
        status = program.path.stat()
        return f"{self._boot} {status.st_dev}:{status.st_ino} {status.st_mtime_ns} {status.st_size}\n"
