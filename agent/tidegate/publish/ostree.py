"""The ``ostree`` command on the repository of whoever publishes: deadlines, and errors that say what to do."""

from __future__ import annotations

from pathlib import Path

from tidegate.engines.ostree.errors import clean
from tidegate.publish.faults import failed
from tidegate.system import process

QUERY_SECS = 60.0
"""For what only reads."""

CHANGE_SECS = 300.0
"""For a signature, a ref, a summary: quick unless the disk is across a network."""

COPY_SECS = 2 * 3600.0
DELTA_SECS = 4 * 3600.0
"""For a delta between whole operating systems: minutes on a quick machine, an hour on a slow one."""


async def ask(repo: Path, verb: str, *arguments: str) -> str | None:
    """What ``ostree VERB`` prints; None where it says no."""
    done = await process.run(_argv(repo, verb, arguments), deadline_secs=QUERY_SECS)
    return done.stdout.strip() if done.returncode == 0 else None


async def do(repo: Path, verb: str, *arguments: str | Path, doing: str, deadline_secs: float = CHANGE_SECS) -> str:
    """Run ``ostree VERB``; what it prints.

    Raises:
        TidegateError: ``publish.failed``; ``engine.timeout``; ``engine.unsupported-host`` without ostree.
    """
    done = await process.run(_argv(repo, verb, arguments), deadline_secs=deadline_secs)
    if done.returncode != 0:
        raise failed(f"{doing}: {clean(done.stderr)}", "mend that and publish again: what is done already is kept")
    return done.stdout.strip()


def _argv(repo: Path, verb: str, arguments: tuple[str | Path, ...]) -> tuple[str, ...]:
    return ("ostree", *verb.split(), f"--repo={repo}", *map(str, arguments))
