"""The kind of the key ``[[group]]``: an array of tables; the entries of all snippets add up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from tidegate.config.keys import Kind
from tidegate.config.kinds.base import TableArrayKind
from tidegate.config.kinds.scalar import Integer, Text
from tidegate.config.problems import Fault, FaultyValueError, nearest
from tidegate.coordinator.model import Rules
from tidegate.fleetlock.protocol import GROUP_PATTERN

MAX_SLOTS = 100_000
"""More holders do not fit into one request of etcd (1.5 MiB), whatever the configuration allows."""

MIN_TTL_SECS = 60
MAX_TTL_SECS = 366 * 24 * 3600
MAX_DELAY_SECS = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Group:
    """A configured group."""

    name: str
    rules: Rules


@dataclass(frozen=True, slots=True)
class Groups(TableArrayKind[tuple[Group, ...]]):
    """``[[group]]``; each entry is checked and read on its own."""

    @property
    def wanted(self) -> str:
        """The accepted form."""
        return "an array of tables with `name` and `slots`"

    def read(self, value: object) -> tuple[Group, ...]:
        """Read one entry, as a tuple of one.

        Raises:
            FaultyValueError: with every problem of the entry.
        """
        table = cast(dict[str, object], value)
        faults = [*_faults(table)]
        if faults:
            raise FaultyValueError(*faults)
        numbers = {name: cast(int, table[name]) for name in _NUMBERS if name in table}
        return (Group(cast(str, table["name"]), Rules(**numbers)),)

    def plain(self, setting: object) -> object:
        """The groups as tables, without keys that have their default."""
        return [_plain(group) for group in cast(tuple[Group, ...], setting)]


_NAME = Text(GROUP_PATTERN, "letters, digits, dots and dashes")
_NUMBERS: Mapping[str, Integer] = {
    "slots": Integer(0, MAX_SLOTS),
    "lock_ttl_secs": Integer(MIN_TTL_SECS, MAX_TTL_SECS),
    "release_delay_secs": Integer(0, MAX_DELAY_SECS),
    "min_gap_secs": Integer(0, MAX_DELAY_SECS),
}
_KINDS: Mapping[str, Kind[object]] = {"name": _NAME, **_NUMBERS}
_NEEDED = ("name", "slots")


def _faults(table: Mapping[str, object]) -> Iterator[Fault]:
    for name in _NEEDED:
        if name not in table:
            yield Fault(f"the group has no `{name}`", f"add it: {_KINDS[name].wanted}")
    for name, value in table.items():
        yield from _value_faults(name, value)


def _value_faults(name: str, value: object) -> tuple[Fault, ...]:
    kind = _KINDS.get(name)
    if kind is None:
        close = nearest(name, _KINDS)
        hint = f"; did you mean `{close}`?" if close else ""
        return (Fault(f"unknown key{hint}", f"a group has {', '.join(_KINDS)} only", (name,)),)
    if not kind.fits(value):
        return (Fault("the wrong type", f"use {kind.wanted}", (name,)),)
    try:
        kind.read(value)
    except FaultyValueError as error:
        return tuple(Fault(fault.message, fault.remedy, (name,)) for fault in error.faults)
    return ()


def _plain(group: Group) -> Mapping[str, object]:
    default = Rules(slots=-1)
    numbers = {name: getattr(group.rules, name) for name in _NUMBERS}
    return {"name": group.name} | {k: v for k, v in numbers.items() if v != getattr(default, k)}
