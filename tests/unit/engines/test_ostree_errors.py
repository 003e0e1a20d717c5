"""The classification of what the ostree command prints when it fails, version by version."""

from __future__ import annotations

import pytest

from tidegate.engines.ostree.errors import classify, clean, is_frozen
from tidegate.errors import ErrorKind

UNKNOWN, DOWN, CORRUPT = ErrorKind.ENGINE_UNKNOWN_RELEASE, ErrorKind.ENGINE_REMOTE_DOWN, ErrorKind.ENGINE_CORRUPT
NO_SPACE, BAD_SIGNATURE, FAILED = ErrorKind.ENGINE_NO_SPACE, ErrorKind.ENGINE_BAD_SIGNATURE, ErrorKind.ENGINE_FAILED

# 2022.7
OLD = [
    (UNKNOWN, "Server returned HTTP 404"),
    (UNKNOWN, "No such branch 'nope' in repository summary"),
    (UNKNOWN, "Commit 4a45: Commit has no requested ref \u2018nope\u2019 in ref binding metadata (\u2018demo/x\u2019)"),
    (UNKNOWN, "Checking out deployment tree: No such metadata object 0000.commit"),
    (DOWN, "Server returned HTTP 503"),
    (DOWN, "While fetching http://h/objects/c3/7d.filez: [18] Transferred a partial file"),
    (DOWN, "While fetching http://h/summary.sig: [7] Couldn't connect to server"),
    (DOWN, "While fetching http://h/summary: [6] Couldn't resolve host name"),
    (CORRUPT, "Data is corrupt"),
    (CORRUPT, "Input buffer too small"),
    (CORRUPT, "Corrupted dirtree object; checksum expected='9cd2' actual='6246'"),
    (CORRUPT, "Parsing c37d.file: Corrupted archive file; invalid rdev 16711680"),
    (CORRUPT, "Invalid checksum for static delta 5285-09e1"),
    (
        NO_SPACE,
        "Writing content object: min-free-space-percent '99%' would be exceeded, at least 20.5\u00a0kB requested",
    ),
    (NO_SPACE, "Writing content object: min-free-space-size 921600MB would be exceeded, at least 4.1 kB requested"),
    (NO_SPACE, "Delta requires 130.2\u00a0kB free space, but only 102.4\u00a0kB available"),
    (NO_SPACE, "Writing content object: fallocate: No space left on device"),
    (BAD_SIGNATURE, "Commit 5285: GPG verification enabled, but no signatures found (use gpg-verify=false in ...)"),
    (BAD_SIGNATURE, "Commit 09e1: Signature made Sat 21 Nov 2026\nCan't check signature: public key not found"),
    (BAD_SIGNATURE, "GPG verification enabled, but no summary.sig found (use gpg-verify-summary=false in ...)"),
    (FAILED, 'Remote "other" not found'),
    (FAILED, "Out of range deployment index 9, expected < 1"),
]
# 2025.2
NEW = [
    (UNKNOWN, "While fetching http://127.0.0.1:44663/objects/00/0000.commit: Server returned HTTP 404"),
    (UNKNOWN, "Staging deployment: Initializing deployment: Checking out deployment tree: No such metadata object 00"),
    (DOWN, "While fetching http://h/objects/4f.filez: Server returned HTTP 502"),
]


@pytest.mark.parametrize(("kind", "text"), OLD + NEW)
def test_each_text_has_its_kind(kind: ErrorKind, text: str) -> None:
    error = classify(f"error: {text}\n", "pulling X from demo")
    assert error.kind is kind
    assert error.message.startswith("pulling X from demo: ")
    assert error.remedy


def test_the_message_is_one_clean_line() -> None:
    error = classify("\x1b[31m\x1b[1merror:\x1b[0m\x1b[22m first\n\nsecond\n", "doing")
    assert error.message == "doing: first; second"


def test_a_child_that_said_nothing() -> None:
    assert clean(" \n") == "ostree failed without a message"


def test_a_flood_is_cut() -> None:
    assert len(clean("error: " + "x" * 100_000)) == 500


@pytest.mark.parametrize(
    ("stderr", "frozen"),
    [
        ("error: Remounting /sysroot read-write: Device or resource busy", True),
        ("\x1b[31m\x1b[1merror: \x1b[22m\x1b[0mremounting /sysroot read-write: Device or resource busy\n", True),
        ("error: Remounting /sysroot read-write: Permission denied", False),
        ("error: While writing boot entries: Device or resource busy", False),
        ("", False),
    ],
)
def test_a_frozen_file_system_is_known_by_the_remount_that_it_refuses(stderr: str, frozen: bool) -> None:
    assert is_frozen(stderr) is frozen
