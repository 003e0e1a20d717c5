"""An update graph as a file: what hosts read of it, and whatever else is written there. Pure.

The file is read with the hosts' own eyes (:func:`~tidegate.discovery.graph.parse_graph`), and so is all that is
written: a document is made of its text alone, so that there is none that hosts would refuse. Beyond what hosts look at,
no edge may lead to a release that is not newer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from tidegate.discovery.graph import MAX_GRAPH_BYTES, Graph, Node, parse_graph
from tidegate.discovery.rollout import rollout_of
from tidegate.errors import TidegateError
from tidegate.publish.faults import refused, unknown_version

Fields = Mapping[str, object]
Edge = tuple[int, int]
"""From where to where, as places in the nodes."""

_BY_HAND = "correct the file by hand, or start a new one"


@dataclass(frozen=True, slots=True)
class Document:
    """A graph that hosts take. ``raw`` is its text, ``fields`` all of its JSON, ``graph`` what hosts make of it."""

    raw: bytes
    fields: Fields
    graph: Graph

    @property
    def nodes(self) -> Sequence[Fields]:
        """The releases, with every key that they have."""
        return cast(Sequence[Fields], self.fields["nodes"])

    @property
    def edges(self) -> Sequence[Edge]:
        """The edges, in their order."""
        return list(zip(self.graph.sources, self.graph.targets, strict=True))

    @property
    def versions(self) -> Sequence[str]:
        """The versions, in the order of the nodes."""
        return [node.version for node in self.graph.nodes]

    def place_of(self, version: str) -> int:
        """Where the release ``version`` is.

        Raises:
            TidegateError: ``publish.refused``; there is none.
        """
        try:
            return self.versions.index(version)
        except ValueError:
            raise unknown_version(version, self.versions) from None

    def node(self, version: str) -> Node:
        """The release ``version`` as hosts see it; raises as :meth:`place_of`."""
        return self.graph.nodes[self.place_of(version)]

    def with_nodes_and_edges(self, nodes: Sequence[Fields], edges: Iterable[Edge]) -> Document:
        """This document with other nodes and edges; itself where they are the same.

        Raises:
            TidegateError: ``publish.refused``; hosts would not take it.
        """
        listed = list(edges)
        if nodes == self.nodes and listed == self.edges:
            return self
        return read(_text({**self.fields, "nodes": nodes, "edges": listed}), "use other versions, edges or numbers")


def empty() -> Document:
    """A graph of no releases."""
    return read(_text({"nodes": [], "edges": []}))


def read(raw: bytes, remedy: str = _BY_HAND) -> Document:
    """A graph from its text.

    Raises:
        TidegateError: ``publish.refused``, with ``remedy``; hosts would not take it.
    """
    if len(raw) > MAX_GRAPH_BYTES:
        few = "let fewer edges lead to each release: --from-last"
        raise refused(f"the graph would have {len(raw)} bytes, and hosts read {MAX_GRAPH_BYTES} at most", few)
    try:
        graph = parse_graph(raw)
        _check_rollouts(graph)
    except TidegateError as error:
        raise refused(f"hosts would refuse this graph: {error.message}", remedy) from error
    _check_edges(graph, remedy)
    return Document(raw, cast(Fields, json.loads(raw)), graph)


def _check_rollouts(graph: Graph) -> None:
    for node in graph.nodes:
        rollout_of(node.release)


def _check_edges(graph: Graph, remedy: str) -> None:
    for source, target in zip(graph.sources, graph.targets, strict=True):
        older, newer = graph.nodes[source], graph.nodes[target]
        if newer.age_index <= older.age_index:
            ages = f"age index {older.age_index} to {newer.age_index}"
            raise refused(f"the edge from {older.version} to {newer.version} leads to no newer release: {ages}", remedy)


def _text(fields: Fields) -> bytes:
    """JSON with one node and one edge a line, so that a change of a graph is a small change of its text."""
    return ("{\n" + ",\n".join(f"{_dump(key)}: {_lines(value)}" for key, value in fields.items()) + "\n}\n").encode()


def _lines(value: object) -> str:
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(map(_dump, cast("list[object]", value))) + "\n]"
    return json.dumps(value)


def _dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
