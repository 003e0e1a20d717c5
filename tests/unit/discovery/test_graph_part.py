"""An update graph with flaws: those elsewhere are left out and counted, those on this host's way refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.fakes.builders import WAIT, Walk, host, offers, steady
from tests.unit.discovery.test_discovery_graph import chain, node
from tidegate.discovery.base import Offers
from tidegate.discovery.graph import parse_graph
from tidegate.discovery.graph_keys import AGE_INDEX_KEY, BARRIER_KEY
from tidegate.discovery.graph_part import offers_of
from tidegate.errors import ErrorKind, TidegateError
from tidegate.machine.effects import Announce, Effect
from tidegate.machine.events import CheckAsked, Completed
from tidegate.machine.topics import Topic

Json = dict[str, Any]
BOOTED = f"{1:064x}"

LENGTH = 6
"""A chain 0 -> 1 -> ... -> 5, of which 1 is booted and 2 is offered. What a test adds is beside it."""


def graph(change: Callable[[Json], object]) -> bytes:
    made = chain(LENGTH)
    change(made)
    return json.dumps(made).encode()


def beside(flawed: object) -> Callable[[Json], None]:
    return lambda made: made["nodes"].append(flawed)


def without_age(place: int) -> Callable[[Json], None]:
    return lambda made: made["nodes"][place]["metadata"].pop(AGE_INDEX_KEY)


def edge(*ends: object) -> Callable[[Json], None]:
    return lambda made: made["edges"].append(list(ends))


def same_payload(one: int, other: int) -> Callable[[Json], None]:
    return lambda made: made["nodes"][one].update(payload=made["nodes"][other]["payload"])


def barrier_without_age(place: int) -> Callable[[Json], None]:
    def change(made: Json) -> None:
        made["nodes"][place]["metadata"] = {BARRIER_KEY: "true"}

    return change


ELSEWHERE: dict[str, Callable[[Json], object]] = {
    "an unreachable node without age_index": beside({"version": "9", "payload": "f" * 64, "metadata": {}}),
    "a node that is no object": beside("9"),
    "an older node without age_index": without_age(0),
    "a node ahead without age_index": without_age(4),
    "a payload twice": same_payload(4, 5),
    "a version twice": lambda made: made["nodes"][4].update(version="5.0"),
    "an edge out of range": edge(4, 99),
    "an edge to itself": edge(5, 5),
    "an edge of three": edge(3, 4, 5),
    "an edge that is no list": lambda made: made["edges"].append({"from": 3}),
    "a cycle ahead": edge(5, 3),
    "a cycle beside": lambda made: (made["nodes"].extend((node(8), node(9))), made["edges"].extend(([6, 7], [7, 6]))),
    "an unreachable barrier without age_index": beside(
        {"version": "9", "payload": "e", "metadata": {BARRIER_KEY: "true"}}
    ),
}
ON_THE_WAY: dict[str, Callable[[Json], object]] = {
    "the booted release": without_age(1),
    "the booted release's payload twice": same_payload(5, 1),
    "a candidate": without_age(2),
    "a candidate's payload twice": same_payload(2, 4),
    "a candidate that is no object": lambda made: made["nodes"].__setitem__(2, None),
    "a barrier ahead": barrier_without_age(4),
    "an edge from the booted release": edge(1, 99),
    "an edge from the booted release to a name": edge(1, "2.0"),
    "a cycle with the booted release": edge(2, 1),
    "a cycle with a candidate": edge(4, 2),
}


@pytest.mark.parametrize("what", ELSEWHERE)
def test_a_flaw_elsewhere_is_left_out_and_counted(what: str) -> None:
    text = graph(ELSEWHERE[what])
    with pytest.raises(TidegateError):
        parse_graph(text)
    found = offers_of(text, BOOTED)
    assert [release.version for release in found.candidates] == ["2.0"]
    assert found.booted is not None
    assert found.booted.version == "1.0"
    assert 1 <= found.flaw_count <= 2, "of a pair, both"
    assert len(found.flaws) == found.flaw_count
    assert all(flaw.isprintable() for flaw in found.flaws)


@pytest.mark.parametrize("what", ON_THE_WAY)
def test_a_flaw_on_the_way_refuses(what: str) -> None:
    with pytest.raises(TidegateError) as caught:
        offers_of(graph(ON_THE_WAY[what]), BOOTED)
    assert caught.value.kind is ErrorKind.DISCOVERY_NONSENSE
    assert caught.value.remedy


def test_many_flaws_are_all_counted_and_some_named() -> None:
    found = offers_of(graph(lambda made: made["nodes"].extend({"version": "x"} for _ in range(40))), BOOTED)
    assert (found.flaw_count, len(found.flaws)) == (40, 5)


def test_a_barrier_holds_in_a_graph_with_flaws_as_well() -> None:
    made = chain(LENGTH)
    made["edges"] += [[1, 3], [4, 99]]
    made["nodes"][2] = node(2, barrier="true")
    found = offers_of(json.dumps(made).encode(), BOOTED)
    assert [release.version for release in found.candidates] == ["2.0"]
    assert [held.release.version for held in found.deferred] == ["3.0"]


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"nodes": []}', b'{"nodes": {}, "edges": []}'])
def test_what_is_no_graph_is_refused(text: bytes) -> None:
    with pytest.raises(TidegateError):
        offers_of(text, BOOTED)


def test_a_sound_graph_has_no_flaws() -> None:
    text = json.dumps(chain(LENGTH)).encode()
    assert offers_of(text, BOOTED) == parse_graph(text).offers(BOOTED)


def test_flaws_are_announced_once_and_again_where_they_change() -> None:
    flawed = with_flaws(offers("2"), "edges[4] is odd")
    walk = steady().wake().answer(flawed)
    (said,) = announced(walk.effects)
    assert said.text == "the update graph has 1 flaw, and what has them is left out: edges[4] is odd"
    assert walk.state.source_flaws == (1, ("edges[4] is odd",))
    task, rest = polled(walk.answer(host(staged="2")).wake().answer(WAIT))
    assert announced(rest.feed(Completed(task, flawed)).effects) == []
    task, rest = polled(rest)
    assert announced(rest.feed(Completed(task, with_flaws(offers("2"), "edges[5] is odd"))).effects) != []


def polled(walk: Walk) -> tuple[int, Walk]:
    """The walk with discovery asked again."""
    walk.feed(CheckAsked(7)).wake()
    assert walk.state.poll.task is not None
    return walk.state.poll.task, walk


def with_flaws(found: Offers, *flaws: str) -> Offers:
    return Offers(found.candidates, found.booted, found.dead_end, flaws=flaws, flaw_count=len(flaws))


def announced(effects: tuple[Effect, ...]) -> list[Announce]:
    return [one for one in effects if isinstance(one, Announce) and one.topic is Topic.SOURCE_FLAWED]
