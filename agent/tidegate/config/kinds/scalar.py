"""Kinds of single values: booleans, numbers, text, choices, URLs and time zones."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, cast

from tidegate.config.keys import Kind, faulty
from tidegate.config.kinds.base import StringKind, is_array_of
from tidegate.config.problems import nearest, shown

MAX_INTERVAL_SECS = 10 * 366 * 24 * 3600
"""Ten years: a longer interval is a typing error, and timers overflow not far beyond."""


@dataclass(frozen=True, slots=True)
class Boolean(Kind[bool]):
    """A boolean."""

    @property
    def wanted(self) -> str:
        """A description of valid values, for error messages."""
        return "true or false"

    def fits(self, value: object) -> bool:
        """Whether it is a boolean."""
        return isinstance(value, bool)

    def read(self, value: object) -> bool:
        """The boolean, unchanged."""
        return cast(bool, value)


@dataclass(frozen=True, slots=True)
class Integer(Kind[int]):
    """An integer from ``low`` to ``high``, both included."""

    low: int
    high: int

    @property
    def wanted(self) -> str:
        """The bounds, in words."""
        return f"an integer from {self.low} to {self.high}"

    def fits(self, value: object) -> bool:
        """Whether it is an integer. A boolean is not, though Python's is a subclass."""
        return isinstance(value, int) and not isinstance(value, bool)

    def read(self, value: object) -> int:
        """The number, if it is within the bounds."""
        number = cast(int, value)
        if not self.low <= number <= self.high:
            raise faulty(f"{shown(number)} is out of range", f"use {self.wanted}")
        return number


@dataclass(frozen=True, slots=True)
class Fraction(Kind[float]):
    """A float from 0 to 1, both included, or one of these integers."""

    @property
    def wanted(self) -> str:
        """A description of valid values, for error messages."""
        return "a number from 0.0 to 1.0"

    def fits(self, value: object) -> bool:
        """Whether it is a number."""
        return isinstance(value, (int, float)) and not isinstance(value, bool)

    def read(self, value: object) -> float:
        """The number as a float, if it is within the bounds."""
        number = cast(float, value)
        if not 0 <= number <= 1:  # rejects ``nan`` as well
            raise faulty(f"{shown(number)} is out of range", f"use {self.wanted}")
        return float(number)


@dataclass(frozen=True, slots=True)
class Text(StringKind[str]):
    """A string that fully matches ``pattern``. ``words`` describe it."""

    pattern: re.Pattern[str]
    words: str
    empty_is_default: ClassVar[bool] = True

    @property
    def wanted(self) -> str:
        """A description of valid values, for error messages."""
        return self.words

    def read(self, value: object) -> str:
        """The string, unchanged."""
        text = cast(str, value)
        if not self.pattern.fullmatch(text):
            raise faulty(f"{shown(text)} cannot be used", f"use {self.wanted}")
        return text


@dataclass(frozen=True, slots=True)
class Choice(StringKind[str]):
    """One of several words."""

    words: tuple[str, ...]
    empty_is_default: ClassVar[bool] = True

    @property
    def wanted(self) -> str:
        """The words to choose from."""
        return f"one of {_listed(self.words)}"

    def read(self, value: object) -> str:
        """The word, if it is one of them."""
        word = cast(str, value)
        if word not in self.words:
            raise faulty(f"{shown(word)} is not known{_hint(word, self.words)}", f"use {self.wanted}")
        return word


@dataclass(frozen=True, slots=True)
class MergeMode(Choice):
    """How the entries of a snippet are merged with those of earlier snippets."""

    checked_early: ClassVar[bool] = True
    empty_is_default: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Choices(Kind[tuple[str, ...]]):
    """One of several words, or a non-empty array of them without duplicates."""

    words: tuple[str, ...]
    empty_is_default: ClassVar[bool] = True

    @property
    def wanted(self) -> str:
        """The words to choose from."""
        return f"one of {_listed(self.words)}, or an array of them"

    def fits(self, value: object) -> bool:
        """Whether it is a string or an array of strings."""
        return isinstance(value, str) or is_array_of(str, value)

    def read(self, value: object) -> tuple[str, ...]:
        """The words, in their order."""
        words = [value] if isinstance(value, str) else cast(list[str], value)
        if not words:
            raise faulty("the array is empty", f"use {self.wanted}")
        known = tuple(Choice(self.words).read(word) for word in words)
        if len(set(known)) < len(known):
            raise faulty("the array has one of them twice", "name each once")
        return known

    def plain(self, setting: object) -> object:
        """A single word as a string, as in Zincati; otherwise an array."""
        words = cast(tuple[str, ...], setting)
        return words[0] if len(words) == 1 else list(words)


@dataclass(frozen=True, slots=True)
class Url(StringKind[str]):
    """A URL, possibly with variables. It is checked only where it is used: see :mod:`tidegate.config.conflicts`."""

    schemes: tuple[str, ...]
    empty_is_default: ClassVar[bool] = True

    @property
    def wanted(self) -> str:
        """The accepted schemes."""
        return f"a URL ({' or '.join(f'{scheme}://' for scheme in self.schemes)})"

    def read(self, value: object) -> str:
        """The string, unchecked: Zincati accepts any text as the URL of a strategy that is not selected."""
        return cast(str, value)


@dataclass(frozen=True, slots=True)
class ZoneName(StringKind[str]):
    """The name of a time zone in the zone database of this host."""

    @property
    def wanted(self) -> str:
        """A description of valid values, for error messages."""
        return "UTC, a zone's name such as Europe/Berlin, or localtime"

    def read(self, value: object) -> str:
        """The name, if the zone can be loaded."""
        from tidegate.calendar import zones  # noqa: PLC0415 - most configs name no zone

        name = cast(str, value)
        try:
            zones.load_zone(name)
        except zones.UnknownZoneError as error:
            known = zones.zone_names()
            raise faulty(f"{error}{_hint(name, known - {name})}", f"use {self.wanted}") from None
        return name


def _hint(word: str, known: tuple[str, ...] | set[str]) -> str:
    close = nearest(word, known)
    return f'; did you mean "{close}"?' if close else ""


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(f'"{word}"' for word in words)
