"""How a dataclass field becomes a configuration key.

:mod:`tidegate.config.settings` is the one table of keys: each field there names its default, its kind and its
documentation. Parsing, defaults, errors, ``config show`` and the reference all walk that table; adding a key is adding
a line to it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, ClassVar, Generic, Protocol, TypeVar, cast

from tidegate.config.problems import Fault, FaultyValueError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Kind(ABC, Generic[T_co]):
    """What values a key takes."""

    __slots__ = ()

    adds_up: ClassVar[bool] = False
    """Whether this is an array whose entries of all snippets add up, rather than the last snippet winning."""

    empty_is_default: ClassVar[bool] = False
    """Whether an empty string means the same as not setting the key, as it does in Zincati."""

    acts_in_its_snippet: ClassVar[bool] = False
    """Whether the value does something where it stands, so that it must be right even where a later one wins."""

    distinct_by: ClassVar[str | None] = None
    """Of a kind that adds up: the property that no two entries may share, whatever snippets they are in."""

    @property
    def properties(self) -> tuple[Key, ...]:
        """Of an array of tables: what each of them may say, where that is described as keys are."""
        return ()

    @property
    @abstractmethod
    def wanted(self) -> str:
        """The values in words, after "use": ``a whole number from 1 to 60``."""

    @abstractmethod
    def fits(self, value: object) -> bool:
        """Whether the TOML type is right. Asked of every snippet, even where a later one wins."""

    @abstractmethod
    def read(self, value: object) -> T_co:
        """The setting that a fitting value stands for; of a kind that adds up, that of one entry as a tuple.

        Raises:
            FaultyValueError: with every reason why the value cannot be used.
        """

    def plain(self, setting: object) -> object:
        """The inverse of :meth:`read`: what one would write in TOML."""
        return setting


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """One line of the table, as it hangs on a dataclass field."""

    kind: Kind[T]
    doc: str
    name: str | None
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """A configuration key.

    ``path`` leads to it in TOML; ``default`` is what holds where no snippet sets it. ``alias`` is another name for the
    last part of the path, which is read and never shown.
    """

    path: tuple[str, ...]
    kind: Kind[object]
    default: object
    doc: str
    alias: str | None = None

    @property
    def needed(self) -> bool:
        """Whether there is no default, as some properties of tables in an array have none."""
        return self.default is MISSING

    @property
    def dotted(self) -> str:
        """``updates.periodic.time_zone``."""
        return ".".join(self.path)

    @property
    def table(self) -> str:
        """The TOML table that holds the key."""
        return ".".join(self.path[:-1])

    def read(self, value: object) -> object:
        """The setting that one entry or value stands for, the default for an empty string where that is meant.

        Raises:
            FaultyValueError: with every reason why the value cannot be used.
        """
        if value == "" and self.kind.empty_is_default and not self.needed:
            return self.default
        return self.kind.read(value)


class Section(Protocol):
    """A dataclass of keys and further sections."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


S = TypeVar("S", bound=Section)

_ENTRY = "tidegate-key"
_TABLE = "tidegate-table"


def key(default: T, kind: Kind[T], doc: str, *, name: str | None = None, alias: str | None = None) -> T:
    """Declare a key; ``name`` is given where TOML's name is not the field's, ``alias`` where there is another one."""
    return field(default=default, metadata={_ENTRY: Entry(kind, doc, name, alias)})


def needed(kind: Kind[T], doc: str) -> T:
    """Declare a property that has no default: each table in the array has to say it."""
    return cast(T, field(metadata={_ENTRY: Entry(kind, doc, None)}))


def in_table(name: str) -> Mapping[str, str]:
    """The metadata of a field that holds further keys: those of the TOML table ``name``."""
    return {_TABLE: name}


def keys_of(cls: type[Section], table: str = "") -> Iterator[Key]:
    """Every key below ``cls``, in the order of declaration."""
    for one in fields(cls):
        if _TABLE in one.metadata:
            yield from keys_of(cast(type[Section], one.default_factory), one.metadata[_TABLE])
        else:
            yield _key(one, table)


def build(cls: type[S], settings: Mapping[str, object], table: str = "") -> S:
    """An instance of ``cls`` from settings by dotted key, defaults where there is none."""
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


def refuse(message: str, remedy: str) -> FaultyValueError:
    """The commonest refusal: one fault, of the value itself."""
    return FaultyValueError(Fault(message, remedy))


def _key(one: Field[Any], table: str) -> Key:
    entry = cast(Entry[object], one.metadata[_ENTRY])
    path = (*(part for part in table.split(".") if part), entry.name or one.name)
    return Key(path, entry.kind, one.default, entry.doc, entry.alias)
