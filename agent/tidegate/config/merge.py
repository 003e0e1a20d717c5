"""Many fragments, one configuration.

:func:`combine` is associative and :data:`NOTHING` is its unit, so it does not matter how a merge is grouped.
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
    """Where a value was written."""

    source: Source
    path: Path

    @property
    def line(self) -> int | None:
        """The line, from 1; looking the first one up scans the snippet."""
        return self.source.index.line(self.path)

    def __str__(self) -> str:
        return f"{self.source.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Given:
    """A value as it was written, of the right type and not looked at further yet."""

    value: object
    origin: Origin


@dataclass(frozen=True, slots=True)
class Fragment:
    """What one snippet, or several merged, give.

    ``single``: keys of which the last value wins. ``added``: keys whose entries add up. ``fresh``: those of the latter
    that drop what came before.
    """

    single: Mapping[str, Given]
    added: Mapping[str, tuple[Given, ...]]
    fresh: frozenset[str] = frozenset()


NOTHING = Fragment(MappingProxyType({}), MappingProxyType({}))


def combine(earlier: Fragment, later: Fragment) -> Fragment:
    """``later`` on top of ``earlier``."""
    added = {key: given for key, given in earlier.added.items() if key not in later.fresh}
    for key, given in later.added.items():
        added[key] = (*added.get(key, ()), *given)
    return Fragment({**earlier.single, **later.single}, added, earlier.fresh | later.fresh)


def merge(fragments: Iterable[Fragment]) -> Fragment:
    """All fragments, in order."""
    return reduce(combine, fragments, NOTHING)
