"""Declare configuration keys as dataclass fields.

Each field has a default, a kind and its documentation. Parsing, defaults, errors,
``config show`` and the reference are derived from those fields, so that a new key is one more field.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, make_dataclass, replace
from typing import Any, ClassVar, Generic, Protocol, TypeVar, cast

from tidegate.config.problems import Fault, FaultyValueError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Kind(ABC, Generic[T_co]):
    """The set of values that a key takes: how they are checked, read and written."""

    __slots__ = ()

    accumulates: ClassVar[bool] = False
    """Whether this is an array whose entries accumulate over all snippets; otherwise the last snippet wins."""

    empty_is_default: ClassVar[bool] = False
    """Whether an empty string means the same as not setting the key, as it does in Zincati."""

    checked_early: ClassVar[bool] = False
    """Whether the value is read in every snippet, since it takes effect even where a later one overrides it."""

    unique_property: ClassVar[str | None] = None
    """Of a kind that accumulates: the property whose values must be unique among the entries of all snippets."""

    @property
    def properties(self) -> tuple[Key, ...]:
        """Of an array of tables: the keys that each table takes, where those are declared as keys."""
        return ()

    @property
    @abstractmethod
    def wanted(self) -> str:
        """A description of the values that completes the sentence "use ...": ``an integer from 1 to 60``."""

    @abstractmethod
    def fits(self, value: object) -> bool:
        """Whether ``value`` has the right TOML type. Checked in every snippet, even where a later one wins."""

    @abstractmethod
    def read(self, value: object) -> T_co:
        """The setting for a value that :meth:`fits`; of a kind that accumulates, that of one entry, as a tuple.

        Raises:
            FaultyValueError: the value cannot be used; it has every reason.
        """

    def plain(self, setting: object) -> object:
        """The inverse of :meth:`read`: the TOML value for a setting."""
        return setting


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """The declaration of a key, in the metadata of a dataclass field."""

    kind: Kind[T]
    doc: str
    name: str | None
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """A configuration key.

    ``path`` is its path in TOML, and ``default`` its setting where no snippet sets it. ``alias`` is another name for
    the last part of the path, accepted on input only.
    """

    path: tuple[str, ...]
    kind: Kind[object]
    default: object
    doc: str
    alias: str | None = None

    @property
    def required(self) -> bool:
        """Whether there is no default, as for some keys of tables in an array."""
        return self.default is MISSING

    @property
    def dotted(self) -> str:
        """The path as one string, such as ``updates.periodic.time_zone``."""
        return ".".join(self.path)

    @property
    def table(self) -> str:
        """The TOML table that holds the key."""
        return ".".join(self.path[:-1])

    def read(self, value: object) -> object:
        """The setting for one value or entry: as of :meth:`Kind.read`, or the default for an empty string.

        Raises:
            FaultyValueError: the value cannot be used; it has every reason.
        """
        if value == "" and self.kind.empty_is_default and not self.required:
            return self.default
        return self.kind.read(value)


class Section(Protocol):
    """A dataclass of keys and further sections."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


S = TypeVar("S", bound=Section)

_ENTRY = "tidegate-key"
_TABLE = "tidegate-table"


def key(default: T, kind: Kind[T], doc: str, *, name: str | None = None, alias: str | None = None) -> T:
    """Declare a key. ``name`` is its name in TOML, unless that is the field's; ``alias`` is a second name for it."""
    return field(default=default, metadata={_ENTRY: Entry(kind, doc, name, alias)})


def required(kind: Kind[T], doc: str) -> T:
    """Declare a key without a default, which every table of an array has to set."""
    return cast(T, field(metadata={_ENTRY: Entry(kind, doc, None)}))


def in_table(name: str) -> Mapping[str, str]:
    """Metadata for a field whose dataclass declares the keys of the TOML table ``name``."""
    return {_TABLE: name}


def assembled(name: str, tables: Mapping[str, type[Section]]) -> type[Section]:
    """A dataclass ``name`` with one field for each of ``tables``: the section that declares the keys of that table.

    It is for sections that are found at run time, such as those of the gates; :func:`section_of` reads one.
    """
    declared = [
        (table.replace(".", "_"), section, field(default_factory=section, metadata=in_table(table)))
        for table, section in tables.items()
    ]
    return cast(type[Section], make_dataclass(name, declared, frozen=True, slots=True))


def section_of(cls: type[S], *owners: Section) -> S:
    """The section of the class ``cls`` in one of several dataclasses of :func:`assembled`.

    Raises:
        KeyError: none of them has such a section.
    """
    for owner in owners:
        for one in fields(owner):
            if isinstance(found := getattr(owner, one.name), cls):
                return found
    raise KeyError(cls.__name__)


def having(sections: S, *given: Section) -> S:
    """A copy of a dataclass of :func:`assembled` with ``given``, each in the place of the section of its class."""
    changed = {
        one.name: new for one in fields(sections) for new in given if type(getattr(sections, one.name)) is type(new)
    }
    return replace(sections, **changed)


def keys_of(cls: type[Section], table: str = "") -> Iterator[Key]:
    """Every key that ``cls`` declares, sections included, in the order of declaration."""
    for one in fields(cls):
        if _TABLE in one.metadata:
            yield from keys_of(cast(type[Section], one.default_factory), one.metadata[_TABLE])
        else:
            yield _key(one, table)


def build(cls: type[S], settings: Mapping[str, object], table: str = "") -> S:
    """An instance of ``cls`` with ``settings`` by dotted key, and defaults for all other keys."""
    values: dict[str, object] = {}
    for one in fields(cls):
        if _TABLE in one.metadata:
            inner = cast(type[Section], one.default_factory)
            values[one.name] = build(inner, settings, one.metadata[_TABLE])
        else:
            found = _key(one, table)
            values[one.name] = settings.get(found.dotted, found.default)
    return cls(**values)


def values_of(instance: Section, table: str = "") -> Iterator[tuple[Key, object]]:
    """Every key with its setting in ``instance``."""
    for one in fields(instance):
        value = getattr(instance, one.name)
        if _TABLE in one.metadata:
            yield from values_of(value, one.metadata[_TABLE])
        else:
            yield _key(one, table), value


def faulty(message: str, remedy: str) -> FaultyValueError:
    """The exception for one fault that concerns the value as a whole, to be raised by a kind."""
    return FaultyValueError(Fault(message, remedy))


def _key(one: Field[Any], table: str) -> Key:
    entry = cast(Entry[object], one.metadata[_ENTRY])
    path = (*(part for part in table.split(".") if part), entry.name or one.name)
    return Key(path, entry.kind, one.default, entry.doc, entry.alias)
