"""An update graph as a file, with all keys that it has. Pure.

Documents are made by parsing text with the parser that hosts use (:func:`~tidegate.discovery.graph.parse_graph`), after
each change too, so that no document exists that hosts would reject. Beyond the checks of hosts, every edge has to lead
to a newer release.
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
"""Source and target, as indices of nodes."""

_BY_HAND = "correct the file by hand, or start a new one"


@dataclass(frozen=True, slots=True)
class Document:
    """A valid graph. ``raw`` is its text, ``fields`` its JSON with all keys, ``graph`` what hosts parse from it."""

    raw: bytes
    fields: Fields
    graph: Graph

    @property
    def nodes(self) -> Sequence[Fields]:
        """The releases, with all their keys."""
        return cast(Sequence[Fields], self.fields["nodes"])

    @property
    def edges(self) -> Sequence[Edge]:
        """The edges, in the order of the file."""
        return list(zip(self.graph.sources, self.graph.targets, strict=True))

    @property
    def versions(self) -> Sequence[str]:
        """The versions, in the order of the nodes."""
        return [node.version for node in self.graph.nodes]

    def place_of(self, version: str) -> int:
        """The index of the release ``version``.

        Raises:
            TidegateError: ``publish.refused``; there is no such release.
        """
        try:
            return self.versions.index(version)
        except ValueError:
            raise unknown_version(version, self.versions) from None

    def node(self, version: str) -> Node:
        """The release ``version`` as hosts parse it; raises as :meth:`place_of`."""
        return self.graph.nodes[self.place_of(version)]

    def with_nodes_and_edges(self, nodes: Sequence[Fields], edges: Iterable[Edge]) -> Document:
        """A document with these nodes and edges; this one if nothing has changed.

        Raises:
            TidegateError: ``publish.refused``; hosts would reject the result.
        """
        listed = list(edges)
        if nodes == self.nodes and listed == self.edges:
            return self
        return read(_text({**self.fields, "nodes": nodes, "edges": listed}), "use other versions, edges or numbers")


def empty() -> Document:
    """A graph without releases."""
    return read(_text({"nodes": [], "edges": []}))


def read(raw: bytes, remedy: str = _BY_HAND) -> Document:
    """Parse a graph.

    Raises:
        TidegateError: ``publish.refused``, with ``remedy``; hosts would reject it.
    """
    if len(raw) > MAX_GRAPH_BYTES:
        fewer = "use fewer edges for each release: --from-last"
        raise refused(f"the graph would have {len(raw)} bytes, and hosts read {MAX_GRAPH_BYTES} at most", fewer)
    try:
        graph = parse_graph(raw)
        _check_rollouts(graph)
    except TidegateError as error:
        raise refused(f"hosts would reject this graph: {error.message}", remedy) from error
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
            raise refused(
                f"the edge from {older.version} to {newer.version} does not lead to a newer release: {ages}", remedy
            )


def _text(fields: Fields) -> bytes:
    """JSON with each node and each edge on a line of its own, so that diffs of a graph are small."""
    return ("{\n" + ",\n".join(f"{_dump(key)}: {_lines(value)}" for key, value in fields.items()) + "\n}\n").encode()


def _lines(value: object) -> str:
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(map(_dump, cast("list[object]", value))) + "\n]"
    return json.dumps(value)


def _dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
