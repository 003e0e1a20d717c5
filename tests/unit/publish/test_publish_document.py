"""Graphs as files: what is kept, what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.publish.graphs import graph_of, payload_of
from tidegate.discovery.graph import MAX_GRAPH_BYTES
from tidegate.discovery.graph_keys import AGE_INDEX_KEY
from tidegate.discovery.rollout import DURATION_KEY, ROLLOUT_KEY, START_EPOCH_KEY
from tidegate.errors import ErrorKind, TidegateError
from tidegate.publish import document, plan


def node(version: str, age: int, **extra: str) -> dict[str, Any]:
    return {"version": version, "payload": payload_of(version), "metadata": {AGE_INDEX_KEY: str(age), **extra}}


def raw(*nodes: dict[str, Any], edges: object = (), **more: object) -> bytes:
    return json.dumps({"nodes": nodes, "edges": edges, **more}).encode()


def test_a_text_is_one_node_and_one_edge_a_line() -> None:
    lines = graph_of("1", "2").raw.decode().splitlines()
    assert [line for line in lines if "version" in line] == [lines[2], lines[3]]
    assert "[0,1]" in lines
    assert json.loads("\n".join(lines))["edges"] == [[0, 1]]


def test_an_empty_graph_is_one_that_hosts_read() -> None:
    assert document.empty().versions == []


def test_what_is_not_changed_keeps_its_very_text() -> None:
    spaced = b'\n { "edges": [ ] , "nodes":[] }'
    graph = document.read(spaced)
    assert graph.with_nodes_and_edges([], []) is graph
    assert graph.raw == spaced


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"{}", "nodes is missing"),
        (b"[", "not JSON"),
        (raw(node("1", 0), node("1", 1)), "the same version"),
        (raw(node("1", 0), {**node("2", 1), "payload": payload_of("1")}), "the same payload"),
        (raw(node("1", 0), node("2", 1), edges=[[0, 1], [1, 0]]), "form a cycle"),
        (raw(node("1", 0), node("2", 1), edges=[[0, 2]]), "numbered 0 to 1"),
        (
            raw(node("1", 0), node("2", 1), edges=[[1, 0]]),
            "from 2 to 1 does not lead to a newer release: age index 1 to 0",
        ),
        (
            raw(node("1", 4), node("2", 4), edges=[[0, 1]]),
            "from 1 to 2 does not lead to a newer release: age index 4 to 4",
        ),
        (raw(node("1", 0, **{ROLLOUT_KEY: "true", START_EPOCH_KEY: "soon"})), "the rollout of 1"),
        (raw(node("1", 0, **{ROLLOUT_KEY: "true", DURATION_KEY: "-5"})), "the rollout of 1"),
    ],
)
def test_what_hosts_refuse_is_refused(text: bytes, told: str) -> None:
    with pytest.raises(TidegateError, match=told) as caught:
        document.read(text)
    assert caught.value.kind is ErrorKind.PUBLISH_REFUSED
    assert caught.value.remedy


def test_a_graph_larger_than_hosts_read_is_refused() -> None:
    large = raw(node("1", 0), padding="x" * MAX_GRAPH_BYTES)
    with pytest.raises(TidegateError, match=f"hosts read {MAX_GRAPH_BYTES} at most"):
        document.read(large)


def test_keys_that_are_not_ours_are_kept() -> None:
    before = document.read(raw({**node("1", 0), "sbom": {"a": [1]}}, node("2", 1), edges=[[0, 1]], stream="stable"))
    after = plan.withdrawn(plan.dead_end(before, "1", "gone"), "2", "bad")
    assert after.fields["stream"] == "stable"
    assert after.nodes[0]["sbom"] == {"a": [1]}
