"""Classify what ostree prints on standard error as a typed error. Pure.

The ostree command exits with 1 after every failure, so that only the text distinguishes them. The texts are those of
2022.7 and 2025.2 with libcurl; newer versions prepend "While fetching URL:".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tidegate.errors import ErrorKind, TidegateError

_TERMINAL_CODES = re.compile(r"\x1b(\[[0-9;]*m|[78])")  # with a terminal as standard output, errors come in red
_MISSING_FILE = re.compile(r"HTTP (404|403|410)")
_FROZEN = re.compile(r"Remounting /sysroot read-write: Device or resource busy", re.IGNORECASE)
_MESSAGE_LIMIT_CHARS = 500


@dataclass(frozen=True, slots=True)
class _Pattern:
    kind: ErrorKind
    text: re.Pattern[str]
    remedy: str


def _pattern(kind: ErrorKind, text: str, remedy: str) -> _Pattern:
    return _Pattern(kind, re.compile(text, re.IGNORECASE), remedy)


# The first match wins: the text of a failed transfer may contain that of a full disk or a bad signature.
_PATTERNS = (
    _pattern(
        ErrorKind.ENGINE_NO_SPACE,
        r"No space left on device|Disk quota exceeded|min-free-space-(percent|size)|free space, but only",
        "free space on /sysroot, for instance by deleting the rollback release: `ostree admin undeploy INDEX`",
    ),
    _pattern(
        ErrorKind.ENGINE_BAD_SIGNATURE,
        r"GPG|signature|public key|no summary\.sig found",
        "check the remote's keys in /etc/ostree/remotes.d or /ostree/repo; do not turn verification off",
    ),
    _pattern(
        ErrorKind.ENGINE_CORRUPT,
        r"corrupt|Invalid (checksum|rev|rdev|mode)|Input buffer too small|exceeded maximum size|normal form",
        "the server, or something between it and this host, damages the data: check its repository with `ostree fsck`",
    ),
    _pattern(
        ErrorKind.ENGINE_UNKNOWN_RELEASE,
        r"HTTP (404|403|410)|No such (branch|metadata object)|in ref binding metadata",
        "the server does not have it: check what names it (the update graph, the branch in `ostree admin status`)"
        " and the remote's URL (`ostree remote show-url`)",
    ),
    _pattern(
        ErrorKind.ENGINE_REMOTE_DOWN,
        r"HTTP (408|425|429|5\d\d)|\[(5|6|7|16|18|28|35|52|55|56|92)\] |Couldn't connect|Could not resolve|timed out",
        "check the network and the remote's server; it is tried again",
    ),
)
_UNKNOWN_REMEDY = "see the message; `journalctl -u tidegate-engine.service` has the context"


def classify(stderr: str, doing: str) -> TidegateError:
    """Return the error of a failed ostree command. ``doing`` names the attempt: "pulling 1.2.3 from demo"."""
    text = clean(stderr)
    match = next((pattern for pattern in _PATTERNS if pattern.text.search(text)), None)
    kind, remedy = (match.kind, match.remedy) if match else (ErrorKind.ENGINE_FAILED, _UNKNOWN_REMEDY)
    return TidegateError(kind, f"{doing}: {text}", remedy)


def names_missing_file(error: TidegateError) -> bool:
    """Whether the server lacks a file of the release: a part of a delta, or an object."""
    return _MISSING_FILE.search(error.message) is not None


def is_frozen(stderr: str) -> bool:
    """Whether /sysroot could not be remounted because its file system is frozen."""
    return _FROZEN.search(stderr) is not None


def clean(stderr: str) -> str:
    """Return the message on one line, without colours and ``error:``, and of bounded length."""
    lines = [line.strip() for line in _TERMINAL_CODES.sub("", stderr).splitlines() if line.strip()]
    text = "; ".join(lines).removeprefix("error:").strip() or "ostree failed without a message"
    return text[:_MESSAGE_LIMIT_CHARS]
