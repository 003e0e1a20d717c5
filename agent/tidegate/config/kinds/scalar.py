"""The kinds of value that keys take."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, cast

from tidegate.config.keys import Kind, refuse
from tidegate.config.problems import nearest, shown


@dataclass(frozen=True, slots=True)
class Boolean(Kind[bool]):
    """true or false."""

    @property
    def wanted(self) -> str:
        """In words."""
        return "true or false"

    def fits(self, value: object) -> bool:
        """Only a boolean."""
        return isinstance(value, bool)

    def read(self, value: object) -> bool:
        """As it is."""
        return cast(bool, value)


@dataclass(frozen=True, slots=True)
class Whole(Kind[int]):
    """A whole number from ``low`` to ``high``, both included."""

    low: int
    high: int

    @property
    def wanted(self) -> str:
        """The bounds."""
        return f"a whole number from {self.low} to {self.high}"

    def fits(self, value: object) -> bool:
        """A boolean is no number, though Python thinks so."""
        return isinstance(value, int) and not isinstance(value, bool)

    def read(self, value: object) -> int:
        """Within the bounds."""
        number = cast(int, value)
        if not self.low <= number <= self.high:
            raise refuse(f"{shown(number)} is out of range", f"use {self.wanted}")
        return number


@dataclass(frozen=True, slots=True)
class Fraction(Kind[float]):
    """A number from 0 to 1, both included; whole ones too."""

    @property
    def wanted(self) -> str:
        """In words."""
        return "a number from 0.0 to 1.0"

    def fits(self, value: object) -> bool:
        """Any number."""
        return isinstance(value, (int, float)) and not isinstance(value, bool)

    def read(self, value: object) -> float:
        """Within the bounds; ``nan`` is not."""
        number = cast(float, value)
        if not 0 <= number <= 1:  # which ``nan`` is not, either
            raise refuse(f"{shown(number)} is out of range", f"use {self.wanted}")
        return float(number)


@dataclass(frozen=True, slots=True)
class Text(Kind[str]):
    """A string that ``pattern`` matches as a whole; ``words`` say the same."""

    pattern: re.Pattern[str]
    words: str
    empty_is_default: ClassVar[bool] = True

    @property
    def wanted(self) -> str:
        """In words."""
        return self.words

    def fits(self, value: object) -> bool:
        """Only a string."""
        return isinstance(value, str)

    def read(self, value: object) -> str:
        """A string that matches."""
        text = cast(str, value)
        if not self.pattern.fullmatch(text):
            raise refuse(f"{shown(text)} cannot be used", f"use {self.wanted}")
        return text


@dataclass(frozen=True, slots=True)
class Choice(Kind[str]):
    """One of a few words."""

    words: tuple[str, ...]
    empty_is_default: ClassVar[bool] = True

    @property
    def wanted(self) -> str:
        """The words."""
        return f"one of {_listed(self.words)}"

    def fits(self, value: object) -> bool:
        """Only a string."""
        return isinstance(value, str)

    def read(self, value: object) -> str:
        """A known word."""
        word = cast(str, value)
        if word not in self.words:
            raise refuse(f"{shown(word)} is not known{_hint(word, self.words)}", f"use {self.wanted}")
        return word


@dataclass(frozen=True, slots=True)
class MergeMode(Choice):
    """What a snippet's entries do to those before it."""

    acts_in_its_snippet: ClassVar[bool] = True
    empty_is_default: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Choices(Kind[tuple[str, ...]]):
    """One of a few words, or an array of them without repetition."""

    words: tuple[str, ...]
    empty_is_default: ClassVar[bool] = True

    @property
    def wanted(self) -> str:
        """The words."""
        return f"one of {_listed(self.words)}, or an array of them"

    def fits(self, value: object) -> bool:
        """A string or an array of strings."""
        if isinstance(value, list):
            return all(isinstance(word, str) for word in cast(list[object], value))
        return isinstance(value, str)

    def read(self, value: object) -> tuple[str, ...]:
        """Known words, at least one, each once."""
        words = [value] if isinstance(value, str) else cast(list[str], value)
        if not words:
            raise refuse("the array is empty", f"use {self.wanted}")
        known = tuple(Choice(self.words).read(word) for word in words)
        if len(set(known)) < len(known):
            raise refuse("the array names one twice", "name each once")
        return known

    def plain(self, setting: object) -> object:
        """A single word as a string, which is how Zincati has it."""
        words = cast(tuple[str, ...], setting)
        return words[0] if len(words) == 1 else list(words)


@dataclass(frozen=True, slots=True)
class Url(Kind[str]):
    """A URL template. Whether it can be used is asked only where it is used: see :mod:`tidegate.config.rules`."""

    schemes: tuple[str, ...]
    empty_is_default: ClassVar[bool] = True

    @property
    def wanted(self) -> str:
        """The schemes."""
        return f"a URL ({' or '.join(f'{scheme}://' for scheme in self.schemes)})"

    def fits(self, value: object) -> bool:
        """Only a string."""
        return isinstance(value, str)

    def read(self, value: object) -> str:
        """As it is: Zincati lets the URL of a strategy that is not selected be anything."""
        return cast(str, value)


@dataclass(frozen=True, slots=True)
class ZoneName(Kind[str]):
    """A time zone that this host knows."""

    @property
    def wanted(self) -> str:
        """In words."""
        return "UTC, a zone's name such as Europe/Berlin, or localtime"

    def fits(self, value: object) -> bool:
        """Only a string."""
        return isinstance(value, str)

    def read(self, value: object) -> str:
        """A zone that loads."""
        from tidegate.calendar import zones  # noqa: PLC0415 - most configs name no zone

        name = cast(str, value)
        try:
            zones.load_zone(name)
        except zones.UnknownZoneError as error:
            known = zones.zone_names()
            raise refuse(f"{error}{_hint(name, known - {name})}", f"use {self.wanted}") from None
        return name


def _hint(word: str, known: tuple[str, ...] | set[str]) -> str:
    close = nearest(word, known)
    return f'; did you mean "{close}"?' if close else ""


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(f'"{word}"' for word in words)
