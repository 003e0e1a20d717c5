"""Load a configuration from its folders: settings, or every problem in them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar, cast

from tidegate.config import layers
from tidegate.config.conflicts import Conflict
from tidegate.config.fragments import Tree, key_tree, located, parse_snippet
from tidegate.config.keys import Key, S, build, keys_of
from tidegate.config.merge import Fragment, Given, Origin, merge
from tidegate.config.problems import Fault, FaultyValueError, Problem, shown
from tidegate.printable import path_text

MAX_PROBLEMS_PER_KEY = 50
"""A generated array may have the same fault in each of its entries; more of them say nothing new."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Schema(Generic[S]):
    """The configuration of a process: the dataclass of its keys, and the check for conflicts between valid keys."""

    settings: type[S]
    conflicts: Callable[[S], Iterable[Conflict]]
    keys: tuple[Key, ...] = field(init=False)
    tree: Tree = field(init=False)

    def __post_init__(self) -> None:
        """Derive ``keys`` and ``tree`` from the dataclass, once for all loads."""
        object.__setattr__(self, "keys", tuple(keys_of(self.settings)))
        object.__setattr__(self, "tree", key_tree(self.keys))


@dataclass(frozen=True)  # with slots, Python 3.11 fails to make one by its alias
class LoadedAs(Generic[S]):
    """The result of loading a configuration.

    ``settings`` is None exactly when there are ``problems``. ``origins`` has, by dotted key, where each key is set: one
    place, or one for each entry where entries accumulate. ``files`` are the effective snippets, in their order.
    """

    settings: S | None
    problems: tuple[Problem, ...]
    origins: Mapping[str, tuple[Origin, ...]]
    files: tuple[Path, ...]


def load_as(
    schema: Schema[S],
    roots: Sequence[Path],
    paths: Sequence[Path] = (),
    why_not: layers.WhyNot = layers.anybodys,
) -> LoadedAs[S]:
    """Load the configuration that ``schema`` describes from ``roots``, and on top ``paths``.

    Snippets in a later root mask those of the same name in earlier ones. Each of ``paths`` is a snippet of any name, or
    another root. ``why_not`` decides which snippets are read. Never raises because of the content of the folders, or
    their absence.
    """
    listings, problems = _collect(layers.listing, roots)
    overlaid, overlay_problems = _collect(_listing_or_file, paths)
    read = partial(layers.read, why_not=why_not)
    return _load_layers(schema, [*listings, *overlaid], [*problems, *overlay_problems], read)


def _listing_or_file(path: Path) -> Mapping[str, Path]:
    return layers.listing(path) if path.is_dir() else {path.name: path}


def _load_layers(
    schema: Schema[S],
    listings: Sequence[Mapping[str, Path]],
    problems: Sequence[Problem],
    read: Callable[[Path], layers.Source | None],
) -> LoadedAs[S]:
    files = tuple(layers.overlay(listings).values())
    sources, file_problems = _collect(read, files)
    snippets = [parse_snippet(source, schema.tree) for source in sources if source is not None]
    fragment_problems = [problem for snippet in snippets for problem in snippet.problems]
    merged = merge(snippet.fragment for snippet in snippets)
    complete = not problems and not file_problems and not any(snippet.malformed for snippet in snippets)
    mistyped = {problem.key for problem in fragment_problems}
    settings, value_problems = _check(schema, merged, mistyped, complete=complete)
    found = [*problems, *file_problems, *fragment_problems, *value_problems]
    return LoadedAs(None if found else settings, _in_order(found, files), _origins(schema.keys, merged), files)


def _in_order(problems: Iterable[Problem], files: Sequence[Path]) -> tuple[Problem, ...]:
    """Sort problems by snippet and line; those of folders come first, those of a whole snippet last in it."""
    places = {path_text(file): place for place, file in enumerate(files)}
    return tuple(sorted(problems, key=lambda one: (places.get(one.file, -1), one.line or sys.maxsize)))


def _collect(do: Callable[[Path], T], paths: Sequence[Path]) -> tuple[list[T], list[Problem]]:
    done: list[T] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            done.append(do(path))
        except layers.UnusableError as error:
            problems.append(error.problem)
    return done, problems


def _check(
    schema: Schema[S], merged: Fragment, mistyped: AbstractSet[str | None], *, complete: bool
) -> tuple[S, list[Problem]]:
    """The settings for the merged values, and their problems; a key with a problem has its default.

    So that one mistake is reported once, a conflict counts only where both of its keys are valid; and a key counts as
    missing only where the values are ``complete``: every snippet could be read and parsed.
    """
    values: dict[str, object] = {}
    problems: list[Problem] = []
    invalid = set(mistyped)
    for key in schema.keys:
        values[key.dotted], faults = _read(key, merged)
        problems += faults
        invalid |= {key.dotted} if faults else set()
    settings = build(schema.settings, values)
    for conflict in schema.conflicts(settings):
        given = _given(merged, conflict.key)
        if not invalid & {conflict.key, conflict.because_of} and (given or complete):
            problems.append(_conflict_problem(conflict, (*given, *_given(merged, conflict.because_of))))
    return settings, problems


def _read(key: Key, merged: Fragment) -> tuple[object, list[Problem]]:
    """The setting of one key, and its problems."""
    settings: list[object] = []
    problems: list[Problem] = []
    for given in _given(merged, key.dotted):
        try:
            settings.append(key.read(given.value))
        except FaultyValueError as error:
            problems += [located(given.origin.source, given.origin.path, fault) for fault in error.faults]
        if len(problems) > MAX_PROBLEMS_PER_KEY:
            break
    problems += _duplicates(key, _given(merged, key.dotted))
    if problems or not settings:
        return key.default, problems
    return _concatenated(settings) if key.kind.accumulates else settings[-1], problems


def _duplicates(key: Key, entries: Iterable[Given]) -> Iterator[Problem]:
    """A problem for each entry whose unique property has the value of an earlier entry."""
    name = key.kind.unique_property
    first: dict[str, Given] = {}
    for given in entries if name else ():
        value = cast(Mapping[str, object], given.value).get(name or "")
        if isinstance(value, str) and first.setdefault(value, given) is not given:
            message = f"{shown(value)} is also the {name} of the one in {first[value].origin}"
            fault = Fault(message, f"give each a different {name}", (name or "",))
            yield located(given.origin.source, given.origin.path, fault)


def _concatenated(settings: list[object]) -> tuple[object, ...]:
    return tuple(entry for entries in settings for entry in cast(tuple[object, ...], entries))


def _given(merged: Fragment, dotted: str) -> tuple[Given, ...]:
    if dotted in merged.single:
        return (merged.single[dotted],)
    return merged.added.get(dotted, ())


def _conflict_problem(conflict: Conflict, places: tuple[Given, ...]) -> Problem:
    """The problem at the first of ``places``: the key itself where it is set, otherwise the key that needs it."""
    origin = places[0].origin
    message = f"`{conflict.key}`: {conflict.message}"
    return Problem(origin.source.file, origin.line, conflict.key, message, conflict.remedy)


def _origins(keys: Iterable[Key], merged: Fragment) -> Mapping[str, tuple[Origin, ...]]:
    given = ((key.dotted, _given(merged, key.dotted)) for key in keys)
    return {dotted: tuple(one.origin for one in entries) for dotted, entries in given if entries}
