"""Looking into JSON that others wrote, where whatever is odd counts as not there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import cast

from tidegate.clock import parse_rfc3339
from tidegate.printable import one_line

Document = Mapping[str, object]

NOTHING: Document = {}

MAX_TEXT_CHARS = 128
"""Of a text, if nothing else is said: versions and names are shorter."""

_SLACK = 4
"""Of a text that is longer than it may be only so much is looked at: blanks in a row become one."""


def table(document: Document, key: str) -> Document:
    """The object at ``key``; an empty one where there is none."""
    value = document.get(key)
    return cast(Document, value) if isinstance(value, dict) else NOTHING


def items(document: Document, key: str) -> list[object]:
    """The array at ``key``; an empty one where there is none."""
    value = document.get(key)
    return cast("list[object]", value) if isinstance(value, list) else []


def rows(document: Document, key: str) -> list[Document]:
    """The objects of the array at ``key``."""
    return [cast(Document, item) for item in items(document, key) if isinstance(item, dict)]


def text(document: Document, key: str, max_chars: int = MAX_TEXT_CHARS) -> str:
    """The string at ``key`` in one printable line; an empty one where there is none."""
    value = document.get(key)
    return one_line(value[: max_chars * _SLACK], max_chars) if isinstance(value, str) else ""


def number(document: Document, key: str) -> float | None:
    """The finite number at ``key``."""
    value = document.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # a whole number that no float can hold
        return None


def instant(document: Document, key: str) -> float | None:
    """The instant at ``key`` in seconds since 1970."""
    value = document.get(key)
    try:
        return parse_rfc3339(value).timestamp() if isinstance(value, str) else None
    except (ValueError, OverflowError):
        return None
