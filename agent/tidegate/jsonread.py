"""Typed reading of untrusted JSON: one cursor that knows where it stands and says so in its errors."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from tidegate.clock import parse_rfc3339
from tidegate.printable import one_line


class ShapeError(ValueError):
    """The JSON has not the expected shape; the text names the place and what was expected there."""


@dataclass(frozen=True, slots=True)
class Node:
    """A JSON object and the path that led to it."""

    fields: Mapping[str, object]
    where: str

    @classmethod
    def root(cls, value: object, where: str = "$") -> Node:
        """Take ``value`` as an object.

        Raises:
            ShapeError: it is something else.
        """
        if not isinstance(value, dict):
            raise ShapeError(f"{where}: expected an object, found {_kind(value)}")
        return cls(cast(Mapping[str, object], value), where)

    def text(self, key: str) -> str:
        """The string at ``key``; ShapeError when it is missing or something else."""
        value = self._required(key)
        if not isinstance(value, str):
            raise self._mismatch(key, "a string", value)
        return value

    def optional_text(self, key: str) -> str | None:
        """The string at ``key``, or None where the key is missing or null."""
        return None if self.fields.get(key) is None else self.text(key)

    def integer(self, key: str, default: int | None = None) -> int:
        """The whole number at ``key`` (a boolean is none); ``default`` stands in for a missing key."""
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
        """The boolean at ``key``; a missing key is False."""
        value = self.fields.get(key, False)
        if not isinstance(value, bool):
            raise self._mismatch(key, "a boolean", value)
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """The strings of the array at ``key``; a missing key is an empty array."""
        value = self.fields.get(key, [])
        items = cast(list[object], value) if isinstance(value, list) else [None]
        texts = tuple(item for item in items if isinstance(item, str))
        if len(texts) != len(items):
            raise self._mismatch(key, "an array of strings", self.fields.get(key))
        return texts

    def instant(self, key: str) -> datetime:
        """The RFC 3339 instant at ``key``."""
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
        """The objects of the array at ``key``; a missing key is an empty array."""
        value = self.fields.get(key, [])
        if not isinstance(value, list):
            raise self._mismatch(key, "an array", value)
        for index, item in enumerate(cast(list[object], value)):
            yield Node.root(item, f"{self.where}.{key}[{index}]")

    def beyond(self, known: Collection[str]) -> dict[str, object]:
        """The fields that are not in ``known``: what a newer writer added."""
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
