"""Find the offers of an update graph that has flaws which are not on this host's way. Pure.

A generator that is broken in one place must not stop a whole fleet. What has a flaw is left out, and counted. But a
flaw of the booted release, of a release that it leads to, of an edge from it, or of a barrier ahead decides about the
next step of this host, and is refused.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from tidegate.discovery import graph_faults as faults
from tidegate.discovery.base import Offers
from tidegate.discovery.graph import Graph, Node, graph_of, lists_of
from tidegate.discovery.graph_keys import AGE_INDEX_KEY, BARRIER_KEY
from tidegate.errors import TidegateError

MAX_SHOWN_FLAWS = 5
"""All are counted; more of them in the journal would say nothing new."""


def offers_of(raw: bytes, booted_payload: str) -> Offers:
    """Return the offers of the graph ``raw`` to a host that runs ``booted_payload``, with the flaws that it has.

    Raises:
        TidegateError: ``discovery.nonsense``: it is not a graph, or has a flaw on this host's way.
    """
    listed, edges = lists_of(raw)
    try:
        return graph_of(listed, edges).offers(booted_payload)
    except TidegateError:
        part = _Part.of(listed, edges, booted_payload)
    flaws = tuple(part.flaws)
    offers = part.graph().offers(booted_payload)
    return replace(offers, flaws=flaws[:MAX_SHOWN_FLAWS], flaw_count=len(flaws))


@dataclass(frozen=True, slots=True)
class _Part:
    """The sound nodes and edges of a graph by their numbers in it, and the flaws of the others."""

    nodes: Mapping[int, Node]
    edges: Sequence[tuple[int, int]]
    flaws: Sequence[str]

    @classmethod
    def of(cls, listed: Sequence[object], edges: Sequence[object], booted_payload: str) -> _Part:
        """Leave out what has a flaw.

        Raises:
            TidegateError: ``discovery.nonsense``: a flaw is on the way from the booted release.
        """
        nodes, bad_nodes = _sound_nodes(listed)
        sound, bad_edges = _sound_edges(edges, len(listed))
        starts = {index for index, node in enumerate(listed) if _field(node, "payload") == booted_payload}
        _refuse_on_the_way(listed, sound, starts, bad_nodes)
        for index, why in bad_edges.items():
            if _source(edges[index]) in starts:
                faults.refuse(f"{why}, which is an edge from the booted release")
        kept = [(source, target) for source, target in sound if source in nodes and target in nodes]
        nodes, looped = _without_cycles(nodes, kept, starts)
        kept = [(source, target) for source, target in kept if source in nodes and target in nodes]
        return cls(nodes, kept, [*bad_nodes.values(), *bad_edges.values(), *looped])

    def graph(self) -> Graph:
        """Return the part as a graph, numbered anew."""
        places = {index: place for place, index in enumerate(self.nodes)}
        sources = [places[source] for source, _ in self.edges]
        return Graph(list(self.nodes.values()), sources, [places[target] for _, target in self.edges])


def _sound_nodes(listed: Sequence[object]) -> tuple[dict[int, Node], dict[int, str]]:
    nodes: dict[int, Node] = {}
    flaws: dict[int, str] = {}
    for index, node in enumerate(listed):
        try:
            names = faults.check_node(index, node)
        except TidegateError as error:
            flaws[index] = error.message
        else:
            metadata = cast(dict[str, str], cast(dict[str, object], node).get("metadata", {}))
            nodes[index] = Node(*names, int(metadata[AGE_INDEX_KEY]), metadata)
    flaws |= _doubles(nodes, "version") | _doubles(nodes, "payload")
    return {index: node for index, node in nodes.items() if index not in flaws}, flaws


def _doubles(nodes: Mapping[int, Node], key: str) -> dict[int, str]:
    """The nodes that share their ``key`` with another: nobody can tell which one is meant."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    for index, node in nodes.items():
        found[getattr(node, key)].append(index)
    return {
        index: f"nodes[{same[0]}] and nodes[{same[1]}] have the same {key} {faults.shown(value)}"
        for value, same in found.items()
        if len(same) > 1
        for index in same
    }


def _sound_edges(edges: Sequence[object], count: int) -> tuple[list[tuple[int, int]], dict[int, str]]:
    sound: list[tuple[int, int]] = []
    flaws: dict[int, str] = {}
    for index, edge in enumerate(edges):
        try:
            sound.append(faults.check_edge(index, edge, count))
        except TidegateError as error:
            flaws[index] = error.message
    return sound, flaws


def _refuse_on_the_way(
    listed: Sequence[object], edges: Iterable[tuple[int, int]], starts: set[int], flaws: Mapping[int, str]
) -> None:
    following: defaultdict[int, list[int]] = defaultdict(list)
    for source, target in edges:
        following[source].append(target)
    near = starts | {target for start in starts for target in following[start]}
    barriers = {index for index in flaws if _field(_field(listed[index], "metadata"), BARRIER_KEY) == "true"}
    for index in sorted(near & flaws.keys() | _reachable(starts, following) & barriers):
        faults.refuse(f"{flaws[index]}, which is on the way from the booted release")


def _reachable(starts: Iterable[int], following: Mapping[int, Sequence[int]]) -> set[int]:
    reached, left = set[int](), list(starts)
    while left:
        place = left.pop()
        if place not in reached:
            reached.add(place)
            left += following[place]
    return reached


def _without_cycles(
    nodes: dict[int, Node], edges: Sequence[tuple[int, int]], starts: set[int]
) -> tuple[dict[int, Node], list[str]]:
    """Leave out the nodes of cycles, and those between two cycles; one of the booted release's way is refused."""
    looped = _trimmed(_trimmed(set(nodes), edges), [(target, source) for source, target in edges])
    if looped & (starts | {target for source, target in edges if source in starts}):
        places = {index: place for place, index in enumerate(nodes)}
        faults.refuse_cycles([node.version for node in nodes.values()], [(places[s], places[t]) for s, t in edges])
    names = ", ".join(faults.shown(nodes[index].version) for index in sorted(looped)[:3])
    flaws = [f"{len(looped)} releases form a cycle: {names} ..."] if looped else []
    return {index: node for index, node in nodes.items() if index not in looped}, flaws


def _trimmed(places: set[int], edges: Sequence[tuple[int, int]]) -> set[int]:
    """The places without those that no cycle leads to (Kahn's algorithm)."""
    following: defaultdict[int, list[int]] = defaultdict(list)
    inside = [(source, target) for source, target in edges if source in places and target in places]
    for source, target in inside:
        following[source].append(target)
    incoming = Counter(target for _, target in inside)
    free = [place for place in places if not incoming[place]]
    left = set(places)
    while free:
        place = free.pop()
        left.discard(place)
        for target in following[place]:
            incoming[target] -= 1
            if not incoming[target]:
                free.append(target)
    return left


def _field(value: object, key: str) -> object:
    return cast(dict[str, object], value).get(key) if isinstance(value, dict) else None


def _source(edge: object) -> object:
    """The first of an edge's ends, whatever the edge is."""
    ends = cast(list[object], edge) if isinstance(edge, list) else []
    return ends[0] if ends and type(ends[0]) is int else None
