"""Kind of an array of tables whose keys are declared by a dataclass, as those of a section are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Generic, cast

from tidegate.config.keys import Key, S, Section, build, keys_of, values_of
from tidegate.config.kinds.base import TableArrayKind, unknown_keys
from tidegate.config.problems import Fault, FaultyValueError, described


def _no_faults(_one: object) -> Iterable[Fault]:
    return ()


@dataclass(frozen=True)  # with slots, Python 3.11 fails on a generic dataclass whose base has slots
class Tables(TableArrayKind[tuple[S, ...]], Generic[S]):
    """``[[an.array]]``: an array of tables, each read as a ``row``, with names that are unique over all snippets.

    ``faults`` finds the conflicts between keys of one table that are valid one by one.
    """

    row: type[S]
    faults: Callable[[S], Iterable[Fault]] = _no_faults
    unique_property: ClassVar[str | None] = "name"

    @property
    def properties(self) -> tuple[Key, ...]:
        """The keys of each table."""
        return tuple(keys_of(self.row))

    @property
    def wanted(self) -> str:
        """A description of valid values, for error messages."""
        *others, last = [f"`{key.dotted}`" for key in self.properties if key.required]
        return (
            f"an array of tables with {', '.join(others)} and {last}" if others else f"an array of tables with {last}"
        )

    def read(self, value: object) -> tuple[S, ...]:
        """The row of one table, as a tuple of one."""
        table = cast(Mapping[str, object], value)
        faults = list(unknown_keys(table, [key.dotted for key in self.properties]))
        properties: dict[str, object] = {}
        for key in self.properties:
            try:
                properties[key.dotted] = _read(key, table)
            except FaultyValueError as error:
                faults += error.faults
        if faults:
            raise FaultyValueError(*faults)
        one = build(self.row, properties)
        if found := tuple(self.faults(one)):
            raise FaultyValueError(*found)
        return (one,)

    def plain(self, setting: object) -> object:
        """The tables, without the keys that are None."""
        return [_plain(one) for one in cast(tuple[S, ...], setting)]


def _plain(one: Section) -> dict[str, object]:
    values = ((key, value) for key, value in values_of(one) if value is not None)
    return {key.dotted: key.kind.plain(value) for key, value in values}


def _read(key: Key, table: Mapping[str, object]) -> object:
    name = key.dotted
    if name not in table:
        if key.required:
            raise FaultyValueError(Fault(f"there is no `{name}`", f"add it: {key.kind.wanted}"))
        return key.default
    value = table[name]
    if not key.kind.fits(value):
        raise FaultyValueError(Fault(f"{described(value)}, the wrong type", f"use {key.kind.wanted}", (name,)))
    try:
        return key.read(value)
    except FaultyValueError as error:
        raise FaultyValueError(*(replace(fault, at=(name, *fault.at)) for fault in error.faults)) from None
