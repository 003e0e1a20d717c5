"""Which of two versions is newer, by the one order that systemd, boot loaders and image tools agree on.

Source: the UAPI Group's Version Format Specification (UAPI.10), which ``systemd-analyze compare-versions`` implements.
"""

from __future__ import annotations

import re
from itertools import zip_longest

_TOKEN = re.compile(r"[0-9]+|[a-zA-Z]+|[~\-^.]")
"""What counts in a version; anything else only parts its neighbours."""

_MARKS = "~-^."
"""In ascending order: a pre-release comes before the end of a version, everything else after it."""

_Key = tuple[int, int, str]


def compare(one: str, other: str) -> int:
    """Below zero where ``one`` is older than ``other``, above zero where it is newer, else zero."""
    for left, right in zip_longest(_TOKEN.findall(one), _TOKEN.findall(other), fillvalue=""):
        left_key, right_key = _key(left), _key(right)
        if left_key != right_key:
            return -1 if left_key < right_key else 1
    return 0


def _key(token: str) -> _Key:
    """Numbers go by their value, below them letters by their bytes; the end of a version lies just above ``~``."""
    if not token:
        return (1, 0, "")
    if token in _MARKS:
        place = _MARKS.index(token)
        return (2 if place else 0, place, "")
    if token.isdigit():
        return (4, int(token), "")
    return (3, 0, token)
