"""What is wrong with a configuration, in words an operator can act on."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

# Longer values and keys are cut: a problem is one readable line, whatever was in the file.
MAX_SHOWN_CHARS = 60
MAX_KEY_CHARS = 160

_BARE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)

_TYPE_NAMES: dict[type, str] = {
    bool: "a boolean",
    int: "a whole number",
    float: "a number with a fraction",
    str: "a string",
    list: "an array",
    dict: "a table",
}

Path = tuple[str | int, ...]
"""Where a value is in a document: keys, and indexes into arrays."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend. ``line`` counts from 1; None where the file as a whole is meant. ``key`` is dotted."""

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
    """A problem that does not know its file yet. ``at`` leads from the value that was read to what is wrong in it."""

    message: str
    remedy: str
    at: Path = ()


class FaultyValueError(Exception):
    """A value that cannot be used, with every reason."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__(faults)
        self.faults = faults


def shown(value: object) -> str:
    """A value from a file, safe and short enough for a message."""
    if isinstance(value, (list, dict)):
        return type_name(cast(object, value))
    if isinstance(value, int) and value.bit_length() > 4 * MAX_SHOWN_CHARS:
        return "a huge number"  # str() of one refuses past 4,300 digits
    return _cut(repr(value) if isinstance(value, str) else str(value).lower())


def type_name(value: object) -> str:
    """What TOML calls the type of ``value``."""
    return _TYPE_NAMES.get(type(value), "a date or time")


def dotted(path: Path) -> str:
    """A path as it is written in TOML, indexes in brackets."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{_quoted(part)}" for part in path)
    return _cut(text.removeprefix("."), MAX_KEY_CHARS)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that ``word`` was most likely meant to be."""
    from difflib import get_close_matches  # noqa: PLC0415 - only a mistake needs it

    by_lower = {candidate.lower(): candidate for candidate in known}
    close = get_close_matches(word[:MAX_SHOWN_CHARS].lower(), by_lower, n=1, cutoff=0.5)
    return by_lower[close[0]] if close else None


def _quoted(part: str) -> str:
    return _cut(part if _BARE.fullmatch(part) else repr(part))


def _cut(text: str, length: int = MAX_SHOWN_CHARS) -> str:
    return text if len(text) <= length else f"{text[: length - 3]}..."
