"""Confirm a boot to a boot loader that counts attempts: systemd's automatic boot assessment."""

from __future__ import annotations

from pathlib import Path

from tidegate.errors import ErrorKind, TidegateError
from tidegate.system import process

PROGRAM = Path("/usr/lib/systemd/systemd-bless-boot")
# The only status in which `good` has an effect: the entry has a counter and is not marked yet.
UNDECIDED = "indeterminate"


async def mark_good(deadline_secs: float, program: Path = PROGRAM) -> None:
    """Mark the booted entry as good where the boot loader counts attempts; do nothing elsewhere.

    Raises:
        TidegateError: ``engine.failed`` when the entry has a counter and cannot be marked; ``engine.timeout``.
    """
    if not _installed(program):
        return
    status = await process.run((str(program), "status"), deadline_secs=deadline_secs)
    if status.stdout.strip() != UNDECIDED:  # also without EFI, where the program fails
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
