"""Merge the fragments of all snippets into one.

:func:`combine` is associative and has the neutral element :data:`EMPTY`, so it does not matter how a merge is grouped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from types import MappingProxyType

from tidegate.config.layers import Source
from tidegate.config.problems import Path


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value was set: a snippet, and the path in it."""

    source: Source
    path: Path

    @property
    def line(self) -> int | None:
        """The line, counted from 1; None where it is not known. The first use scans the snippet."""
        return self.source.index.line(self.path)

    def __str__(self) -> str:
        return f"{self.source.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Given:
    """A value as it was written: of the right type, and not checked any further."""

    value: object
    origin: Origin


@dataclass(frozen=True, slots=True)
class Fragment:
    """The values of one snippet, or of several merged ones, by dotted key.

    ``single`` has the keys of which the last value wins, and ``added`` the keys whose entries accumulate. ``replaced``
    are those of the latter whose entries replace all earlier ones.
    """

    single: Mapping[str, Given]
    added: Mapping[str, tuple[Given, ...]]
    replaced: frozenset[str] = frozenset()


EMPTY = Fragment(MappingProxyType({}), MappingProxyType({}))


def combine(earlier: Fragment, later: Fragment) -> Fragment:
    """Merge two fragments; of single values, those of ``later`` win."""
    added = {key: given for key, given in earlier.added.items() if key not in later.replaced}
    for key, given in later.added.items():
        added[key] = (*added.get(key, ()), *given)
    return Fragment({**earlier.single, **later.single}, added, earlier.replaced | later.replaced)


def merge(fragments: Iterable[Fragment]) -> Fragment:
    """Merge all fragments, the earliest first."""
    return reduce(combine, fragments, EMPTY)
