"""Map a dataclass to a JSON object by a table of its fields."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, replace
from datetime import datetime
from typing import Any, ClassVar, Generic, Protocol, TypeVar, cast

from tidegate.clock import rfc3339
from tidegate.jsonread import Node

EXTRA = "extra"
"""The field of a dataclass that keeps the unknown fields of its object."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How the value of a field is read from a key, and as which JSON value it is written.

    ``nullable``: null stands for the field's default, as a missing key does. ``table``: of the object at the key.
    ``inline``: of an object that has no key, since its keys are keys of the enclosing object.
    """

    read: Callable[[Node, str], Any]
    write: Callable[[Any], object]
    nullable: bool = False
    table: Table[Any] | None = None
    inline: Table[Any] | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One field of a record type.

    ``name`` is given where the key is not named as the field is. ``required``: the key may not be missing, although the
    field has a default.
    """

    field: str
    kind: Kind
    name: str | None = None
    required: bool = False

    @property
    def key(self) -> str:
        """The key in the JSON object."""
        return self.name or self.field

    def is_set(self, node: Node) -> bool:
        """Whether ``node`` has a value for the field, rather than leaving it to the default."""
        value = node.fields.get(self.key)
        return value is not None or (self.key in node.fields and not self.kind.nullable)


class Record(Protocol):
    """A dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


R = TypeVar("R", bound=Record)


class Table(Generic[R]):
    """The JSON object of one record type.

    A field may be missing in JSON if it has a default in the dataclass. Unknown fields are kept in the field ``extra``
    of the dataclass; where it has none, the enclosing record keeps them under the object's key. ``omitted`` names the
    fields of the dataclass that are not in the object.
    """

    def __init__(self, record: type[R], *rows: Row, omitted: Collection[str] = ()) -> None:
        declared = fields(record)
        self.record, self.rows, self.omitted = record, rows, frozenset(omitted)
        self.keeps_unknown = EXTRA in {field.name for field in declared}
        without_default = {
            field.name for field in declared if field.default is MISSING and field.default_factory is MISSING
        }
        self._required = {row for row in rows if row.required or row.kind.inline or row.field in without_default}

    def keyed_rows(self) -> Iterator[Row]:
        """The rows that have a key, those of inline objects among them."""
        for row in self.rows:
            if row.kind.inline is None:
                yield row
            else:
                yield from row.kind.inline.keyed_rows()

    def encode(self, record: R) -> dict[str, object]:
        """The record as JSON values, with its unknown fields."""
        known: dict[str, object] = {}
        for row in self.rows:
            written = row.kind.write(getattr(record, row.field))
            known |= {row.key: written} if row.kind.inline is None else cast(dict[str, object], written)
        return _merged(known, getattr(record, EXTRA, {}))

    def decode(self, node: Node) -> R:
        """The inverse of :meth:`encode`.

        Raises:
            ShapeError: a required key is missing, or a value has the wrong type; the text names the place.
        """
        present = (row for row in self.rows if row in self._required or row.is_set(node))
        values = {row.field: row.kind.read(node, row.key) for row in present}
        return self.record(**values, **({EXTRA: self.unknown(node)} if self.keeps_unknown else {}))

    def unknown(self, node: Node) -> dict[str, object]:
        """The fields that are in no table, with those of nested objects that cannot keep them themselves."""
        rows = list(self.keyed_rows())
        unknown = node.beyond({row.key for row in rows})
        for row in rows:
            table = None if node.fields.get(row.key) is None else row.kind.table
            added = {} if table is None or table.keeps_unknown else table.unknown(node.child(row.key))
            if added:
                unknown[row.key] = added
        return unknown


def _merged(known: Mapping[str, object], unknown: Mapping[str, object]) -> dict[str, object]:
    """Both at every level; a known field wins."""
    whole = {**unknown, **known}
    for key in known.keys() & unknown.keys():
        inner, added = known[key], unknown[key]
        if isinstance(inner, dict) and isinstance(added, dict):
            whole[key] = _merged(cast(dict[str, object], inner), cast(dict[str, object], added))
    return whole


def _as_is(value: object) -> object:
    return value


def _read_instants(node: Node, key: str) -> dict[str, datetime]:
    child = node.child(key)
    return {name: child.instant(name) for name in child.fields}


def _write_instants(instants: Mapping[str, datetime]) -> dict[str, str]:
    return {name: rfc3339(instant) for name, instant in instants.items()}


TEXT = Kind(Node.text, _as_is)
"""A string. Words of an enumeration are strings, too: a newer agent may have words that this one has not."""

INTEGER = Kind(Node.integer, _as_is)
NUMBER = Kind(Node.number, _as_is)
FLAG = Kind(Node.flag, _as_is)
INSTANT = Kind(Node.instant, rfc3339)
TEXTS = Kind(Node.texts, list)
INSTANTS = Kind(_read_instants, _write_instants)
"""Instants by name."""


def nested(table: Table[Any]) -> Kind:
    """An object."""
    return Kind(lambda node, key: table.decode(node.child(key)), table.encode, table=table)


def inline(table: Table[Any]) -> Kind:
    """An object whose keys are keys of the enclosing object."""
    return Kind(lambda node, _: table.decode(node), table.encode, inline=table)


def array(table: Table[Any]) -> Kind:
    """An array of objects; each keeps its unknown fields itself.

    Raises:
        TypeError: the objects have no field for them.
    """
    if not table.keeps_unknown:
        raise TypeError(f"{table.record.__name__} has no field {EXTRA!r}")
    return Kind(
        lambda node, key: tuple(map(table.decode, node.children(key))), lambda records: list(map(table.encode, records))
    )


def nullable(kind: Kind) -> Kind:
    """``kind``, or null for the field's default."""

    def write(value: object) -> object:
        return None if value is None else kind.write(value)

    return replace(kind, write=write, nullable=True)
