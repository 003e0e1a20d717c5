"""Parse an update graph of the Cincinnati protocol, and find the successors of a release in it. Pure.

Nodes are releases, edges are allowed moves. A graph is validated as a whole; of one that fails, :mod:`.graph_part`
finds what hosts may use all the same. Unknown keys are ignored. Validation is linear, and done column by column,
which is several times faster than node by node; in a graph that fails, :mod:`.graph_faults` finds the place.

Sources: "Cincinnati for Fedora CoreOS" in Zincati's documentation (docs/development/cincinnati/protocol.md) for the
shape; coreos/fedora-coreos-cincinnati for what dead ends and barriers do to edges (commons/src/policy.rs, graph.rs).
"""

from __future__ import annotations

import json
import operator
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, compress
from types import MappingProxyType
from typing import NamedTuple, Never, cast

from tidegate.discovery import graph_faults as faults
from tidegate.discovery.base import Deferred, Offers
from tidegate.discovery.graph_keys import (
    AGE_INDEX_KEY,
    AGE_INDEX_MAX_DIGITS,
    BARRIER_KEY,
    DEAD_END_KEY,
    DEAD_END_REASON_KEY,
    MAX_GRAPH_BYTES,
    SCHEME_KEY,
)
from tidegate.release import Release

__all__ = ["MAX_GRAPH_BYTES", "SCHEME_KEY", "Graph", "Node", "parse_graph"]

_Object = dict[str, object]


class _UnsoundError(Exception):
    """A column is invalid somewhere."""


class Node(NamedTuple):
    """A release in a graph. A tuple, since of thousands only a few become a :class:`~tidegate.release.Release`."""

    version: str
    payload: str
    age_index: int
    metadata: dict[str, str]

    @property
    def release(self) -> Release:
        """The node as a :class:`~tidegate.release.Release`."""
        return Release(self.version, self.payload, self.age_index, MappingProxyType(self.metadata))

    def has_flag(self, key: str) -> bool:
        """Whether the metadata has the flag ``key``. Metadata are strings: a set flag is ``"true"``."""
        return self.metadata.get(key) == "true"


@dataclass(frozen=True, slots=True)
class Graph:
    """A valid graph. Edge ``i`` leads from ``sources[i]`` to ``targets[i]``, which are indexes of ``nodes``."""

    nodes: Sequence[Node]
    sources: Sequence[int]
    targets: Sequence[int]

    def offers(self, booted_payload: str) -> Offers:
        """The offers to a host that runs ``booted_payload``: none where the graph does not list it.

        As in Fedora's servers, no edge leads away from a dead end, and none past a barrier that lies ahead.
        """
        place = next((i for i, node in enumerate(self.nodes) if node.payload == booted_payload), None)
        if place is None:
            return Offers(candidates=(), booted=None, dead_end=None)
        booted = self.nodes[place]
        if booted.has_flag(DEAD_END_KEY):
            return Offers(candidates=(), booted=booted.release, dead_end=_reason(booted))
        barrier = self._barrier_ahead(booted)
        following = list(self._successors(place))
        return Offers(
            tuple(node.release for node in following if not _beyond(node, barrier)),
            booted.release,
            dead_end=None,
            deferred=tuple(_behind(node, barrier) for node in following if barrier and _beyond(node, barrier)),
        )

    def _successors(self, place: int) -> Iterator[Node]:
        """The targets of the edges from ``place``, each once."""
        ends = compress(self.targets, map(place.__eq__, self.sources))
        return map(self.nodes.__getitem__, dict.fromkeys(ends))

    def _barrier_ahead(self, booted: Node) -> Node | None:
        """The nearest newer release that every older one has to go through; None without one."""
        barriers = (node for node in self.nodes if BARRIER_KEY in node.metadata and node.has_flag(BARRIER_KEY))
        ahead = (node for node in barriers if node.age_index > booted.age_index)
        return min(ahead, key=lambda node: node.age_index, default=None)


def parse_graph(raw: bytes) -> Graph:
    """Parse and validate a graph.

    Raises:
        TidegateError: ``discovery.nonsense``, with the place (``nodes[3].payload``) and the fault.
    """
    return graph_of(*lists_of(raw))


def lists_of(raw: bytes) -> tuple[list[object], list[object]]:
    """Return the nodes and the edges of a graph as its JSON has them, not validated.

    Raises:
        TidegateError: ``discovery.nonsense``: it is not JSON, or has no such lists.
    """
    top = faults.as_object(_json(raw), "the graph")
    return _list(top, "nodes"), _list(top, "edges")


def graph_of(listed: Sequence[object], edges: Sequence[object]) -> Graph:
    """Validate the nodes and the edges of a graph.

    Raises:
        TidegateError: ``discovery.nonsense``, with the place (``nodes[3].payload``) and the fault.
    """
    try:
        nodes = _nodes(listed)
        sources, targets = _ends(edges, len(nodes))
    except (_UnsoundError, KeyError, TypeError, UnicodeEncodeError):
        faults.explain(listed, edges)
    if not all(map(operator.lt, sources, targets)):  # if every edge leads to a higher index, there is no cycle
        if any(map(operator.eq, sources, targets)):
            faults.explain(listed, edges)
        faults.refuse_cycles([node.version for node in nodes], zip(sources, targets, strict=True))
    return Graph(nodes, sources, targets)


def _beyond(node: Node, barrier: Node | None) -> bool:
    return barrier is not None and node.age_index > barrier.age_index


def _behind(node: Node, barrier: Node) -> Deferred:
    return Deferred(node.release, f"comes after the barrier {barrier.version}, which every host has to go through")


def _reason(node: Node) -> str:
    """Why ``node`` is a dead end, on one line and without control characters."""
    words = " ".join(node.metadata.get(DEAD_END_REASON_KEY, "").split())
    return "".join(filter(str.isprintable, words)) or "no reason given"


def _json(raw: bytes) -> object:
    if raw.startswith(b"\xef\xbb\xbf"):
        faults.refuse("the text starts with a byte order mark, which JSON does not allow")
    try:
        found = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
        if _is_whole(raw, found):
            return found
        del found  # so that there is only one graph in memory
        return json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant, object_pairs_hook=_refuse_duplicates)
    except UnicodeDecodeError as error:
        faults.refuse(f"the text is not UTF-8 at byte {error.start}")
    except json.JSONDecodeError as error:
        faults.refuse(
            f"not JSON: {error.msg} at line {error.lineno}, column {error.colno} (byte {error.pos} of {len(raw)})"
        )
    except RecursionError:
        faults.refuse("the JSON is nested too deeply")
    except ValueError:  # the one left: Python refuses integers of more than 4300 digits
        faults.refuse("a number has thousands of digits")


def _is_whole(raw: bytes, found: object) -> bool:
    """Whether every string of ``raw`` is in ``found``, so that no object has a duplicate key: json drops the first.

    Counting quotes costs a fifth of checking each object. The sum assumes nodes with the three keys of the protocol:
    with further keys, escaped quotes or dropped strings it differs, and the caller checks each object.
    """
    try:
        top = cast(dict[str, list[dict[str, dict[str, str]]]], found)
        metadata = [fields["metadata"] for fields in top["nodes"]]
        texts = len(top) + 5 * len(metadata) + 2 * sum(map(len, metadata))
    except (KeyError, TypeError):
        return False
    return raw.count(b'"') == 2 * texts


def _refuse_constant(name: str) -> Never:
    faults.refuse(f"{name} is not a JSON number")


def _refuse_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        duplicate, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        faults.refuse(f"an object has the key {faults.shown(duplicate)} twice")
    return fields


def _list(fields: Mapping[str, object], key: str) -> list[object]:
    value = fields.get(key)
    if not isinstance(value, list):
        faults.refuse(f"{key} is {faults.shown(value)}, not a list" if key in fields else f"{key} is missing")
    return cast(list[object], value)


def _nodes(listed: Sequence[object]) -> list[Node]:
    _require(set(map(type, listed)) <= {dict})
    objects = cast(Sequence[_Object], listed)
    metadata = _metadata(objects)
    columns = _names(objects, "version"), _names(objects, "payload"), _age_indexes(metadata), metadata
    new = tuple[object, ...].__new__  # what Node._make() calls, once for each node, from Python
    return list(map(partial(new, Node), zip(*columns, strict=True)))


def _names(objects: Iterable[_Object], key: str) -> list[str]:
    """The values of ``key``: printable strings, not empty, all different."""
    names = cast(list[str], [fields.get(key) for fields in objects])
    together = "".join(names)  # raises TypeError where one is not a string
    _require(together.isprintable() and all(names) and len(set(names)) == len(names))
    return names


def _metadata(objects: Iterable[_Object]) -> list[dict[str, str]]:
    metadata = [fields.get("metadata", {}) for fields in objects]
    _require(set(map(type, metadata)) <= {dict})
    texts = cast(list[dict[str, str]], metadata)
    values = "".join(
        chain.from_iterable(map(dict[str, str].values, texts))
    )  # raises TypeError where one is not a string
    for together in (values, *set(chain.from_iterable(texts))):
        together.encode()  # raises UnicodeEncodeError for a lone surrogate, which JSON can spell
    return texts


def _age_indexes(metadata: Iterable[Mapping[str, str]]) -> list[int]:
    digits = [texts[AGE_INDEX_KEY] for texts in metadata]
    together = "".join(digits) or "0"
    _require(together.isascii() and together.isdigit() and all(digits))
    _require(max(map(len, digits), default=0) <= AGE_INDEX_MAX_DIGITS)
    return list(map(int, digits))


def _ends(edges: Sequence[object], node_count: int) -> tuple[list[int], list[int]]:
    """The sources and the targets of the edges."""
    pairs = cast(Sequence[list[object]], edges)
    _require(set(map(len, pairs)) <= {2})  # raises TypeError where one has no length
    flat = cast(list[int], list(chain.from_iterable(pairs)))
    _require(set(map(type, flat)) <= {int})  # so none is a string or an object, and none is a bool
    _require(not flat or (min(flat) >= 0 and max(flat) < node_count))
    return flat[::2], flat[1::2]


def _require(sound: bool) -> None:  # noqa: FBT001 - the one thing that it is about
    if not sound:
        raise _UnsoundError
