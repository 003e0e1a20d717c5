"""Read untrusted JSON: strictly, where a wrong shape is an error, or leniently, where it counts as absent.

* :class:`Node` is the strict reader, for records and requests: a field of the wrong type raises :class:`ShapeError`,
  which names the path to it.
* :func:`table` and the functions after it are the lenient reader, for snapshots: they are written by another version
  of the agent, and a field that is missing or has another type reads as an empty value or None.
* :func:`mark_duplicate_keys` is a hook for :func:`json.loads`, which by itself takes the last of two equal keys.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from tidegate.clock import parse_rfc3339
from tidegate.printable import one_line

# Duplicate keys


class DuplicateKeys(dict[str, object]):
    """A JSON object in which some key occurs more than once. The last value of each key is kept."""


def mark_duplicate_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Make an object with a duplicate key a :class:`DuplicateKeys`; pass this as ``object_pairs_hook``.

    Nothing is raised, so that the caller decides in which of its objects a duplicate key is an error.
    """
    fields = dict(pairs)
    return fields if len(fields) == len(pairs) else DuplicateKeys(fields)


# The strict reader


class ShapeError(ValueError):
    """The JSON does not have the expected shape; the text has the path and what was expected there."""


@dataclass(frozen=True, slots=True)
class Node:
    """A JSON object, and ``where`` it is in its document, such as ``$.groups[2]``.

    Every method that reads a field raises :class:`ShapeError` where the value has the wrong type, or where the key is
    missing and no substitute for that is documented.
    """

    fields: Mapping[str, object]
    where: str

    @classmethod
    def root(cls, value: object, where: str = "$") -> Node:
        """Take ``value`` as an object.

        Raises:
            ShapeError: it is of another type.
        """
        if not isinstance(value, dict):
            raise ShapeError(f"{where}: expected an object, found {_kind(value)}")
        return cls(cast(Mapping[str, object], value), where)

    def text(self, key: str) -> str:
        """The string at ``key``."""
        value = self._required(key)
        if not isinstance(value, str):
            raise self._mismatch(key, "a string", value)
        return value

    def optional_text(self, key: str) -> str | None:
        """The string at ``key``, or None where the key is missing or null."""
        return None if self.fields.get(key) is None else self.text(key)

    def integer(self, key: str, default: int | None = None) -> int:
        """The whole number at ``key``, which a boolean is not; ``default``, where given, replaces a missing key."""
        if default is not None and key not in self.fields:
            return default
        value = self._required(key)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._mismatch(key, "a whole number", value)
        return value

    def number(self, key: str) -> float:
        """The finite number at ``key``."""
        value = self._required(key)
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise self._mismatch(key, "a finite number", value)
        return float(value)

    def flag(self, key: str) -> bool:
        """The boolean at ``key``; False where the key is missing."""
        value = self.fields.get(key, False)
        if not isinstance(value, bool):
            raise self._mismatch(key, "a boolean", value)
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """The strings of the array at ``key``; none where the key is missing."""
        value = self.fields.get(key, [])
        items = cast(list[object], value) if isinstance(value, list) else [None]
        texts = tuple(item for item in items if isinstance(item, str))
        if len(texts) != len(items):
            raise self._mismatch(key, "an array of strings", self.fields.get(key))
        return texts

    def instant(self, key: str) -> datetime:
        """The RFC 3339 instant at ``key``, in UTC."""
        text = self.text(key)
        try:
            return parse_rfc3339(text)
        except ValueError as err:
            raise ShapeError(f"{self.where}.{key}: {err}") from err

    def child(self, key: str) -> Node:
        """The object at ``key``."""
        return Node.root(self._required(key), f"{self.where}.{key}")

    def optional_child(self, key: str) -> Node | None:
        """The object at ``key``, or None where the key is missing or null."""
        return None if self.fields.get(key) is None else self.child(key)

    def children(self, key: str) -> Iterator[Node]:
        """The objects of the array at ``key``; none where the key is missing."""
        value = self.fields.get(key, [])
        if not isinstance(value, list):
            raise self._mismatch(key, "an array", value)
        for index, item in enumerate(cast(list[object], value)):
            yield Node.root(item, f"{self.where}.{key}[{index}]")

    def beyond(self, known: Collection[str]) -> dict[str, object]:
        """The fields whose keys are not in ``known``: those that a newer writer has added."""
        return {key: value for key, value in self.fields.items() if key not in known}

    def _required(self, key: str) -> object:
        if key not in self.fields:
            raise ShapeError(f"{self.where}: the key {key!r} is missing")
        return self.fields[key]

    def _mismatch(self, key: str, expected: str, value: object) -> ShapeError:
        return ShapeError(f"{self.where}.{key}: expected {expected}, found {_kind(value)}")


def _kind(value: object) -> str:
    match value:
        case dict():
            return "an object"
        case list():
            return "an array"
        case str():
            return "a string"
        case bool():
            return "a boolean"
        case None:
            return "null"
        case _:
            return "a number"


# The lenient reader

Document = Mapping[str, object]

NOTHING: Document = {}
"""The empty object, which stands for one that is missing."""

MAX_TEXT_CHARS = 128
"""Default limit of :func:`text`: versions and names are shorter."""

_RAW_CHARS_PER_CHAR = 4
"""How much of an overlong text is processed for each character that is kept: runs of blanks collapse into one."""


def table(document: Document, key: str) -> Document:
    """The object at ``key``, or an empty one."""
    value = document.get(key)
    return cast(Document, value) if isinstance(value, dict) else NOTHING


def items(document: Document, key: str) -> list[object]:
    """The array at ``key``, or an empty one."""
    value = document.get(key)
    return cast("list[object]", value) if isinstance(value, list) else []


def rows(document: Document, key: str) -> list[Document]:
    """The objects in the array at ``key``; its other elements are left out."""
    return [cast(Document, item) for item in items(document, key) if isinstance(item, dict)]


def text(document: Document, key: str, max_chars: int = MAX_TEXT_CHARS) -> str:
    """The string at ``key`` as one printable line of at most ``max_chars`` characters, or an empty one."""
    value = document.get(key)
    return one_line(value[: max_chars * _RAW_CHARS_PER_CHAR], max_chars) if isinstance(value, str) else ""


def number(document: Document, key: str) -> float | None:
    """The finite number at ``key``, or None."""
    value = document.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # a whole number that no float can hold
        return None


def instant(document: Document, key: str) -> float | None:
    """The RFC 3339 instant at ``key`` in seconds since 1970, or None."""
    value = document.get(key)
    try:
        return parse_rfc3339(value).timestamp() if isinstance(value, str) else None
    except (ValueError, OverflowError):
        return None
