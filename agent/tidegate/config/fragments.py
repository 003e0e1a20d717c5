"""One snippet: TOML whose keys and types are right, or problems."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Union, cast

import tomli

from tidegate.config.keys import Key
from tidegate.config.layers import Source
from tidegate.config.merge import NOTHING, Fragment, Given, Origin
from tidegate.config.problems import Fault, FaultyValueError, Path, Problem, dotted, nearest, shown, type_name

# A snippet that is something else altogether has a problem on each line; these tell what is going on.
MAX_PROBLEMS_A_SNIPPET = 50

MERGE_SUFFIX = "_merge"
REPLACE = "replace"

Tree = Mapping[str, Union[Key, "Tree"]]
"""The tables and keys that there are, nested as in TOML."""


@dataclass(frozen=True, slots=True)
class Read:
    """What one snippet gives, and what is wrong in it. ``lost``: it is not TOML, so what it gives is unknown."""

    fragment: Fragment
    problems: tuple[Problem, ...]
    lost: bool = False


def tree_of(keys: tuple[Key, ...]) -> Tree:
    """The keys, nested."""
    tree: dict[str, object] = {}
    for key in keys:
        table = tree
        for part in key.path[:-1]:
            table = cast(dict[str, object], table.setdefault(part, {}))
        for name in (key.path[-1], *((key.alias,) if key.alias else ())):
            table[name] = key
    return cast(Tree, tree)


def read_fragment(source: Source, tree: Tree) -> Read:
    """Parse a snippet and sort its values by key.

    Never raises for what a snippet may say: everything that is wrong is in the problems.
    """
    try:
        document = tomli.loads(source.text)
    except (ValueError, RecursionError) as error:
        return Read(NOTHING, (_syntax_problem(source, error),), lost=True)
    findings = tuple(_walk(document, tree, ()))
    values = [one for one in findings if isinstance(one, _Value)]
    wrong = [one for one in findings if not isinstance(one, _Value)]
    return Read(_fragment(source, values), _problems(source, [*wrong, *_twice(source, values)], tree))


def located(source: Source, path: Path, fault: Fault) -> Problem:
    """A fault of the value at ``path``, with its line."""
    where = (*path, *fault.at)
    return Problem(
        source.file, source.index.line(where), dotted(where), f"`{dotted(where)}`: {fault.message}", fault.remedy
    )


def _problems(source: Source, wrong: list[Fault | _Stray], tree: Tree) -> tuple[Problem, ...]:
    told = wrong[:MAX_PROBLEMS_A_SNIPPET]
    faults = (_why_stray(one, tree) if isinstance(one, _Stray) else one for one in told)
    found = [located(source, (), fault) for fault in faults]
    if more := len(wrong) - len(told):
        remedy = "mend those above first, or move the file away"
        found.append(Problem(source.file, None, None, f"there are {more} more problems in this snippet", remedy))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Stray:
    """A key or table at ``path`` that there is not; ``here`` is what there is beside it."""

    path: tuple[str, ...]
    here: Tree


@dataclass(frozen=True, slots=True)
class _Value:
    """A value of the right type, and where it stands: ``key.path``, or where that leads with the key's alias."""

    key: Key
    value: object
    path: tuple[str, ...]


def _walk(values: Mapping[str, object], tree: Tree, path: tuple[str, ...]) -> Iterator[_Value | Fault | _Stray]:
    """Each value with its key, and each thing that has no place."""
    for name, value in values.items():
        here = (*path, name)
        match tree.get(name):
            case None:
                yield _Stray(here, tree)
            case Key() as key if key.kind.fits(value):
                yield from _early_faults(key, value, here) or (_Value(key, value, here),)
            case Key() as key:
                yield Fault(f"{_what_is(value)}, the wrong type", f"use {key.kind.wanted}", here)
            case below if isinstance(value, dict):
                yield from _walk(cast(dict[str, object], value), below, here)
            case _:
                yield Fault(f"{_what_is(value)} where a table is meant", f"write it as [{dotted(here)}]", here)


def _early_faults(key: Key, value: object, path: tuple[str, ...]) -> tuple[Fault, ...]:
    if not key.kind.acts_in_its_snippet:
        return ()
    try:
        key.read(value)
    except FaultyValueError as error:
        return tuple(replace(fault, at=path) for fault in error.faults)
    return ()


def _twice(source: Source, values: Iterable[_Value]) -> Iterator[Fault]:
    """Keys that one snippet gives under both of their names. (Of two snippets, the later one wins as ever.)"""
    first: dict[str, _Value] = {}
    for one in values:
        other = first.setdefault(one.key.dotted, one)
        if other is not one:
            line = source.index.line(other.path)
            message = f"this is another name for `{dotted(other.path)}`, which is given in line {line}"
            yield Fault(message, f"keep one of them; {one.key.dotted} is the name that is shown", one.path)


def _fragment(source: Source, values: Iterable[_Value]) -> Fragment:
    single: dict[str, Given] = {}
    added: dict[str, tuple[Given, ...]] = {}
    for one in values:
        if one.key.kind.adds_up:
            entries = enumerate(cast(list[object], one.value))
            added[one.key.dotted] = tuple(Given(entry, Origin(source, (*one.path, at))) for at, entry in entries)
        else:
            single[one.key.dotted] = Given(one.value, Origin(source, one.path))
    return Fragment(single, added, _fresh(single))


def _fresh(single: Mapping[str, Given]) -> frozenset[str]:
    """The keys whose earlier entries this snippet drops: ``window`` where ``window_merge`` says so."""
    replacing = (key for key, given in single.items() if given.value == REPLACE and key.endswith(MERGE_SUFFIX))
    return frozenset(key.removesuffix(MERGE_SUFFIX) for key in replacing)


def _why_stray(stray: _Stray, root: Tree) -> Fault:
    """A namesake of a key that is elsewhere, or one misspelt."""
    path, here = stray.path, stray.here
    sibling = nearest(path[-1], here)
    namesakes = [name for name in _names(root, ()) if name.rpartition(".")[2] == path[-1]]
    meant = dotted((*path[:-1], sibling)) if sibling and not namesakes else _nearest_name(path, namesakes, root)
    return Fault(
        "unknown key or table" + (f"; did you mean `{meant}`?" if meant else ""),
        f"correct or remove it; there {'are' if len(here) > 1 else 'is'} {', '.join(here)} here",
        path,
    )


def _nearest_name(path: tuple[str, ...], namesakes: list[str], root: Tree) -> str | None:
    """Of several namesakes the one whose table is most alike; without any, the key or table that is most alike."""
    return namesakes[0] if len(namesakes) == 1 else nearest(dotted(path), namesakes or _names(root, ()))


def _names(tree: Tree, path: tuple[str, ...]) -> Iterator[str]:
    for name, below in tree.items():
        yield dotted((*path, name))
        if not isinstance(below, Key):
            yield from _names(below, (*path, name))


def _what_is(value: object) -> str:
    name = type_name(value)
    return f"{name} is given" if shown(value) == name else f"{shown(value)} is {name}"


def _syntax_problem(source: Source, error: Exception) -> Problem:
    """What tomli did not accept, with its line and, where that can be told, its key."""
    if isinstance(error, tomli.TOMLDecodeError):
        return _not_toml(source, error)
    line = _first_line_that_raises(source.text, type(error))
    what = "a number has too many digits" if isinstance(error, ValueError) else "keys or arrays are nested too deeply"
    return _at_line(source, line, what, "no setting needs that; correct or remove it")


def _not_toml(source: Source, error: tomli.TOMLDecodeError) -> Problem:
    repeat = next(iter(source.index.repeats), None)
    if repeat is not None and repeat.line <= error.lineno:
        key = dotted(repeat.path)
        message = f"`{key}` is given twice, first in line {repeat.first_line}"
        return Problem(source.file, repeat.line, key, message, "keep one of them")
    message = f"this is not TOML: {error.msg[:1].lower()}{error.msg[1:]}, column {error.colno}"
    return _at_line(source, error.lineno, message, "strings need quotes, and each key its own line")


def _at_line(source: Source, line: int, message: str, remedy: str) -> Problem:
    path = source.index.last_path(line) or ()
    while path and isinstance(path[-1], int):
        path = path[:-1]
    return Problem(source.file, line, dotted(path) or None, message, remedy)


def _first_line_that_raises(text: str, error: type[Exception]) -> int:
    """The first line by whose end tomli fails with just this error, which it raises without a position."""
    ends = [at for at, sign in enumerate(text) if sign == "\n"] + [len(text)]
    return bisect_left(ends, 1, key=lambda end: int(_raises(text[:end], error))) + 1


def _raises(text: str, error: type[Exception]) -> bool:
    try:
        tomli.loads(text)
    except (ValueError, RecursionError) as found:
        return type(found) is error
    return False
