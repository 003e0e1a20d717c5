"""The kinds of value that name things on the host: users and the like, and files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, cast

from tidegate.config.keys import Kind, refuse
from tidegate.config.problems import shown


@dataclass(frozen=True, slots=True)
class Names(Kind[tuple[str, ...]]):
    """An array of names, possibly empty, each of which ``pattern`` matches as a whole; ``words`` say the same."""

    pattern: re.Pattern[str]
    words: str

    @property
    def wanted(self) -> str:
        """In words."""
        return f"an array of {self.words}"

    def fits(self, value: object) -> bool:
        """An array of strings."""
        return isinstance(value, list) and all(isinstance(name, str) for name in cast(list[object], value))

    def read(self, value: object) -> tuple[str, ...]:
        """Names that match."""
        names = cast(list[str], value)
        for name in names:
            if not self.pattern.fullmatch(name):
                raise refuse(f"{shown(name)} cannot be used", f"use {self.wanted}")
        return tuple(names)

    def plain(self, setting: object) -> object:
        """As an array."""
        return list(cast(tuple[str, ...], setting))


@dataclass(frozen=True, slots=True)
class AbsoluteFile(Kind[str]):
    """The path of a file, from the root and with no way back."""

    empty_is_default: ClassVar[bool] = True

    @property
    def wanted(self) -> str:
        """In words."""
        return "an absolute path without . and .. in it"

    def fits(self, value: object) -> bool:
        """Only a string."""
        return isinstance(value, str)

    def read(self, value: object) -> str:
        """A path from the root."""
        path = cast(str, value)
        first, *rest = path.split("/")
        if first or not rest or {"", ".", ".."} & set(rest) or not path.isprintable():
            raise refuse(f"{shown(path)} cannot be used", f"use {self.wanted}")
        return path
