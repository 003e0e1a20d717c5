"""Errors in a configuration, with file, line, key and remedy; and the words that their messages are made of."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

# Longer values and keys are cut off: a problem is one readable line, whatever the file contains.
MAX_SHOWN_CHARS = 60
MAX_KEY_CHARS = 160

_BARE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)

_TYPE_NAMES: dict[type, str] = {
    bool: "a boolean",
    int: "an integer",
    float: "a float",
    str: "a string",
    list: "an array",
    dict: "a table",
}

Path = tuple[str | int, ...]
"""The position of a value in a document: keys, and indexes into arrays."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One error in the configuration.

    ``line`` counts from 1, and is None where the whole file is concerned. ``key`` is dotted; None without one.
    """

    file: str
    line: int | None
    key: str | None
    message: str
    remedy: str

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{where}: {self.message}" + (f" ({self.remedy})" if self.remedy else "")


@dataclass(frozen=True, slots=True)
class Fault:
    """One error in a value. ``at`` is the path from that value to the part of it that is wrong."""

    message: str
    remedy: str
    at: Path = ()


class FaultyValueError(Exception):
    """A value cannot be used; ``faults`` has every reason."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__(faults)
        self.faults = faults


def shown(value: object) -> str:
    """A value for a message: printable, and of at most :data:`MAX_SHOWN_CHARS` characters."""
    if isinstance(value, (list, dict)):
        return type_name(cast(object, value))
    if isinstance(value, int) and value.bit_length() > 4 * MAX_SHOWN_CHARS:
        return "a huge number"  # str() of one refuses past 4,300 digits
    return _cut(repr(value) if isinstance(value, str) else str(value).lower())


def type_name(value: object) -> str:
    """TOML's name for the type of ``value``, with its article."""
    return _TYPE_NAMES.get(type(value), "a date or time")


def described(value: object) -> str:
    """A value and its type for a message, such as ``3 is an integer``."""
    name = type_name(value)
    return f"this is {name}" if shown(value) == name else f"{shown(value)} is {name}"


def dotted(path: Path) -> str:
    """A path as TOML writes it, with indexes in brackets."""
    parts = path[:MAX_KEY_CHARS]  # more would be cut off
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{_quoted(part)}" for part in parts)
    return _cut(text.removeprefix("."), MAX_KEY_CHARS)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is most similar to ``word``, whatever its case; None where none is similar enough."""
    from difflib import get_close_matches  # noqa: PLC0415 - only a mistake needs it

    by_lower = {candidate.lower(): candidate for candidate in known}
    close = get_close_matches(word[:MAX_SHOWN_CHARS].lower(), by_lower, n=1, cutoff=0.5)
    return by_lower[close[0]] if close else None


def _quoted(part: str) -> str:
    return _cut(part if _BARE.fullmatch(part) else repr(part))


def _cut(text: str, length: int = MAX_SHOWN_CHARS) -> str:
    return text if len(text) <= length else f"{text[: length - 3]}..."
