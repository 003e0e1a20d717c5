"""Write the reference of configuration keys for a manual page."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from tidegate.config.keys import Key, Section, keys_of
from tidegate.config.show import toml_value


def reference(settings: type[Section]) -> str:
    """Every table and key of ``settings`` in Markdown; keys outside of any table come without a title."""
    tables = groupby(keys_of(settings), key=lambda key: key.table)
    return "\n".join(line for table, keys in tables for line in (*_title(table), *_rows(keys)))


def _title(table: str) -> tuple[str, ...]:
    return (f"## [{table}]", "") if table else ()


def _rows(keys: Iterator[Key]) -> Iterator[str]:
    for key in keys:
        yield f"**{key.path[-1]}**"
        yield f": {key.doc}"
        yield f"  Takes {key.kind.wanted}. {_default(key)}"
        yield ""
        if key.kind.properties:
            yield from map(_property, key.kind.properties)
            yield ""


def _property(one: Key) -> str:
    """The list item for one key of an array of tables."""
    return f"  - `{one.dotted}`: {one.doc} Takes {one.kind.wanted}. {_default(one)}"


def _default(key: Key) -> str:
    if key.required:
        return "Required."
    if key.default is None:
        return "Not set by default."
    return f"Default: `{toml_value(key.kind.plain(key.default))}`."
