"""From folders to settings, or to problems."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar, cast

from tidegate.config import layers
from tidegate.config.fragments import Tree, located, read_fragment, tree_of
from tidegate.config.keys import Key, S, build, keys_of
from tidegate.config.merge import Fragment, Given, Origin, merge
from tidegate.config.problems import Fault, FaultyValueError, Problem, shown
from tidegate.config.rules import Conflict, conflicts
from tidegate.config.settings import Settings

DEFAULT_ROOTS = (
    Path("/usr/lib/tidegate/config.d"),
    Path("/etc/tidegate/config.d"),
    Path("/run/tidegate/config.d"),
)

# An array that is something else altogether has a fault in each entry; these tell what is going on.
MAX_PROBLEMS_A_KEY = 50

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Schema(Generic[S]):
    """What a process can be told: the table of its keys, and what is wrong between keys of which each is right."""

    settings: type[S]
    conflicts: Callable[[S], Iterable[Conflict]]
    keys: tuple[Key, ...] = field(init=False)
    tree: Tree = field(init=False)

    def __post_init__(self) -> None:
        """Walk the table once."""
        object.__setattr__(self, "keys", tuple(keys_of(self.settings)))
        object.__setattr__(self, "tree", tree_of(self.keys))


AGENT = Schema(Settings, conflicts)


@dataclass(frozen=True)  # with slots, Python 3.11 fails to make one by its alias
class LoadedAs(Generic[S]):
    """What the snippets come to.

    ``settings`` is None exactly when there are ``problems``. ``origins`` has, for each dotted key that a snippet sets,
    where: one place, or one for each entry where entries add up. ``files`` are the snippets in their order.
    """

    settings: S | None
    problems: tuple[Problem, ...]
    origins: Mapping[str, tuple[Origin, ...]]
    files: tuple[Path, ...]


Loaded = LoadedAs[Settings]
"""The agent's."""


def load(roots: Sequence[Path]) -> Loaded:
    """Read, merge and check all of the agent's snippets in ``roots``; a later root goes over an earlier one.

    Never raises for what is, or is not, in the folders.
    """
    return load_as(AGENT, roots)


def load_overlaid(roots: Sequence[Path], paths: Sequence[Path]) -> Loaded:
    """The same with ``paths``, each a snippet of any name or a further root, on top of ``roots``."""
    return load_as(AGENT, roots, paths)


def load_as(schema: Schema[S], roots: Sequence[Path], paths: Sequence[Path] = ()) -> LoadedAs[S]:
    """The same for the settings of any process."""
    listings, problems = _collect(layers.listing, roots)
    overlaid, overlay_problems = _collect(_listing_or_file, paths)
    return _load_layers(schema, [*listings, *overlaid], [*problems, *overlay_problems])


def _listing_or_file(path: Path) -> Mapping[str, Path]:
    return layers.listing(path) if path.is_dir() else {path.name: path}


def _load_layers(schema: Schema[S], listings: Sequence[Mapping[str, Path]], problems: Sequence[Problem]) -> LoadedAs[S]:
    files = tuple(layers.overlay(listings).values())
    sources, file_problems = _collect(layers.read, files)
    reads = [read_fragment(source, schema.tree) for source in sources if source is not None]
    fragment_problems = [problem for read in reads for problem in read.problems]
    merged = merge(read.fragment for read in reads)
    lost = bool(problems or file_problems) or any(read.lost for read in reads)
    mistyped = {problem.key for problem in fragment_problems}
    settings, value_problems = _check(schema, merged, mistyped, lost=lost)
    found = [*problems, *file_problems, *fragment_problems, *value_problems]
    return LoadedAs(None if found else settings, _in_order(found, files), _origins(schema.keys, merged), files)


def _in_order(problems: Iterable[Problem], files: Sequence[Path]) -> tuple[Problem, ...]:
    """Snippet by snippet, from top to bottom; folders come first, and what concerns a snippet as a whole comes last."""
    places = {layers.printable(file): place for place, file in enumerate(files)}
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
    schema: Schema[S], merged: Fragment, mistyped: AbstractSet[str | None], *, lost: bool
) -> tuple[S, list[Problem]]:
    """The settings that the values come to; a key with a problem has its default.

    Keys are held against each other only where both are sound, and nothing is called missing where a whole snippet is
    lost: one mistake is told once.
    """
    values: dict[str, object] = {}
    problems: list[Problem] = []
    unsound = set(mistyped)
    for key in schema.keys:
        values[key.dotted], faults = _read(key, merged)
        problems += faults
        unsound |= {key.dotted} if faults else set()
    settings = build(schema.settings, values)
    for conflict in schema.conflicts(settings):
        known = _given(merged, conflict.key)
        if not unsound & {conflict.key, conflict.because_of} and (known or not lost):
            problems.append(_conflict_problem(conflict, (*known, *_given(merged, conflict.because_of))))
    return settings, problems


def _read(key: Key, merged: Fragment) -> tuple[object, list[Problem]]:
    """The setting of one key, and what is wrong with it."""
    settings: list[object] = []
    problems: list[Problem] = []
    for given in _given(merged, key.dotted):
        try:
            settings.append(key.read(given.value))
        except FaultyValueError as error:
            problems += [located(given.origin.source, given.origin.path, fault) for fault in error.faults]
        if len(problems) > MAX_PROBLEMS_A_KEY:
            break
    problems += _shared(key, _given(merged, key.dotted))
    if problems or not settings:
        return key.default, problems
    return _sum(settings) if key.kind.adds_up else settings[-1], problems


def _shared(key: Key, entries: Iterable[Given]) -> Iterator[Problem]:
    """Entries that have what an earlier one has and no two may share, each told with where the earlier one is."""
    name = key.kind.distinct_by
    first: dict[str, Given] = {}
    for given in entries if name else ():
        value = cast(Mapping[str, object], given.value).get(name or "")
        if isinstance(value, str) and first.setdefault(value, given) is not given:
            message = f"{shown(value)} is the {name} of another one, in {first[value].origin}"
            fault = Fault(message, f"give each a {name} of its own", (name or "",))
            yield located(given.origin.source, given.origin.path, fault)


def _sum(settings: list[object]) -> tuple[object, ...]:
    return tuple(entry for entries in settings for entry in cast(tuple[object, ...], entries))


def _given(merged: Fragment, dotted: str) -> tuple[Given, ...]:
    if dotted in merged.single:
        return (merged.single[dotted],)
    return merged.added.get(dotted, ())


def _conflict_problem(conflict: Conflict, blamed: tuple[Given, ...]) -> Problem:
    """A problem at the first place that is to blame: the key itself, or else what asks for it."""
    origin = blamed[0].origin
    message = f"`{conflict.key}`: {conflict.message}"
    return Problem(origin.source.file, origin.line, conflict.key, message, conflict.remedy)


def _origins(keys: Iterable[Key], merged: Fragment) -> Mapping[str, tuple[Origin, ...]]:
    given = ((key.dotted, _given(merged, key.dotted)) for key in keys)
    return {dotted: tuple(one.origin for one in entries) for dotted, entries in given if entries}
