"""The stream of a deployment: the last part of the ref in its origin."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tidegate.engines.ostree.source import stream_of
from tidegate.engines.ostree.status import Listed

BOOTED = Listed(0, "debian", "a" * 64, 0, "1", None, booted=True, staged=False, locked=False, pinned=False)


@pytest.mark.parametrize(
    ("refspec", "stream"),
    [
        ("fedora:fedora/x86_64/coreos/stable", "stable"),
        ("origin:next", "next"),
        ("origin:os/", None),
        ("no-remote", None),
        (None, None),
    ],
)
def test_the_stream_is_the_last_part_of_the_ref(refspec: str | None, stream: str | None) -> None:
    assert stream_of(replace(BOOTED, refspec=refspec)) == stream
