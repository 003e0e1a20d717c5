"""Make a repository's summary in a temporary copy, so that hosts never find a summary without its signature.

`ostree summary` removes the old signature, writes the summary, and signs it last (2022.7 to 2026.4). In between, or
permanently if the key cannot be used, hosts that verify the summary cannot pull. It is therefore run on a staging
folder with the repository's configuration and with links to its objects, refs and deltas.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tidegate.publish import ostree
from tidegate.publish.gpg import Signing

SUMMARY = "summary"
SIGNATURE = "summary.sig"

_LINKED = ("objects", "refs", "deltas", "state", "extensions")
_CHANGES_EACH_TIME = re.compile(r"'ostree\.summary\.last-modified': <uint64 \d+>")


@dataclass(frozen=True, slots=True)
class Summary:
    """A summary, and its signature; None if it is unsigned."""

    content: bytes
    signature: bytes | None


async def fresh(repo: Path, signing: Signing) -> Summary:
    """Make the summary of the present contents of ``repo``.

    Raises:
        TidegateError: ``publish.failed``; a key cannot be used, or an object is missing.
    """
    async with _staging(repo) as staging:
        await ostree.do(staging, "summary", "--update", *signing.options, doing="making the summary")
        signature = (staging / SIGNATURE).read_bytes() if signing.keys else None
        return Summary((staging / SUMMARY).read_bytes(), signature)


async def is_current(repo: Path, signing: Signing) -> bool:
    """Whether the summary of ``repo`` lists its present contents, and is signed if it has to be.

    A signature is written after its summary: one that is older was left by an interrupted command.
    """
    present = await ostree.ask(repo, "summary", "--raw")
    if present is None or (signing.keys and not _is_signed(repo)):
        return False
    async with _staging(repo) as staging:
        await ostree.ask(staging, "summary", "--update")  # fails if a ref is dangling, and then so does the next
        wanted = await ostree.ask(staging, "summary", "--raw")
    return wanted is not None and _CHANGES_EACH_TIME.sub("", present) == _CHANGES_EACH_TIME.sub("", wanted)


def _is_signed(repo: Path) -> bool:
    signature = repo / SIGNATURE
    return signature.exists() and signature.stat().st_mtime_ns >= (repo / SUMMARY).stat().st_mtime_ns


@asynccontextmanager
async def _staging(repo: Path) -> AsyncGenerator[Path]:
    with tempfile.TemporaryDirectory(prefix="tidegate-summary-") as folder:
        staging = Path(folder)
        shutil.copyfile(repo / "config", staging / "config")
        for name in _LINKED:
            if (repo / name).exists():
                (staging / name).symlink_to((repo / name).resolve())
        yield staging
