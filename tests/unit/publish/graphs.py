"""Graphs to publish into, and what tests ask of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import cast

from tidegate.publish import document, plan
from tidegate.publish.document import Document

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
DAY_SECS = 86_400


def payload_of(version: str) -> str:
    """A checksum that belongs to a version."""
    return hashlib.sha256(version.encode()).hexdigest()


def new(version: str, origins: plan.Origins = plan.ALL, **given: object) -> plan.NewRelease:
    """A release to be published."""
    return plan.NewRelease(version, payload_of(version), origins, **given)  # type: ignore[arg-type] # as given


def graph_of(*versions: str) -> Document:
    """A graph of releases, the oldest first, published one after the other."""
    graph = document.empty()
    for version in versions:
        graph = plan.with_release(graph, new(version))
    return graph


def ways(graph: Document) -> set[tuple[str, str]]:
    """The edges, by versions."""
    versions = graph.versions
    return {(versions[source], versions[target]) for source, target in graph.edges}


def metadata_of(graph: Document, version: str) -> Mapping[str, str]:
    """What a release says of itself."""
    return cast("Mapping[str, str]", graph.nodes[graph.place_of(version)]["metadata"])
