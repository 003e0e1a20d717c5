"""Kinds of values for health checks: HTTP statuses, URLs without variables, and commands."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import cast

from tidegate.config.keys import Kind, faulty
from tidegate.config.kinds.base import StringArrayKind, StringKind
from tidegate.config.kinds.names import AbsoluteFile
from tidegate.config.problems import shown
from tidegate.config.urls import why_bad
from tidegate.printable import without_password

MAX_ARGUMENTS = 256
MAX_ARGUMENT_BYTES = 16 * 1024
"""Far below the limit of Linux (128 KiB for each): a script belongs into a file."""

_RANGE = re.compile(r"([1-5][0-9]{2})(?:\.\.([1-5][0-9]{2}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Statuses:
    """HTTP statuses from ``low`` to ``high``, both included."""

    low: int
    high: int

    def __contains__(self, status: int) -> bool:
        return self.low <= status <= self.high

    def __str__(self) -> str:
        return str(self.low) if self.low == self.high else f"{self.low}..{self.high}"


@dataclass(frozen=True, slots=True)
class StatusRange(Kind[Statuses]):
    """One status, or a range of them."""

    @property
    def wanted(self) -> str:
        """A description of valid values, for error messages."""
        return 'a status such as 200, or a range such as "200..399"'

    def fits(self, value: object) -> bool:
        """Whether it is an integer or a string."""
        return isinstance(value, (int, str)) and not isinstance(value, bool)

    def read(self, value: object) -> Statuses:
        """A status from 100 to 599, or a range with the lower one first."""
        found = _RANGE.fullmatch(str(value)) if not isinstance(value, int) or 0 < value < 1000 else None
        if found is None or int(found[1]) > int(found[2] or found[1]):
            raise faulty(f"{shown(value)} is neither a status nor a range", f"use {self.wanted}")
        return Statuses(int(found[1]), int(found[2] or found[1]))

    def plain(self, setting: object) -> object:
        """An integer for a single status, otherwise the range as text."""
        statuses = cast(Statuses, setting)
        return statuses.low if statuses.low == statuses.high else str(statuses)


@dataclass(frozen=True, slots=True)
class PlainUrl(StringKind[str]):
    """A URL without variables."""

    schemes: tuple[str, ...]

    @property
    def wanted(self) -> str:
        """The accepted schemes."""
        return f"a URL ({' or '.join(f'{scheme}://' for scheme in self.schemes)}) without variables"

    def read(self, value: object) -> str:
        """The URL, unchanged."""
        url = cast(str, value)
        why = "variables are not replaced here" if "${" in url else why_bad(url, self.schemes)
        if why:
            raise faulty(f"{shown(without_password(url))} cannot be used: {why}", f"use {self.wanted}")
        return url


@dataclass(frozen=True, slots=True)
class Argv(StringArrayKind[tuple[str, ...]]):
    """A program by its absolute path, and its arguments."""

    @property
    def wanted(self) -> str:
        """A description of valid values, for error messages."""
        return 'an array of strings, a program by its absolute path first: ["/usr/bin/test", "-e", "/run/ready"]'

    def read(self, value: object) -> tuple[str, ...]:
        """The arguments, unchanged; the first is the path."""
        argv = tuple(cast(list[str], value))
        if not argv:
            raise faulty("the array is empty", f"use {self.wanted}")
        AbsoluteFile().read(argv[0])
        if len(argv) > MAX_ARGUMENTS:
            raise faulty(f"{len(argv)} arguments are too many", f"use at most {MAX_ARGUMENTS}, or a script")
        for argument in argv:
            if "\0" in argument or len(argument.encode()) > MAX_ARGUMENT_BYTES:
                why = f"use arguments of at most {MAX_ARGUMENT_BYTES} bytes without NUL, or a script"
                raise faulty(f"{shown(argument)} cannot be an argument", why)
        return argv

    def plain(self, setting: object) -> object:
        """The setting as an array."""
        return list(cast(tuple[str, ...], setting))
