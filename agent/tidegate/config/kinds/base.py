"""Base classes of kinds, by the TOML type of their values."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from typing import ClassVar, cast

from tidegate.config.keys import Kind, T_co
from tidegate.config.problems import Fault, nearest

_MAX_UNKNOWN_KEYS = 10
"""That are reported for one table."""


class StringKind(Kind[T_co]):
    """A kind whose values are strings."""

    __slots__ = ()

    def fits(self, value: object) -> bool:
        """Whether it is a string."""
        return isinstance(value, str)


class StringArrayKind(Kind[T_co]):
    """A kind whose values are arrays of strings."""

    __slots__ = ()

    def fits(self, value: object) -> bool:
        """Whether it is an array of strings."""
        return is_array_of(str, value)


class TableArrayKind(Kind[T_co]):
    """A kind whose values are arrays of tables, which accumulate and are read one at a time."""

    __slots__ = ()
    accumulates: ClassVar[bool] = True

    def fits(self, value: object) -> bool:
        """Whether it is an array of tables."""
        return is_array_of(dict, value)


def is_array_of(element: type, value: object) -> bool:
    """Whether ``value`` is an array, possibly empty, whose elements are all of the type ``element``."""
    return isinstance(value, list) and all(isinstance(one, element) for one in cast(list[object], value))


def unknown_keys(table: Mapping[str, object], known: Collection[str]) -> Iterator[Fault]:
    """A fault for each key of ``table`` that is not ``known``, with the one that was probably meant."""
    for name in islice((name for name in table if name not in known), _MAX_UNKNOWN_KEYS):
        close = nearest(name, known)
        meant = f"; did you mean `{close}`?" if close else ""
        yield Fault(f"unknown key{meant}", f"correct or remove it; there are {', '.join(known)}", (name,))
