"""Find the newest commit of the followed branch on its remote, without a change to the host's repository.

A pull into the host's repository would move its copy of the remote's ref, which means that the commit was pulled
completely and verified. So the commit object alone is pulled into a temporary repository whose parent is the host's.
Remotes, keys and the verification settings are then the host's, and ostree makes all its checks: the signatures of
summary and commit where the remote requires them, and that the commit is bound to this branch. A remote without a
summary is asked for the ref itself. ostree refuses metadata above 10 MiB (2022.7) or 128 MiB (2025.2).
"""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tidegate.engines.base import Latest
from tidegate.engines.ostree.cli import OstreeCli
from tidegate.engines.ostree.source import Source
from tidegate.engines.ostree.status import SHORT_CHECKSUM, Listed
from tidegate.printable import one_line
from tidegate.release import Release

END_OF_LIFE = "ostree.endoflife"
"""The metadata key under which the last commit of a branch says why it is the last
(libostree's OSTREE_COMMIT_META_KEY_ENDOFLIFE)."""

# Temporary: needs neither a sync nor a reserve on the disk.
_CONFIG = "[core]\nrepo_version=1\nmode=archive-z2\nparent={parent}\nfsync=false\nmin-free-space-percent=0\n"
_MAX_VERSION_CHARS = 100
_MAX_REASON_CHARS = 500


async def read_latest(cli: OstreeCli, source: Source, booted: Listed) -> Latest:
    """Return the newest release on ``source``; ``age_index`` is the date of the commit in seconds since 1970.

    Raises:
        TidegateError: ``engine.remote-down``, ``engine.unknown-release`` where the remote has no such branch,
            ``engine.bad-signature``, ``engine.corrupt``.
    """
    with _temporary_repo(cli) as temporary:
        await temporary.repo("init", "--mode=archive", doing="making a temporary repository")
        (temporary.repo_path / "config").write_text(_CONFIG.format(parent=cli.repo_path), encoding="utf-8")
        doing = f"asking {source.remote} for the newest release of {source.ref}"
        await temporary.repo("pull", "--commit-metadata-only", source.remote, source.ref, doing=doing)
        checksum = (await temporary.repo("rev-parse", source.refspec, doing=doing)).strip()
        return Latest(
            booted=Release(booted.version, booted.checksum, await _age_index(cli, booted.checksum)),
            newest=Release(await _version(temporary, checksum), checksum, await _age_index(temporary, checksum)),
            end_of_life=await _end_of_life(temporary, checksum),
        )


@contextmanager
def _temporary_repo(cli: OstreeCli) -> Generator[OstreeCli]:
    with tempfile.TemporaryDirectory(prefix="tidegate-latest-") as folder:
        yield OstreeCli(cli.sysroot, cli.limits, Path(folder) / "repo")


async def _version(cli: OstreeCli, checksum: str) -> str:
    named = await cli.version_of(checksum)
    return one_line(named or "", _MAX_VERSION_CHARS) or checksum[:SHORT_CHECKSUM]


async def _age_index(cli: OstreeCli, checksum: str) -> int:
    return int((await cli.date_of(checksum)).timestamp())


async def _end_of_life(cli: OstreeCli, checksum: str) -> str | None:
    reason = await cli.metadata_of(checksum, END_OF_LIFE)
    return None if reason is None else one_line(reason, _MAX_REASON_CHARS) or "no reason given"
