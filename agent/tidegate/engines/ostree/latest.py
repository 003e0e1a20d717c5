"""What the followed branch points to on its remote: asked for beside the host's repository, which stays as it is.

A pull into the host's own repository would move the remote's ref here, which says what was pulled whole and checked;
so the commit (nothing else of the release) goes into a repository that lives for one question. That has the host's for
its parent: remotes, keys and what is to be verified are the host's, and so is every check that ostree makes: the
summary's signature and the commit's where the remote asks for them, and that the commit was made for this branch. A
remote without a summary is asked for the ref itself. ostree itself refuses files of metadata above 10 MiB (2022.7) or
128 MiB (2025.2).
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
"""Where the last commit of a branch says why it is the last (libostree's OSTREE_COMMIT_META_KEY_ENDOFLIFE)."""

# Made for one question: neither worth a sync nor a reserve on the disk.
_CONFIG = "[core]\nrepo_version=1\nmode=archive-z2\nparent={parent}\nfsync=false\nmin-free-space-percent=0\n"
_MAX_VERSION_CHARS = 100
_MAX_REASON_CHARS = 500


async def read_latest(cli: OstreeCli, source: Source, booted: Listed) -> Latest:
    """The newest release on ``source``; the order of releases is that of the dates of their commits.

    Raises:
        TidegateError: ``engine.remote-down``, ``engine.unknown-release`` where the remote has no such branch,
            ``engine.bad-signature``, ``engine.corrupt``.
    """
    with _beside(cli) as aside:
        await aside.repo("init", "--mode=archive", doing="making a repository for a question")
        (aside.repo_path / "config").write_text(_CONFIG.format(parent=cli.repo_path), encoding="utf-8")
        doing = f"asking {source.remote} for the newest release of {source.ref}"
        await aside.repo("pull", "--commit-metadata-only", source.remote, source.ref, doing=doing)
        checksum = (await aside.repo("rev-parse", source.refspec, doing=doing)).strip()
        return Latest(
            booted=Release(booted.version, booted.checksum, await _age_index(cli, booted.checksum)),
            newest=Release(await _version(aside, checksum), checksum, await _age_index(aside, checksum)),
            end_of_life=await _end_of_life(aside, checksum),
        )


@contextmanager
def _beside(cli: OstreeCli) -> Generator[OstreeCli]:
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
