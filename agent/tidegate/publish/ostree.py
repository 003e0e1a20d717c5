"""Run the ``ostree`` command on a repository that is published, with deadlines and errors that name a remedy."""

from __future__ import annotations

from pathlib import Path

from tidegate.engines.ostree.errors import clean
from tidegate.publish.faults import failed
from tidegate.system import process

QUERY_SECS = 60.0
"""Deadline of commands that only read."""

CHANGE_SECS = 300.0
"""Deadline for a signature, a ref or a summary: quick, unless the disk is a network file system."""

COPY_SECS = 2 * 3600.0
DELTA_SECS = 4 * 3600.0
"""Deadline for a delta between two operating systems: it takes minutes on a fast machine, an hour on a slow one."""


async def ask(repo: Path, verb: str, *arguments: str) -> str | None:
    """The output of ``ostree VERB``; None if it fails."""
    done = await process.run(_argv(repo, verb, arguments), deadline_secs=QUERY_SECS)
    return done.stdout.strip() if done.returncode == 0 else None


async def do(repo: Path, verb: str, *arguments: str | Path, doing: str, deadline_secs: float = CHANGE_SECS) -> str:
    """Run ``ostree VERB``; returns its output. ``doing`` names the operation in the error.

    Raises:
        TidegateError: ``publish.failed``; ``engine.timeout``; ``engine.unsupported-host`` if ostree is not installed.
    """
    done = await process.run(_argv(repo, verb, arguments), deadline_secs=deadline_secs)
    if done.returncode != 0:
        raise failed(f"{doing}: {clean(done.stderr)}", "fix that and publish again; completed steps are kept")
    return done.stdout.strip()


def _argv(repo: Path, verb: str, arguments: tuple[str | Path, ...]) -> tuple[str, ...]:
    return ("ostree", *verb.split(), f"--repo={repo}", *map(str, arguments))
