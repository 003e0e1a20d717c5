"""The order of versions, compared with that of systemd-analyze."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.versions import compare

VERSIONS = st.text(alphabet="019abAB~^-._+", min_size=1, max_size=8).filter(lambda text: not text.startswith("-"))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@settings(max_examples=60)
@given(VERSIONS, VERSIONS)
def test_systemd_agrees(one: str, other: str) -> None:
    told = subprocess.run(["systemd-analyze", "compare-versions", one, other], capture_output=True, check=False)
    signs = {0: 0, 11: 1, 12: -1}
    assert signs[told.returncode] == compare(one, other), (one, other)
