"""Compare versions in the order that systemd, boot loaders and image tools agree on.

Source: the UAPI Group's Version Format Specification (UAPI.10), which ``systemd-analyze compare-versions`` implements.
"""

from __future__ import annotations

import re

_MARKS = "~-^."
"""In ascending order. ``~`` (a pre-release) sorts before the end of a version, the other marks after it."""

_SEPARATORS = re.compile(r"[^0-9a-zA-Z~\-^.]*")
_NUMBER = re.compile(r"[0-9]*")
_WORD = re.compile(r"[a-zA-Z]*")


def compare(one: str, other: str) -> int:
    """A negative number where ``one`` is older than ``other``, a positive one where it is newer, zero where equal."""
    while True:
        one, other = one[_end(_SEPARATORS, one) :], other[_end(_SEPARATORS, other) :]
        for mark in _MARKS:
            if (order := other.startswith(mark) - one.startswith(mark)) != 0:
                return order
            one, other = one.removeprefix(mark), other.removeprefix(mark)
            # Only after "~", as in systemd (252 to 257), by which "1^." is older than "1^".
            if mark == "~" and not (one and other):
                return bool(one) - bool(other)
        kind = _NUMBER if one[:1].isdigit() or other[:1].isdigit() else _WORD
        one_end, other_end = _end(kind, one), _end(kind, other)
        one_key, other_key = _key(one[:one_end]), _key(other[:other_end])
        if one_key != other_key:
            return -1 if one_key < other_key else 1
        one, other = one[one_end:], other[other_end:]


def _end(pattern: re.Pattern[str], text: str) -> int:
    found = pattern.match(text)
    return 0 if found is None else found.end()


def _key(part: str) -> tuple[int, int, str]:
    """The sort key of a part: numbers by value, after every word and the empty part; words by their bytes."""
    digits = part.lstrip("0")
    return (1, len(digits), digits) if part.isdigit() else (0, 0, part)
