"""The lock that keeps a staged deployment out of the next boot.

``ostree admin finalize-staged`` does nothing while ``/run/ostree/staged-deployment-locked`` exists (2019.2 and newer).
Since 2023.8 the staging itself carries the lock too, ``ostree admin lock-finalization`` changes both, and a file
without the mark shows in no listing. So the file is always looked at, and both are always changed.
"""

from __future__ import annotations

from pathlib import Path

from tidegate.engines.ostree.cli import OstreeCli

LOCK_FILE = "staged-deployment-locked"
_VERB = "lock-finalization"


class FinalizationLock:
    """The lock of the booted host. ``runtime`` is ostree's folder under /run: what is here dies with the boot."""

    def __init__(self, cli: OstreeCli, runtime: Path) -> None:
        self._cli = cli
        self._file = runtime / LOCK_FILE

    @property
    def file_exists(self) -> bool:
        """Whether the lock file is there."""
        return self._file.exists()

    def put_file(self) -> None:
        """Lock by the file alone: works with and without a staging, at once."""
        self._file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._file.touch(mode=0o644)

    def remove_file(self) -> None:
        """Take the file away, where it is."""
        self._file.unlink(missing_ok=True)

    async def lock(self) -> None:
        """Lock what is staged. The file first: from then on no shutdown applies it."""
        self.put_file()
        if await self._cli.offers(_VERB, "admin"):
            await self._cli.admin(_VERB, doing="locking the staged deployment")

    async def unlock(self) -> None:
        """Unlock what is staged. The file last: until then no shutdown applies it."""
        if await self._cli.offers(_VERB, "admin"):
            await self._cli.admin(_VERB, "--unlock", doing="unlocking the staged deployment")
        self.remove_file()
