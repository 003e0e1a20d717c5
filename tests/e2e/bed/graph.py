"""The update graph, in the format that Cincinnati servers speak."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tests.e2e.bed.depot import Release

SCHEME_KEY = "org.fedoraproject.coreos.scheme"
AGE_KEY = "org.fedoraproject.coreos.releases.age_index"


def graph_json(releases: Sequence[Release]) -> str:
    """A graph of ``releases``, the oldest first, with an edge from each to every newer one."""
    nodes = [_node(index, release) for index, release in enumerate(releases)]
    edges = [[older, newer] for newer in range(len(nodes)) for older in range(newer)]
    return json.dumps({"nodes": nodes, "edges": edges})


def _node(index: int, release: Release) -> dict[str, object]:
    metadata = {SCHEME_KEY: "checksum", AGE_KEY: str(index)}
    return {"version": release.version, "payload": release.payload, "metadata": metadata}
