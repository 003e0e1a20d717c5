"""A summary made aside: what `ostree summary` would write, without a moment in which hosts find half of it.

By itself it removes the old signature, writes the summary and signs it then: between, and for good where the key turns
out to be unusable, hosts that verify the summary can pull nothing (ostree 2022.7 to 2026.4). So it runs on a shadow, a
folder that has the repository's configuration, and its objects, refs and deltas by links.
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
    """A summary, and its signature where it is signed."""

    content: bytes
    signature: bytes | None


async def fresh(repo: Path, signing: Signing) -> Summary:
    """The summary that ``repo`` should have now.

    Raises:
        TidegateError: ``publish.failed``; a key cannot be used, or an object is missing.
    """
    async with _shadow(repo) as shadow:
        await ostree.do(shadow, "summary", "--update", *signing.options, doing="making the summary")
        signature = (shadow / SIGNATURE).read_bytes() if signing.keys else None
        return Summary((shadow / SUMMARY).read_bytes(), signature)


async def stands(repo: Path, signing: Signing) -> bool:
    """Whether the summary that ``repo`` has lists what is there now, and, where it is to be signed, is.

    A signature is written after its summary: an older one was left by whoever was interrupted between the two.
    """
    there = await ostree.ask(repo, "summary", "--raw")
    if there is None or (signing.keys and not _is_signed(repo)):
        return False
    async with _shadow(repo) as shadow:
        await ostree.ask(shadow, "summary", "--update")  # fails where a ref leads nowhere, and so does the next
        wanted = await ostree.ask(shadow, "summary", "--raw")
    return wanted is not None and _CHANGES_EACH_TIME.sub("", there) == _CHANGES_EACH_TIME.sub("", wanted)


def _is_signed(repo: Path) -> bool:
    signature = repo / SIGNATURE
    return signature.exists() and signature.stat().st_mtime_ns >= (repo / SUMMARY).stat().st_mtime_ns


@asynccontextmanager
async def _shadow(repo: Path) -> AsyncGenerator[Path]:
    with tempfile.TemporaryDirectory(prefix="tidegate-summary-") as folder:
        shadow = Path(folder)
        shutil.copyfile(repo / "config", shadow / "config")
        for name in _LINKED:
            if (repo / name).exists():
                (shadow / name).symlink_to((repo / name).resolve())
        yield shadow
