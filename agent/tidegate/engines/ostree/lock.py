"""The finalization lock, which keeps a staged deployment out of the next boot.

``ostree admin finalize-staged`` does nothing while ``/run/ostree/staged-deployment-locked`` exists (2019.2 and newer).
Since 2023.8 the staged deployment has a mark of its own as well, ``ostree admin lock-finalization`` changes both, and a
lock by the file alone is not listed. So the file is always checked, and both are always changed.
"""

from __future__ import annotations

from pathlib import Path

from tidegate.engines.ostree.cli import OstreeCli

LOCK_FILE = "staged-deployment-locked"
_VERB = "lock-finalization"


class FinalizationLock:
    """The lock of the booted host. ``runtime`` is ostree's folder in /run, whose content does not survive the boot."""

    def __init__(self, cli: OstreeCli, runtime: Path) -> None:
        self._cli = cli
        self._file = runtime / LOCK_FILE

    @property
    def file_exists(self) -> bool:
        """Whether the lock file exists."""
        return self._file.exists()

    def put_file(self) -> None:
        """Create the lock file; it takes effect at once, whether something is staged already or not."""
        self._file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._file.touch(mode=0o644)

    def remove_file(self) -> None:
        """Delete the lock file, if it exists."""
        self._file.unlink(missing_ok=True)

    async def lock(self) -> None:
        """Lock what is staged; the file comes first, since from then on no shutdown applies it."""
        self.put_file()
        if await self._cli.offers(_VERB, "admin"):
            await self._cli.admin(_VERB, doing="locking the staged deployment")

    async def unlock(self) -> None:
        """Unlock what is staged; the file comes last, since until then no shutdown applies it."""
        if await self._cli.offers(_VERB, "admin"):
            await self._cli.admin(_VERB, "--unlock", doing="unlocking the staged deployment")
        self.remove_file()
