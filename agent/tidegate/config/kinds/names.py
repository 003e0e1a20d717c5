"""Kinds of values that refer to objects of the host: names, such as users and units, and file paths."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, cast

from tidegate.config.keys import faulty
from tidegate.config.kinds.base import StringArrayKind, StringKind
from tidegate.config.problems import shown


@dataclass(frozen=True, slots=True)
class Names(StringArrayKind[tuple[str, ...]]):
    """An array of names, possibly empty, that fully match ``pattern``. ``words`` describe them in the plural."""

    pattern: re.Pattern[str]
    words: str

    @property
    def wanted(self) -> str:
        """A description of valid values, for error messages."""
        return f"an array of {self.words}"

    def read(self, value: object) -> tuple[str, ...]:
        """The names, unchanged."""
        names = cast(list[str], value)
        for name in names:
            if not self.pattern.fullmatch(name):
                raise faulty(f"{shown(name)} cannot be used", f"use {self.wanted}")
        return tuple(names)

    def plain(self, setting: object) -> object:
        """The setting as an array."""
        return list(cast(tuple[str, ...], setting))


@dataclass(frozen=True, slots=True)
class AbsoluteFile(StringKind[str]):
    """An absolute path without ``.`` and ``..``."""

    empty_is_default: ClassVar[bool] = True

    @property
    def wanted(self) -> str:
        """A description of valid values, for error messages."""
        return "an absolute path without . and .. in it"

    def read(self, value: object) -> str:
        """The path, unchanged."""
        path = cast(str, value)
        first, *rest = path.split("/")
        if first or not rest or {"", ".", ".."} & set(rest) or not path.isprintable():
            raise faulty(f"{shown(path)} cannot be used", f"use {self.wanted}")
        return path
