"""ostree's own account of a switch that failed during the last shutdown.

Three places hold it, and no one of them always: the stamp in /boot (until ``ostree-boot-complete.service`` has read
and deleted it), that unit's failure in this boot, and the journal of the shutdown (where journals are kept), which
alone knows of a finalization that was killed before it could leave a stamp.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from tidegate.errors import TidegateError
from tidegate.system import process

STAMP = "ostree/finalize-failure.stamp"
BOOT_COMPLETE = "ostree-boot-complete.service"
FINALIZE = "ostree-finalize-staged.service"
# "Unit failed", see systemd's sd-messages.h (SD_MESSAGE_UNIT_FAILURE_RESULT).
UNIT_FAILED = "d9b373ed55a64feb8242e02dbe79a49c"
_MESSAGE_LIMIT_CHARS = 500


class FinalizeReport:
    """Reads the three places. The journal of a shutdown does not change any more: it is asked once."""

    def __init__(self, boot: Path, deadline_secs: float) -> None:
        self._stamp = boot / STAMP
        self._deadline_secs = deadline_secs
        self._journal: str | None = None

    async def failure(self) -> str | None:
        """What went wrong, for people; None when nothing did."""
        if self._stamp.exists():
            return self._stamp.read_text(encoding="utf-8", errors="replace").strip()[:_MESSAGE_LIMIT_CHARS]
        if await self._boot_complete_failed():
            said = await self._said("-b", "-u", BOOT_COMPLETE, "-t", "ostree", "-n", "1")
            return said or f"{BOOT_COMPLETE} failed: see `journalctl -b -u {BOOT_COMPLETE}`"
        if self._journal is None:
            self._journal = await self._said("-b", "-1", f"UNIT={FINALIZE}", f"MESSAGE_ID={UNIT_FAILED}")
        return self._journal or None

    def forget_stamp(self) -> None:
        """A new attempt begins: what an older one left must not be taken for its account.

        Where ``ostree-boot-complete.service`` runs, it has deleted the stamp at boot.
        """
        with contextlib.suppress(OSError):  # a read-only /boot keeps it; it is evidence, not state
            self._stamp.unlink(missing_ok=True)

    async def _boot_complete_failed(self) -> bool:
        said = await self._ask("systemctl", "show", "--property=ActiveState", BOOT_COMPLETE)
        return "ActiveState=failed" in said

    async def _said(self, *query: str) -> str:
        text = await self._ask("journalctl", "--no-pager", "--quiet", "--output=cat", *query)
        return text.strip()[-_MESSAGE_LIMIT_CHARS:]

    async def _ask(self, *argv: str) -> str:
        """Evidence is welcome and not required: a journal that is off or a systemd that is absent says nothing."""
        try:
            done = await process.run(argv, deadline_secs=self._deadline_secs)
        except TidegateError:
            return ""
        return done.stdout if done.returncode == 0 else ""
