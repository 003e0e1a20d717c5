"""The update graph of the Cincinnati protocol, as Fedora CoreOS writes it: nodes are releases, edges are allowed moves.

Pure. A graph is checked as a whole before anything is taken from it: one that contradicts itself somewhere was made by
something that is broken, and no move of a host rests on it. Unknown keys are passed over. All work is linear.

Source: the graph API of the Cincinnati design, and the metadata keys of Fedora CoreOS as Zincati reads them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Never, TypeGuard, cast

from tidegate.discovery.base import Offers
from tidegate.errors import ErrorKind, TidegateError
from tidegate.release import Release

AGE_INDEX_KEY = "org.fedoraproject.coreos.releases.age_index"
SCHEME_KEY = "org.fedoraproject.coreos.scheme"
DEAD_END_KEY = "org.fedoraproject.coreos.updates.deadend"
DEAD_END_REASON_KEY = "org.fedoraproject.coreos.updates.deadend_reason"

_AGE_INDEX_MAX_DIGITS = 18
"""Keeps an index within the signed 64 bits that records and the bus have for it."""

_SHOWN_CHARS = 60
_SHOWN_CYCLE = 5
_REMEDY = "whoever publishes the graph has to correct it"


@dataclass(frozen=True, slots=True)
class Graph:
    """A graph that passed every check: ``successors[i]`` are the places in ``releases`` next to ``releases[i]``."""

    releases: tuple[Release, ...]
    successors: tuple[tuple[int, ...], ...]

    def offers(self, booted_payload: str) -> Offers:
        """What this graph offers to a host that runs ``booted_payload``: nothing where it does not list that."""
        place = next((i for i, release in enumerate(self.releases) if release.payload == booted_payload), None)
        if place is None:
            return Offers(candidates=(), booted=None, dead_end=None)
        booted = self.releases[place]
        return Offers(tuple(self.releases[i] for i in self.successors[place]), booted, _dead_end(booted))


def parse_graph(raw: bytes) -> Graph:
    """A graph from its JSON text.

    Raises:
        TidegateError: ``discovery.nonsense``, with the place (``nodes[3].payload``) and what is wrong there.
    """
    top = _object(_json(raw), "the graph")
    releases = tuple(_release(i, node) for i, node in enumerate(_list(top, "nodes")))
    _refuse_twins("version", (release.version for release in releases))
    _refuse_twins("payload", (release.payload for release in releases))
    successors = _successors(_list(top, "edges"), len(releases))
    _refuse_cycles(releases, successors)
    return Graph(releases, successors)


def _json(raw: bytes) -> object:
    if raw.startswith(b"\xef\xbb\xbf"):
        _refuse("the text starts with a byte order mark, which JSON does not allow")
    try:
        return json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant, object_pairs_hook=_without_twins)
    except UnicodeDecodeError as error:
        _refuse(f"the text is not UTF-8 at byte {error.start}")
    except json.JSONDecodeError as error:
        _refuse(f"not JSON: {error.msg} at line {error.lineno}, column {error.colno} (byte {error.pos} of {len(raw)})")
    except RecursionError:
        _refuse("the JSON is nested too deeply")
    except ValueError:  # the one left: Python refuses integers of more than 4300 digits
        _refuse("a number has thousands of digits")


def _refuse_constant(name: str) -> Never:
    _refuse(f"{name} is not a JSON number")


def _without_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        twin, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        _refuse(f"an object has the key {_shown(twin)} twice")
    return fields


def _release(index: int, node: object) -> Release:
    where = f"nodes[{index}]"
    fields = _object(node, where)
    version = _name(fields, "version", where)
    payload = _name(fields, "payload", where)
    metadata = _metadata(fields, where)
    return Release(version, payload, _age_index(metadata, where), MappingProxyType(metadata))


def _name(fields: Mapping[str, object], key: str, where: str) -> str:
    value = fields.get(key)
    if value is None:
        _refuse(f"{where}.{key} is missing")
    if not (isinstance(value, str) and value and value.isprintable()):
        _refuse(f"{where}.{key} is {_shown(value)}, not a line of text")
    return value


def _metadata(fields: Mapping[str, object], where: str) -> dict[str, str]:
    metadata = _object(fields.get("metadata", {}), f"{where}.metadata")
    for key, value in metadata.items():
        if not isinstance(value, str):
            _refuse(f"{where}.metadata[{_shown(key)}] is {_shown(value)}, not text")
        if not (key.isascii() and value.isascii()) and _has_surrogates(key + value):
            _refuse(f"{where}.metadata[{_shown(key)}] holds half of a surrogate pair")
    return cast(dict[str, str], metadata)


def _has_surrogates(text: str) -> bool:
    """JSON may spell them alone, and then no file and no bus can take them."""
    return any("\ud800" <= char <= "\udfff" for char in text)


def _age_index(metadata: Mapping[str, str], where: str) -> int:
    digits = metadata.get(AGE_INDEX_KEY)
    if digits is None:
        _refuse(f"{where}.metadata[{AGE_INDEX_KEY!r}] is missing")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _AGE_INDEX_MAX_DIGITS):
        _refuse(f'{where}.metadata[{AGE_INDEX_KEY!r}] is {_shown(digits)}, not a number in quotes such as "12"')
    return int(digits)


def _refuse_twins(key: str, values: Iterable[str]) -> None:
    seen: dict[str, int] = {}
    for index, value in enumerate(values):
        first = seen.setdefault(value, index)
        if first != index:
            _refuse(f"nodes[{first}] and nodes[{index}] have the same {key} {_shown(value)}")


def _successors(edges: Sequence[object], node_count: int) -> tuple[tuple[int, ...], ...]:
    """The places that each node leads to, an edge that is given twice counting once."""
    targets: list[dict[int, None]] = [{} for _ in range(node_count)]
    for index, edge in enumerate(edges):
        source, target = _edge(index, edge, node_count)
        targets[source][target] = None
    return tuple(map(tuple, targets))


def _edge(index: int, edge: object, node_count: int) -> tuple[int, int]:
    if not _is_pair(edge):
        _refuse(f"edges[{index}] is {_shown(edge)}, not a pair of node numbers")
    source, target = edge
    if not (0 <= source < node_count and 0 <= target < node_count):
        _refuse(f"edges[{index}] is {_shown(edge)}, but the nodes are numbered 0 to {node_count - 1}")
    if source == target:
        _refuse(f"edges[{index}] leads from nodes[{source}] to itself")
    return source, target


def _is_pair(edge: object) -> TypeGuard[list[int]]:
    """Whether it is a list of two integers; bool is an int to Python, so that "true" would pass for node 1."""
    if not isinstance(edge, list):
        return False
    ends = cast(list[object], edge)
    return len(ends) == 2 and type(ends[0]) is int and type(ends[1]) is int


def _refuse_cycles(releases: Sequence[Release], successors: Sequence[Sequence[int]]) -> None:
    """Take away whatever nothing leads to, again and again (Kahn): what is left at last holds a cycle."""
    incoming = [0] * len(successors)
    for target in _flat(successors):
        incoming[target] += 1
    free = [place for place, count in enumerate(incoming) if not count]
    while free:
        for target in successors[free.pop()]:
            incoming[target] -= 1
            if not incoming[target]:
                free.append(target)
    if any(incoming):
        cycle = _find_cycle(successors, incoming)
        path = " -> ".join(f"nodes[{i}] {_shown(releases[i].version)}" for i in cycle[:_SHOWN_CYCLE])
        _refuse(f"{len(cycle)} releases lead in a circle: {path}{' ...' if len(cycle) > _SHOWN_CYCLE else ' -> back'}")


def _find_cycle(successors: Sequence[Sequence[int]], incoming: Sequence[int]) -> list[int]:
    """One cycle among the nodes that still have ``incoming`` edges: each has a predecessor there, so walk backwards."""
    predecessor = {t: s for s, targets in enumerate(successors) if incoming[s] for t in targets if incoming[t]}
    place, walked = next(iter(predecessor)), dict[int, None]()
    while place not in walked:
        walked[place] = None
        place = predecessor[place]
    backwards = list(walked)
    return backwards[backwards.index(place) :][::-1]


def _flat(lists: Sequence[Sequence[int]]) -> Iterator[int]:
    return (item for items in lists for item in items)


def _dead_end(release: Release) -> str | None:
    if release.metadata.get(DEAD_END_KEY) != "true":
        return None
    reason = " ".join(release.metadata.get(DEAD_END_REASON_KEY, "").split())
    return "".join(filter(str.isprintable, reason)) or "no reason given"


def _object(value: object, where: str) -> dict[str, object]:
    if not isinstance(value, dict):
        _refuse(f"{where} is {_shown(value)}, not an object")
    return cast(dict[str, object], value)


def _list(fields: Mapping[str, object], key: str) -> list[object]:
    value = fields.get(key)
    if not isinstance(value, list):
        _refuse(f"{key} is {_shown(value)}, not a list" if key in fields else f"{key} is missing")
    return cast(list[object], value)


def _shown(value: object) -> str:
    """``value`` in a message: short, on one line, without control characters."""
    text = ascii(value) if isinstance(value, str | int | float | None) else f"a {type(value).__name__}"
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."


def _refuse(what: str) -> Never:
    raise TidegateError(ErrorKind.DISCOVERY_NONSENSE, what, _REMEDY)
