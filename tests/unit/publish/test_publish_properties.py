"""Whatever is done to a graph in whatever order: hosts take what comes of it, and nothing leads down."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.publish.graphs import NOW, new
from tidegate.discovery.graph import parse_graph
from tidegate.discovery.rollout import Rollout, rollout_of
from tidegate.errors import ErrorKind, TidegateError
from tidegate.publish import document, plan
from tidegate.publish.document import Document
from tidegate.publish.plan import WITHDRAWN_KEY

Change = tuple[Callable[..., Document], tuple[object, ...]]
"""What is called on the graph, and with what."""

VERSIONS = st.sampled_from(["1", "2", "3", "4", "5", "6"])
REASONS = st.text(max_size=12)
EPOCH = int(NOW.timestamp())
SEEDS = st.sampled_from([
    document.empty().raw,
    b'{"nodes": [], "edges": [], "more": {"x": 1}}',
    json.dumps({
        "edges": [[1, 0]],
        "nodes": [
            {"version": "3", "payload": "c3", "metadata": {"org.fedoraproject.coreos.releases.age_index": "7"}, "a": 1},
            {"version": "2", "payload": "c2", "metadata": {"org.fedoraproject.coreos.releases.age_index": "3"}, "b": 2},
        ],
    }).encode(),
])  # fmt: skip

ROLLOUTS = st.none() | st.builds(
    Rollout,
    st.integers(EPOCH - 10**6, EPOCH + 10**6),
    st.floats(-0.5, 1.5),
    st.none() | st.integers(1, 10_000).map(lambda minutes: minutes * 60),
)
ORIGINS = (
    st.just(plan.ALL)
    | st.builds(plan.FromLast, st.integers(0, 3))
    | st.builds(plan.FromVersions, st.lists(VERSIONS, max_size=3).map(tuple))
)


@st.composite
def releases(draw: st.DrawFn) -> plan.NewRelease:
    """A release to be published, well or badly."""
    return new(
        draw(VERSIONS),
        draw(ORIGINS),
        age_index=draw(st.none() | st.integers(0, 9)),
        rollout=draw(ROLLOUTS),
        barrier=draw(st.booleans()),
        rollback_floor=draw(st.none() | VERSIONS),
    )


def calls(function: Callable[..., Document], *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Change]:
    """A change by ``function``."""
    return st.tuples(st.just(function), st.tuples(*arguments))


CHANGES = st.one_of(
    calls(plan.with_release, releases()),
    calls(plan.withdrawn, VERSIONS, REASONS),
    calls(plan.reinstated, VERSIONS),
    calls(plan.dead_end, VERSIONS, REASONS),
    calls(plan.no_dead_end, VERSIONS),
    calls(plan.barrier, VERSIONS),
    calls(plan.no_barrier, VERSIONS),
    calls(plan.rolled_out, VERSIONS, ROLLOUTS),
    calls(plan.paused, VERSIONS, st.just(NOW)),
)


@settings(max_examples=100)
@given(SEEDS, st.lists(CHANGES, max_size=12))
def test_whatever_is_accepted_is_a_graph_for_hosts_in_which_nothing_leads_down(
    seed: bytes, changes: list[Change]
) -> None:
    graph = document.read(seed)
    for change in changes:
        before, graph = graph, _changed(graph, change)
        _check(graph)
        _check_kept(before, graph)


def _changed(graph: Document, change: Change) -> Document:
    """The graph afterwards, which is the same where the change is refused."""
    function, arguments = change
    try:
        changed = function(graph, *arguments)
    except TidegateError as error:
        refusal = error
    else:
        assert function(changed, *arguments) is changed, "the same again changes nothing"
        return changed
    assert refusal.kind in {ErrorKind.PUBLISH_REFUSED, ErrorKind.ENGINE_BAD_ARGUMENT}
    assert refusal.remedy
    return graph


def _check(graph: Document) -> None:
    seen = parse_graph(graph.raw)
    for source, target in zip(seen.sources, seen.targets, strict=True):
        assert seen.nodes[source].age_index < seen.nodes[target].age_index
        assert WITHDRAWN_KEY not in seen.nodes[target].metadata
    for node in seen.nodes:
        rollout_of(node.release)


def _check_kept(before: Document, after: Document) -> None:
    """What was there is there still, in its place, with every key but those that changes are about."""
    assert {**before.fields, "nodes": 0, "edges": 0} == {**after.fields, "nodes": 0, "edges": 0}
    for old, now in zip(before.nodes, after.nodes, strict=False):
        assert {**old, "metadata": 0} == {**now, "metadata": 0}
    assert len(before.nodes) <= len(after.nodes)
