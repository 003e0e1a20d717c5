"""The order of versions is systemd's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.versions import compare

VERSIONS = st.text(alphabet="019abAB~^-._+", min_size=1, max_size=8).filter(lambda text: not text.startswith("-"))


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("9", "10"),
        ("1.0", "1.0.1"),
        ("42.2~rc1", "42.2"),
        ("42.2", "42.2^post"),
        ("42.2^post", "42.2.1"),
        ("38.20230709.3.0", "38.20230806.3.0"),
        ("a", "1"),
        ("1.0-2", "1.0-10"),
        ("v2", "v10"),
        ("1^.", "1^"),  # systemd's own reading, see compare()
        ("1-.", "1-"),
        ("1-^", "1-"),
        ("1-", "1-+."),
        ("1~", "1~~"),
        ("09", "010"),
        ("1" + "0" * 5000, "2" + "0" * 5000),  # more digits than int() takes
    ],
)
def test_what_comes_before_what(older: str, newer: str) -> None:
    assert (compare(older, newer), compare(newer, older), compare(older, older)) == (-1, 1, 0)


@given(VERSIONS, VERSIONS, VERSIONS)
def test_the_order_is_one(one: str, other: str, third: str) -> None:
    assert compare(one, other) == -compare(other, one)
    if compare(one, other) <= 0 and compare(other, third) <= 0:
        assert compare(one, third) <= 0
