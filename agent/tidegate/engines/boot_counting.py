"""systemd's automatic boot assessment: confirm a boot whose attempts are being counted."""

from __future__ import annotations

from pathlib import Path

from tidegate.errors import ErrorKind, TidegateError
from tidegate.system import process

PROGRAM = Path("/usr/lib/systemd/systemd-bless-boot")
# The only answer under which `good` changes anything: the entry carries a counter and is not decided yet.
UNDECIDED = "indeterminate"


async def mark_good(deadline_secs: float, program: Path = PROGRAM) -> None:
    """Mark the booted entry good where a boot loader counts attempts; do nothing everywhere else.

    Raises:
        TidegateError: ``engine.failed`` when the entry is counted and could not be marked.
    """
    if not _installed(program):
        return
    status = await process.run((str(program), "status"), deadline_secs=deadline_secs)
    if status.stdout.strip() != UNDECIDED:  # also where the firmware is not EFI: the program fails then
        return
    done = await process.run((str(program), "good"), deadline_secs=deadline_secs)
    if done.returncode != 0:
        raise TidegateError(
            ErrorKind.ENGINE_FAILED,
            f"systemd-bless-boot could not mark this boot as good: {done.stderr.strip()}",
            "see `systemctl status systemd-bless-boot.service`; the boot loader may fall back at the next boot",
        )


def _installed(program: Path) -> bool:
    return program.exists()
