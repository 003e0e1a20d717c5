"""Parse one snippet into a fragment: its values by key, and its problems."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Union, cast

import tomli

from tidegate.config.keys import Key
from tidegate.config.layers import Source
from tidegate.config.merge import EMPTY, Fragment, Given, Origin
from tidegate.config.problems import Fault, FaultyValueError, Path, Problem, described, dotted, nearest

MAX_PROBLEMS_PER_SNIPPET = 50
"""A file that is not meant as a snippet has a problem on each line; more of them say nothing new."""

MERGE_SUFFIX = "_merge"
REPLACE = "replace"

Tree = Mapping[str, Union[Key, "Tree"]]
"""The known tables and keys, nested as in TOML."""


@dataclass(frozen=True, slots=True)
class ParsedSnippet:
    """The values of one snippet and its problems. ``malformed``: it is not TOML, so its values are not known."""

    fragment: Fragment
    problems: tuple[Problem, ...]
    malformed: bool = False


def key_tree(keys: tuple[Key, ...]) -> Tree:
    """``keys`` nested by their paths, each also under its alias."""
    tree: dict[str, object] = {}
    for key in keys:
        table = tree
        for part in key.path[:-1]:
            table = cast(dict[str, object], table.setdefault(part, {}))
        for name in (key.path[-1], *((key.alias,) if key.alias else ())):
            table[name] = key
    return cast(Tree, tree)


def parse_snippet(source: Source, tree: Tree) -> ParsedSnippet:
    """Parse a snippet, and assign its values to the keys of ``tree``.

    Only types are checked here, since a later snippet may override a value; see :attr:`.Kind.checked_early` for the
    exception. Never raises because of the content: every error is one of the problems.
    """
    try:
        document = tomli.loads(source.text)
    except (ValueError, RecursionError) as error:
        return ParsedSnippet(EMPTY, (_syntax_problem(source, error),), malformed=True)
    found = tuple(_walk(document, tree, ()))
    values = [one for one in found if isinstance(one, _Value)]
    errors = [one for one in found if not isinstance(one, _Value)]
    errors += _given_by_both_names(source, values)
    return ParsedSnippet(_fragment(source, values), _problems(source, errors, tree))


def located(source: Source, path: Path, fault: Fault) -> Problem:
    """The problem for a fault of the value at ``path`` in ``source``, with its line."""
    where = (*path, *fault.at)
    return Problem(
        source.file, source.index.line(where), dotted(where), f"`{dotted(where)}`: {fault.message}", fault.remedy
    )


def _problems(source: Source, errors: list[Fault | _UnknownKey], tree: Tree) -> tuple[Problem, ...]:
    shown = errors[:MAX_PROBLEMS_PER_SNIPPET]
    faults = (_unknown_key(one, tree) if isinstance(one, _UnknownKey) else one for one in shown)
    problems = [located(source, (), fault) for fault in faults]
    if more := len(errors) - len(shown):
        message = f"there {'is' if more == 1 else 'are'} {more} more problem{'' if more == 1 else 's'} in this snippet"
        problems.append(Problem(source.file, None, None, message, "fix those above first, or move the file away"))
    return tuple(problems)


@dataclass(frozen=True, slots=True)
class _UnknownKey:
    """A key or table that is not in the tree; ``siblings`` are the known ones of its table."""

    path: tuple[str, ...]
    siblings: Tree


@dataclass(frozen=True, slots=True)
class _Value:
    """A value of the right type. ``path`` is ``key.path``, or the same with the key's alias as its last part."""

    key: Key
    value: object
    path: tuple[str, ...]


def _walk(values: Mapping[str, object], tree: Tree, path: tuple[str, ...]) -> Iterator[_Value | Fault | _UnknownKey]:
    """Every value below ``path``: with its key, or as the error that it is."""
    for name, value in values.items():
        here = (*path, name)
        match tree.get(name):
            case None:
                yield _UnknownKey(here, tree)
            case Key() as key if key.kind.fits(value):
                yield from _early_faults(key, value, here) or (_Value(key, value, here),)
            case Key() as key:
                yield Fault(f"{described(value)}, the wrong type", f"use {key.kind.wanted}", here)
            case below if isinstance(value, dict):
                yield from _walk(cast(dict[str, object], value), below, here)
            case _:
                yield Fault(f"{described(value)}, not a table", f"write it as [{dotted(here)}]", here)


def _early_faults(key: Key, value: object, path: tuple[str, ...]) -> tuple[Fault, ...]:
    if not key.kind.checked_early:
        return ()
    try:
        key.read(value)
    except FaultyValueError as error:
        return tuple(replace(fault, at=path) for fault in error.faults)
    return ()


def _given_by_both_names(source: Source, values: Iterable[_Value]) -> Iterator[Fault]:
    """Keys that one snippet sets by name and by alias. (Of two snippets, the later one wins as usual.)"""
    first: dict[str, _Value] = {}
    for one in values:
        other = first.setdefault(one.key.dotted, one)
        if other is not one:
            line = source.index.line(other.path)
            message = f"this is another name for `{dotted(other.path)}`, which is set in line {line}"
            yield Fault(message, f"keep one of them; {one.key.dotted} is the name that is shown", one.path)


def _fragment(source: Source, values: Iterable[_Value]) -> Fragment:
    single: dict[str, Given] = {}
    added: dict[str, tuple[Given, ...]] = {}
    for one in values:
        if one.key.kind.accumulates:
            entries = enumerate(cast(list[object], one.value))
            added[one.key.dotted] = tuple(Given(entry, Origin(source, (*one.path, at))) for at, entry in entries)
        else:
            single[one.key.dotted] = Given(one.value, Origin(source, one.path))
    return Fragment(single, added, _replaced(single))


def _replaced(single: Mapping[str, Given]) -> frozenset[str]:
    """The keys whose entries replace earlier ones: ``window``, where ``window_merge`` is ``replace``."""
    replacing = (key for key, given in single.items() if given.value == REPLACE and key.endswith(MERGE_SUFFIX))
    return frozenset(key.removesuffix(MERGE_SUFFIX) for key in replacing)


def _unknown_key(unknown: _UnknownKey, root: Tree) -> Fault:
    """The fault, with the key that was probably meant: one of that name in another table, or one spelt alike."""
    path, siblings = unknown.path, unknown.siblings
    sibling = nearest(path[-1], siblings)
    namesakes = [name for name in _names(root, ()) if name.rpartition(".")[2] == path[-1]]
    meant = dotted((*path[:-1], sibling)) if sibling and not namesakes else _nearest_name(path, namesakes, root)
    return Fault(
        "unknown key or table" + (f"; did you mean `{meant}`?" if meant else ""),
        f"correct or remove it; there {'are' if len(siblings) > 1 else 'is'} {', '.join(siblings)} here",
        path,
    )


def _nearest_name(path: tuple[str, ...], namesakes: list[str], root: Tree) -> str | None:
    """Of several keys of that name, the one with the most similar path; without any, the most similar key or table."""
    return namesakes[0] if len(namesakes) == 1 else nearest(dotted(path), namesakes or _names(root, ()))


def _names(tree: Tree, path: tuple[str, ...]) -> Iterator[str]:
    for name, below in tree.items():
        yield dotted((*path, name))
        if not isinstance(below, Key):
            yield from _names(below, (*path, name))


def _syntax_problem(source: Source, error: Exception) -> Problem:
    """The problem for an error of tomli, with its line and, where it is known, its key."""
    if isinstance(error, tomli.TOMLDecodeError):
        return _not_toml(source, error)
    line = _first_line_that_raises(source.text, type(error))
    what = "a number has too many digits" if isinstance(error, ValueError) else "keys or arrays are nested too deeply"
    return _at_line(source, line, what, "no setting needs that; correct or remove it")


def _not_toml(source: Source, error: tomli.TOMLDecodeError) -> Problem:
    repeat = next(iter(source.index.repeats), None)
    if repeat is not None and repeat.line <= error.lineno:
        key = dotted(repeat.path)
        message = f"`{key}` is set twice, first in line {repeat.first_line}"
        return Problem(source.file, repeat.line, key, message, "keep one of them")
    message = f"this is not TOML: {error.msg[:1].lower()}{error.msg[1:]}, column {error.colno}"
    return _at_line(source, error.lineno, message, "strings need quotes, and each key its own line")


def _at_line(source: Source, line: int, message: str, remedy: str) -> Problem:
    path = source.index.last_path(line) or ()
    while path and isinstance(path[-1], int):
        path = path[:-1]
    return Problem(source.file, line, dotted(path) or None, message, remedy)


def _first_line_that_raises(text: str, error: type[Exception]) -> int:
    """The first line up to whose end the text makes tomli raise ``error``, which has no position."""
    ends = [at for at, sign in enumerate(text) if sign == "\n"] + [len(text)]
    return bisect_left(ends, 1, key=lambda end: int(_raises(text[:end], error))) + 1


def _raises(text: str, error: type[Exception]) -> bool:
    try:
        tomli.loads(text)
    except (ValueError, RecursionError) as found:
        return type(found) is error
    return False
