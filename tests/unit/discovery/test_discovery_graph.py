"""Parsing of update graphs, and rejection of invalid ones with the place of the fault."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.discovery.graph import parse_graph
from tidegate.discovery.graph_keys import (
    AGE_INDEX_KEY,
    BARRIER_KEY,
    DEAD_END_KEY,
    DEAD_END_REASON_KEY,
    SCHEME_KEY,
)
from tidegate.errors import ErrorKind, TidegateError

Json = dict[str, Any]

LARGE_GRAPH_NODES = 10_000
LARGE_GRAPH_CPU_SECS = 1.0
"""Ten times what it takes: enough for a busy machine, far too little for anything quadratic."""


def node(index: int, **metadata: str) -> Json:
    """A release as Fedora CoreOS lists it; keyword names stand for the keys' last parts."""
    keys = {"barrier": BARRIER_KEY, "deadend": DEAD_END_KEY, "deadend_reason": DEAD_END_REASON_KEY}
    extra = {keys[key]: value for key, value in metadata.items()}
    return {
        "version": f"{index}.0",
        "payload": f"{index:064x}",
        "metadata": {SCHEME_KEY: "checksum", AGE_INDEX_KEY: str(index), **extra},
    }


def chain(length: int) -> Json:
    return {"nodes": [node(i) for i in range(length)], "edges": [[i, i + 1] for i in range(length - 1)]}


def raw(graph: Json) -> bytes:
    return json.dumps(graph).encode()


def refusal(text: bytes) -> str:
    with pytest.raises(TidegateError) as caught:
        parse_graph(text)
    assert caught.value.kind is ErrorKind.DISCOVERY_NONSENSE
    assert caught.value.remedy
    assert len(caught.value.message) < 600
    assert caught.value.message.isprintable()
    return caught.value.message


def test_only_direct_successors_are_offered() -> None:
    graph = chain(4)
    graph["edges"].append([0, 2])
    offers = parse_graph(raw(graph)).offers(f"{0:064x}")
    assert offers.booted_known
    assert offers.booted is not None
    assert offers.booted.version == "0.0"
    assert [release.version for release in offers.candidates] == ["1.0", "2.0"]
    assert offers.candidates[0].age_index == 1
    assert offers.candidates[0].metadata[SCHEME_KEY] == "checksum"
    assert offers.dead_end is None


def test_the_booted_release_is_known_by_its_payload_alone() -> None:
    offers = parse_graph(raw(chain(2))).offers("f" * 64)
    assert (offers.candidates, offers.booted_known, offers.dead_end) == ((), False, None)


def test_the_newest_release_is_offered_nothing() -> None:
    offers = parse_graph(raw(chain(2))).offers(f"{1:064x}")
    assert (offers.candidates, offers.booted_known) == ((), True)


def test_an_empty_graph_is_a_graph() -> None:
    assert parse_graph(b'{"nodes": [], "edges": []}').offers("f" * 64).booted is None


@pytest.mark.parametrize(
    ("metadata", "dead_end"),
    [
        ({"deadend": "true", "deadend_reason": "https://example.org/215"}, "https://example.org/215"),
        ({"deadend": "true", "deadend_reason": "two\nlines \x1b[2J"}, "two lines [2J"),
        ({"deadend": "true", "deadend_reason": " "}, "no reason given"),
        ({"deadend": "true"}, "no reason given"),
        ({"deadend": "false", "deadend_reason": "x"}, None),
        ({"deadend_reason": "x"}, None),
    ],
)
def test_dead_ends(metadata: dict[str, str], dead_end: str | None) -> None:
    offers = parse_graph(raw({"nodes": [node(0, **metadata)], "edges": []})).offers(f"{0:064x}")
    assert offers.dead_end == dead_end


def test_nothing_leads_away_from_a_dead_end() -> None:
    graph = chain(3)
    graph["nodes"][1] = node(1, deadend="true", deadend_reason="no way on")
    offers = parse_graph(raw(graph)).offers(f"{1:064x}")
    assert (offers.candidates, offers.deferred, offers.dead_end) == ((), (), "no way on")
    assert parse_graph(raw(graph)).offers(f"{0:064x}").candidates, "it may still be gone to"


def all_ways(length: int, **barriers: str) -> Json:
    """Every release leads to every newer one."""
    graph = chain(length)
    graph["edges"] = [[i, j] for j in range(length) for i in range(j)]
    for place, value in barriers.items():
        graph["nodes"][int(place.removeprefix("n"))] = node(int(place.removeprefix("n")), barrier=value)
    return graph


@pytest.mark.parametrize(
    ("booted", "candidates", "deferred"),
    [(0, [1, 2], [3, 4, 5]), (1, [2], [3, 4, 5]), (2, [3, 4], [5]), (3, [4], [5]), (4, [5], []), (5, [], [])],
)
def test_nothing_leads_past_a_barrier(booted: int, candidates: list[int], deferred: list[int]) -> None:
    offers = parse_graph(raw(all_ways(6, n2="true", n4="true"))).offers(f"{booted:064x}")
    assert [release.age_index for release in offers.candidates] == candidates
    assert [held.release.age_index for held in offers.deferred] == deferred
    barrier = "2.0" if booted < 2 else "4.0"
    assert {held.reason for held in offers.deferred} <= {
        f"comes after the barrier {barrier}, which every host has to go through"
    }


def test_a_barrier_that_is_none_and_a_way_down_past_one() -> None:
    assert len(parse_graph(raw(all_ways(3, n1="false"))).offers(f"{0:064x}").candidates) == 2
    graph = chain(3)
    graph["edges"] = [[2, 0]]
    graph["nodes"][1] = node(1, barrier="true")
    assert len(parse_graph(raw(graph)).offers(f"{2:064x}").candidates) == 1, "whether to go down is for policy to say"


def test_an_edge_given_twice_counts_once() -> None:
    graph = chain(2)
    graph["edges"] *= 2
    assert len(parse_graph(raw(graph)).offers(f"{0:064x}").candidates) == 1


def test_unknown_keys_are_passed_over() -> None:
    graph = chain(2)
    graph["version"] = 1
    graph["nodes"][0]["channels"] = None
    assert parse_graph(raw(graph)).offers(f"{0:064x}").candidates


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"", "not JSON: Expecting value at line 1, column 1 (byte 0 of 0)"),
        (b'{"nodes": [', "not JSON: Expecting value at line 1, column 12"),
        (b"\xef\xbb\xbf{}", "starts with a byte order mark"),
        (b'{"nodes": "\xff"}', "not UTF-8 at byte 11"),
        ('{"nodes": []}'.encode("utf-16"), "not UTF-8 at byte 0"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 200_000, "nested too deeply"),
        (b'{"nodes": [NaN], "edges": []}', "NaN is not a JSON number"),
        (b'{"nodes": [-Infinity], "edges": []}', "-Infinity is not a JSON number"),
        (b'{"nodes": [], "edges": [[0, 1' + b"0" * 5000 + b"]]}", "a number has thousands of digits"),
        (b'{"nodes": [], "nodes": [], "edges": []}', "an object has the key 'nodes' twice"),
        (b"null", "the graph is None, not an object"),
        (b"[]", "the graph is a list, not an object"),
        (b"{}", "nodes is missing"),
        (b'{"nodes": []}', "edges is missing"),
        (b'{"nodes": {}, "edges": []}', "nodes is a dict, not a list"),
        (b'{"nodes": [], "edges": null}', "edges is None, not a list"),
        (b'{"nodes": [7], "edges": []}', "nodes[0] is 7, not an object"),
    ],
)
def test_text_that_is_no_graph(text: bytes, what: str) -> None:
    assert what in refusal(text)


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        ("payload", None, "nodes[1].payload is missing"),
        ("payload", "", "nodes[1].payload is '', not a line of text"),
        ("payload", 5, "nodes[1].payload is 5, not a line of text"),
        ("payload", "a\nb", "nodes[1].payload is 'a\\nb', not a line of text"),
        ("version", "\x1b[31m", "nodes[1].version is '\\x1b[31m', not a line of text"),
        ("version", "\ud800", "nodes[1].version is '\\ud800', not a line of text"),
        ("version", "0.0", "nodes[0] and nodes[1] have the same version '0.0'"),
        ("payload", "0" * 64, "nodes[0] and nodes[1] have the same payload"),
        ("metadata", [], "nodes[1].metadata is a list, not an object"),
        ("metadata", {}, f"nodes[1].metadata['{AGE_INDEX_KEY}'] is missing"),
        ("metadata", {AGE_INDEX_KEY: 1}, "is 1, not text"),
        ("metadata", {AGE_INDEX_KEY: "x"}, "is 'x', not a number in quotes"),
        ("metadata", {AGE_INDEX_KEY: "-1"}, "is '-1', not a number in quotes"),
        ("metadata", {AGE_INDEX_KEY: "1.5"}, "is '1.5', not a number in quotes"),
        ("metadata", {AGE_INDEX_KEY: "1_0"}, "is '1_0', not a number in quotes"),
        ("metadata", {AGE_INDEX_KEY: "9" * 19}, "not a number in quotes"),
        ("metadata", {AGE_INDEX_KEY: "1", "a": "\udfff"}, "nodes[1].metadata['a'] holds half of a surrogate pair"),
        ("metadata", {AGE_INDEX_KEY: "1", "\udc00": ""}, "nodes[1].metadata['\\udc00'] holds half of a surrogate pair"),
        ("metadata", {AGE_INDEX_KEY: "1", "b" * 500: None}, "...] is None, not text"),
    ],
)
def test_a_node_that_makes_no_sense(key: str, value: object, what: str) -> None:
    graph = chain(3)
    graph["nodes"][1][key] = value
    assert what in refusal(raw(graph))


AGED = f'"{AGE_INDEX_KEY}": "1"'


@pytest.mark.parametrize(
    "node",
    [
        f'{{"version": "1", "payload": "p", "metadata": {{{AGED}, "twin": "a", "twin": "b"}}}}',
        f'{{"version": "1", "payload": "p", "metadata": {{{AGED}, "twin": "a", "twin": "\\"\\""}}}}',
        f'{{"version": "1", "payload": "p", "metadata": {{"twin": "c", "twin": "d"}}, "metadata": {{{AGED}}}}}',
        f'{{"version": "1", "twin": "o", "payload": "p", "metadata": {{{AGED}}}, "twin": "p"}}',
        f'{{"version": "1", "payload": "p", "metadata": {{{AGED}}}, "beyond": [{{"twin": [], "twin": 2}}]}}',
        f'{{"version": "1", "payload": "p", "metadata": {{{AGED}}}, "beyond": 1, "twin": 1, "twin": 2}}',
    ],
)
def test_a_key_given_twice_is_found_wherever_it_is(node: str) -> None:
    assert "an object has the key 'twin' twice" in refusal(f'{{"nodes": [{node}], "edges": []}}'.encode())


@pytest.mark.parametrize(
    "node",
    [
        f'{{"version": "1", "payload": "p", "metadata": {{{AGED}}}}}',
        f'{{"version": "1", "payload": "p", "metadata": {{{AGED}, "said": "\\"no\\" \\u0022 \\\\"}}}}',
        f'{{"version": "1", "payload": "p", "metadata": {{{AGED}}}, "beyond": {{"a": "b"}}, "more": "c"}}',
        f'{{ "version" : "1" , "payload" : "p" , "metadata" : {{ {AGED} }} }}',
    ],
)
def test_whatever_else_a_node_has_and_however_it_is_written_it_is_one(node: str) -> None:
    (read,) = parse_graph(f'{{"nodes": [{node}], "edges": []}}'.encode()).nodes
    assert (read.version, read.payload, read.age_index) == ("1", "p", 1)


@pytest.mark.parametrize(
    ("edge", "what"),
    [
        ([0, 3], "edges[2] is a list, but the nodes are numbered 0 to 2"),
        ([-1, 0], "but the nodes are numbered 0 to 2"),
        ([0, 10**4000], "but the nodes are numbered 0 to 2"),
        ([1, 1], "edges[2] leads from nodes[1] to itself"),
        ([0, 1.0], "edges[2] is a list, not a pair of node numbers"),
        ([False, True], "edges[2] is a list, not a pair of node numbers"),
        ([0], "edges[2] is a list, not a pair of node numbers"),
        ([0, 1, 2], "edges[2] is a list, not a pair of node numbers"),
        ("01", "edges[2] is '01', not a pair of node numbers"),
        ({"from": 0}, "edges[2] is a dict, not a pair of node numbers"),
        ({"from": 0, "to": 1}, "edges[2] is a dict, not a pair of node numbers"),
    ],
)
def test_an_edge_that_makes_no_sense(edge: object, what: str) -> None:
    graph = chain(3)
    graph["edges"].append(edge)
    assert what in refusal(raw(graph))


def test_a_circle_is_named_without_what_merely_hangs_on_it() -> None:
    graph = chain(6)
    graph["edges"].append([3, 2])
    assert "2 releases form a cycle" in refusal(raw(graph))
    assert "nodes[2] '2.0'" in refusal(raw(graph))
    assert "nodes[5]" not in refusal(raw(graph))


def test_a_long_circle_is_named_in_part() -> None:
    graph = chain(5000)
    graph["edges"].append([4999, 0])
    message = refusal(raw(graph))
    assert "5000 releases form a cycle" in message
    assert message.endswith(" ...")


@given(st.data())
def test_exactly_the_graphs_without_circles_pass(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 7))
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)).filter(lambda pair: pair[0] != pair[1])
    edges = data.draw(st.lists(pairs, max_size=12))
    graph = raw({"nodes": [node(i) for i in range(count)], "edges": edges})
    if _has_circle(count, set(edges)):
        assert "form a cycle" in refusal(graph)
    else:
        assert set(_edges_of(graph, count)) == set(edges)


def _has_circle(count: int, edges: set[tuple[int, int]]) -> bool:
    """The slow way: what leads to what over any number of steps (Warshall)."""
    reach = set(edges)
    for via in range(count):
        reach |= {(a, c) for a in range(count) for c in range(count) if (a, via) in reach and (via, c) in reach}
    return any((place, place) in reach for place in range(count))


def _edges_of(graph: bytes, count: int) -> list[tuple[int, int]]:
    parsed = parse_graph(graph)
    offers = [parsed.offers(f"{i:064x}") for i in range(count)]
    return [(i, release.age_index or 0) for i, offer in enumerate(offers) for release in offer.candidates]


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(ANY_JSON)
@settings(max_examples=60)
def test_no_json_brings_anything_but_a_graph_or_a_refusal(value: object) -> None:
    texts: list[object] = [value, {"nodes": value, "edges": []}, {"nodes": [node(0)], "edges": value}]
    for text in texts:
        assert kind_of_refusal(json.dumps(text).encode()) in {None, ErrorKind.DISCOVERY_NONSENSE}


def kind_of_refusal(text: bytes) -> ErrorKind | None:
    try:
        parse_graph(text)
    except TidegateError as error:
        return error.kind
    return None


@given(st.binary())
def test_no_bytes_bring_anything_but_a_refusal(text: bytes) -> None:
    refusal(text)


def test_large_graphs_take_linear_time() -> None:
    graph = chain(LARGE_GRAPH_NODES)
    graph["edges"] += [[i, i + 2] for i in range(LARGE_GRAPH_NODES - 2)]
    text = raw(graph)
    start = time.process_time()
    offers = parse_graph(text).offers(f"{LARGE_GRAPH_NODES - 3:064x}")
    assert time.process_time() - start < LARGE_GRAPH_CPU_SECS
    assert len(offers.candidates) == 2
