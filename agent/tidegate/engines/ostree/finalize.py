"""Find out whether ostree failed to switch releases during the last shutdown, and when.

Three places report that, and no single one always: the stamp in /boot (until ``ostree-boot-complete.service`` has read
and deleted it), that unit's failure in this boot, and the journal of the shutdown (where journals are kept), which
alone knows of a finalization that was killed before it could leave a stamp. None of them names the release.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from tidegate.engines.base import FinalizeFailure
from tidegate.errors import TidegateError
from tidegate.system import process, regular_file

STAMP = "ostree/finalize-failure.stamp"
BOOT_COMPLETE = "ostree-boot-complete.service"
FINALIZE = "ostree-finalize-staged.service"
# "Unit failed", see systemd's sd-messages.h (SD_MESSAGE_UNIT_FAILURE_RESULT).
UNIT_FAILED = "d9b373ed55a64feb8242e02dbe79a49c"
_MESSAGE_LIMIT_CHARS = 500
_STAMP_BYTES = 500
_TIME = "__REALTIME_TIMESTAMP"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class FinalizeReport:
    """Reads the three places. The journal of a shutdown does not change any more, so it is read once."""

    def __init__(self, boot: Path, deadline_secs: float) -> None:
        self._stamp = boot / STAMP
        self._deadline_secs = deadline_secs
        self._last_shutdown: FinalizeFailure | None = None

    async def failure(self) -> FinalizeFailure | None:
        """Return what went wrong, and when where that is known; None when nothing did."""
        if (stamped := self._read_stamp()) is not None:
            return stamped
        if await self._boot_complete_failed():
            return await self._of_boot_complete()
        return await self._of_last_shutdown()

    def forget_stamp(self) -> None:
        """Delete the stamp of an earlier attempt, so that it is not taken for the report of the one that begins.

        Where ``ostree-boot-complete.service`` runs, it has deleted the stamp at boot.
        """
        with contextlib.suppress(OSError):  # a read-only /boot keeps it; its time then shows that it is old
            self._stamp.unlink(missing_ok=True)

    def _read_stamp(self) -> FinalizeFailure | None:
        try:
            message = regular_file.read_start(self._stamp, _STAMP_BYTES).decode("utf-8", "replace").strip()
            written_at = datetime.fromtimestamp(self._stamp.stat().st_mtime, UTC)
        except FileNotFoundError:
            return None
        return FinalizeFailure(message, at=written_at)

    async def _of_boot_complete(self) -> FinalizeFailure:
        """The stamp as the unit has logged it, with the time that the journal of the shutdown may have."""
        logged = await self._query("-b", "-u", BOOT_COMPLETE, "-t", "ostree")
        message = logged.message if logged else f"{BOOT_COMPLETE} failed: see `journalctl -b -u {BOOT_COMPLETE}`"
        shutdown = await self._of_last_shutdown()
        return FinalizeFailure(message, at=shutdown.at if shutdown else None)

    async def _of_last_shutdown(self) -> FinalizeFailure | None:
        if self._last_shutdown is None:
            self._last_shutdown = await self._query("-b", "-1", f"UNIT={FINALIZE}", f"MESSAGE_ID={UNIT_FAILED}")
        return self._last_shutdown

    async def _boot_complete_failed(self) -> bool:
        state = await self._output_of("systemctl", "show", "--property=ActiveState", BOOT_COMPLETE)
        return "ActiveState=failed" in state

    async def _query(self, *query: str) -> FinalizeFailure | None:
        """The newest entry of the journal that matches."""
        options = ("--no-pager", "--quiet", "--output=json", "-n", "1")
        return read_entry(await self._output_of("journalctl", *options, *query))

    async def _output_of(self, *argv: str) -> str:
        """Return nothing without a journal or systemd: evidence is welcome, not required."""
        try:
            done = await process.run(argv, deadline_secs=self._deadline_secs)
        except TidegateError:
            return ""
        return done.stdout if done.returncode == 0 else ""


def read_entry(text: str) -> FinalizeFailure | None:
    """Read an entry of ``journalctl --output=json``; None where there is none or it cannot be read. Pure."""
    try:
        fields = cast("object", json.loads(text))
    except ValueError:
        return None
    if not isinstance(fields, dict):
        return None
    entry = cast("dict[str, object]", fields)
    message = _message(entry.get("MESSAGE")).strip()[-_MESSAGE_LIMIT_CHARS:]
    return FinalizeFailure(message, at=_time(entry.get(_TIME))) if message else None


def _message(value: object) -> str:
    """A text that is not UTF-8, or has control characters, arrives as an array of bytes (systemd.journal-fields(7))."""
    match value:
        case str():
            return value
        case list():
            try:
                return bytes(cast("Sequence[int]", value)).decode("utf-8", "replace")
            except (TypeError, ValueError):
                return ""
        case _:
            return ""


def _time(value: object) -> datetime | None:
    if not isinstance(value, str) or not value.isdecimal():
        return None
    try:
        return _EPOCH + timedelta(microseconds=int(value))
    except OverflowError:
        return None
