"""Read an OSTree repository. Nothing here writes to it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tidegate.publish import ostree
from tidegate.publish.faults import refused
from tidegate.publish.gpg import signers
from tidegate.publish.staged_summary import SIGNATURE
from tidegate.publish.steps import Delta

_COMMIT = re.compile(r"[0-9a-f]{64}")
_DELTA = re.compile(r"^(?:([0-9a-f]{64})-)?([0-9a-f]{64})$", re.MULTILINE)
_TEXT = re.compile(r"'([^'\\]*)'|\"([^\"\\]*)\"")  # as GVariant prints it; versions have no escapes
_SERVED_MODES = frozenset({"archive", "archive-z2"})


@dataclass(frozen=True, slots=True)
class Repository:
    """The repository in the folder ``path``."""

    path: Path

    async def check_servable(self) -> None:
        """Check that hosts can pull from it over HTTP.

        Raises:
            TidegateError: ``publish.refused``; it is not a repository, or of a mode for local use.
        """
        mode = await self._ask("config", "get", "core.mode")
        if mode is None:
            raise refused(
                f"{self.path} is not an OSTree repository", f"create one: ostree --repo={self.path} init --mode=archive"
            )
        if mode not in _SERVED_MODES:
            raise refused(
                f"{self.path} has mode {mode}, which hosts cannot pull from",
                "publish to a repository of mode archive, with this one as --source",
            )

    async def resolve(self, rev: str) -> str | None:
        """The commit of a ref or an abbreviated checksum; None if there is none."""
        return await self._ask("rev-parse", rev)

    def is_whole(self, commit: str) -> bool:
        """Whether a commit is here with all its objects: an interrupted pull leaves a mark (2022.7 to 2026.4)."""
        return self._has(commit) and not self._is_partial(commit)

    def why_not_whole(self, commit: str) -> str:
        """The reason why :meth:`is_whole` is False for a commit."""
        return f"{commit} is incomplete in {self.path}" if self._has(commit) else f"{commit} is not in {self.path}"

    async def version_of(self, commit: str) -> str | None:
        """The version in a commit's metadata; None if it has none."""
        printed = await self._ask("show", "--print-metadata-key=version", commit)
        found = _TEXT.fullmatch(printed or "")
        return found and (found[1] or found[2])

    async def refs_bound_to(self, commit: str) -> list[str]:
        """The refs that a commit is bound to; empty if hosts accept it under any ref."""
        printed = await self._ask("show", "--print-metadata-key=ostree.ref-binding", commit)
        return [single or double for single, double in _TEXT.findall(printed or "")]

    async def signers_of(self, commit: str) -> frozenset[str]:
        """The ids of the keys that signed a commit."""
        return signers(await self._ask("show", commit) or "")

    async def deltas(self) -> frozenset[Delta]:
        """The static deltas; one from scratch has an empty origin."""
        return frozenset(_DELTA.findall(await self._ask("static-delta list") or ""))

    @property
    def is_signed(self) -> bool:
        """Whether its summary is signed, so that hosts may require signed summaries."""
        return (self.path / SIGNATURE).exists()

    def _has(self, commit: str) -> bool:
        known = _COMMIT.fullmatch(commit) is not None
        return known and (self.path / "objects" / commit[:2] / f"{commit[2:]}.commit").exists()

    def _is_partial(self, commit: str) -> bool:
        return (self.path / "state" / f"{commit}.commitpartial").exists()

    async def _ask(self, verb: str, *arguments: str) -> str | None:
        return await ostree.ask(self.path, verb, *arguments)
