"""Format settings as TOML or JSON, each with its origin."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import groupby, zip_longest
from typing import cast

from tidegate.config.keys import Key, Section, values_of
from tidegate.config.merge import Origin
from tidegate.printable import without_password

DEFAULT = "default"

Origins = Mapping[str, tuple[Origin, ...]]


def as_json(settings: Section, origins: Origins) -> dict[str, object]:
    """By dotted key: ``value``, ``origin`` (the last one) and, where entries accumulate, ``origins`` (one each)."""
    return {key.dotted: _json_row(key, setting, origins.get(key.dotted, ())) for key, setting in values_of(settings)}


def as_toml(settings: Section, origins: Origins | None) -> str:
    """A snippet with exactly these settings; with origins as comments, unless those are None."""
    tables = groupby(values_of(settings), key=lambda row: row[0].table)
    return "\n".join(_header(table) + "\n".join(_toml_rows(rows, origins)) + "\n" for table, rows in tables)


def toml_value(value: object) -> str:
    """``value`` as TOML on one line."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case list():
            return f"[{', '.join(toml_value(one) for one in cast(list[object], value))}]"
        case dict():
            pairs = cast(dict[str, object], value).items()
            return f"{{ {', '.join(f'{name} = {toml_value(one)}' for name, one in pairs)} }}"
        case _:
            return str(value)


def _json_row(key: Key, setting: object, origins: tuple[Origin, ...]) -> dict[str, object]:
    row: dict[str, object] = {"value": None if setting is None else _public(key.kind.plain(setting))}
    row["origin"] = str(origins[-1]) if origins else DEFAULT
    return row | ({"origins": [str(one) for one in origins]} if key.kind.accumulates else {})


def _header(table: str) -> str:
    return f"[{table}]\n" if table else ""


def _toml_rows(rows: Iterator[tuple[Key, object]], origins: Origins | None) -> Iterator[str]:
    for key, setting in rows:
        found = None if origins is None else origins.get(key.dotted, ())
        if setting is None:
            yield f"# {key.path[-1]} is not set"
        elif key.kind.accumulates and setting:
            yield from _toml_array(key, cast(list[object], key.kind.plain(setting)), found)
        else:
            yield f"{key.path[-1]} = {toml_value(_public(key.kind.plain(setting)))}{_comment(found)}"


def _toml_array(key: Key, entries: list[object], origins: tuple[Origin, ...] | None) -> Iterator[str]:
    yield f"{key.path[-1]} = ["
    for entry, origin in zip_longest(entries, origins or ()):
        yield f"  {toml_value(_public(entry))},{_comment((origin,)) if origin else ''}"
    yield "]"


def _public(plain: object) -> object:
    """``plain`` with its URLs' passwords masked, since the output goes to screens and bug reports."""
    match plain:
        case str():
            return without_password(plain)
        case list():
            return [_public(one) for one in cast(list[object], plain)]
        case dict():
            return {name: _public(one) for name, one in cast(dict[str, object], plain).items()}
        case _:
            return plain


def _comment(origins: tuple[Origin, ...] | None) -> str:
    if origins is None:
        return ""
    return f"  # {origins[-1] if origins else DEFAULT}"
