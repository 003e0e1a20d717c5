"""From a graph to the target: the newest allowed direct successor, and no downgrade unless allowed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.discovery.graph import parse_graph
from tidegate.discovery.graph_keys import AGE_INDEX_KEY, BARRIER_KEY, DEAD_END_KEY, SCHEME_KEY
from tidegate.discovery.policy import Rules, choose
from tidegate.discovery.rollout import DURATION_KEY, ROLLOUT_KEY, START_EPOCH_KEY, START_VALUE_KEY, phased
from tidegate.release import Release

MAX_NODES = 7
NOW = datetime(2026, 11, 21, tzinfo=UTC)
ROLLOUT_SECS = 60 * 60


@dataclass(frozen=True, slots=True)
class Kind:
    """What a release in a made-up graph is like. ``started_secs``: how long its rollout, of an hour, has been on."""

    age_index: int
    is_barrier: bool
    is_dead_end: bool
    is_image: bool
    started_secs: int | None


KINDS = st.builds(
    Kind,
    st.integers(0, 9),
    st.booleans(),
    st.sampled_from([False, False, True]),
    st.sampled_from([False, False, True]),
    st.none() | st.integers(-ROLLOUT_SECS, 2 * ROLLOUT_SECS),
)


@dataclass(frozen=True, slots=True)
class World:
    """A graph, its edges, and a host in one of its releases."""

    kinds: list[Kind]
    edges: set[tuple[int, int]]
    booted: int
    denied: set[int]
    allow_downgrade: bool
    wariness: float

    @property
    def text(self) -> bytes:
        nodes = [
            {"version": str(place), "payload": f"{place:064x}", "metadata": self._metadata(kind)}
            for place, kind in enumerate(self.kinds)
        ]
        return json.dumps({"nodes": nodes, "edges": sorted(self.edges)}).encode()

    def _metadata(self, kind: Kind) -> dict[str, str]:
        texts = {SCHEME_KEY: "oci" if kind.is_image else "checksum", AGE_INDEX_KEY: str(kind.age_index)}
        if kind.started_secs is not None:
            started = NOW - timedelta(seconds=kind.started_secs)
            texts |= {ROLLOUT_KEY: "true", START_VALUE_KEY: "0", DURATION_KEY: str(ROLLOUT_SECS // 60)}
            texts |= {START_EPOCH_KEY: str(int(started.timestamp()))}
        texts |= {BARRIER_KEY: "true"} if kind.is_barrier else {}
        return texts | ({DEAD_END_KEY: "true"} if kind.is_dead_end else {})

    def allows(self, place: int) -> bool:
        """Whether every rule lets the host go to ``place``, said in another way than in the package."""
        booted, kind = self.kinds[self.booted], self.kinds[place]
        past_barrier = any(k.is_barrier and booted.age_index < k.age_index < kind.age_index for k in self.kinds)
        share = 1.0 if kind.started_secs is None else kind.started_secs / ROLLOUT_SECS
        return (
            (self.booted, place) in self.edges
            and not booted.is_dead_end
            and not past_barrier
            and not kind.is_image
            and place not in self.denied
            and (self.allow_downgrade or kind.age_index > booted.age_index)
            and (share >= self.wariness or self.wariness == 0.0)
        )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    kinds = draw(st.lists(KINDS, min_size=1, max_size=MAX_NODES))
    places = st.integers(0, len(kinds) - 1)
    pairs = draw(st.sets(st.tuples(places, places).filter(lambda pair: pair[0] != pair[1])))
    downwards = draw(st.booleans())  # one direction at a time, so that there is no circle
    edges = {(max(pair), min(pair)) if downwards else (min(pair), max(pair)) for pair in pairs}
    wariness = draw(st.sampled_from([0.0, 0.25, 0.5, 1.0]))
    return World(kinds, edges, draw(places), draw(st.sets(places)), draw(st.booleans()), wariness)


def target_of(world: World) -> Release | None:
    offers = phased(parse_graph(world.text).offers(f"{world.booted:064x}"), world.wariness, NOW)
    denied = {f"{place:064x}": "bad" for place in world.denied}
    return choose(offers, Rules(denied, allow_downgrade=world.allow_downgrade)).target


@given(worlds())
def test_the_target_is_the_newest_direct_successor_that_every_rule_allows(world: World) -> None:
    allowed = [place for place in range(len(world.kinds)) if world.allows(place)]
    target = target_of(world)
    if target is None:
        assert allowed == []
        return
    place = int(target.version)
    assert place in allowed
    assert world.kinds[place].age_index == max(world.kinds[other].age_index for other in allowed)


@given(worlds())
def test_a_host_is_never_led_down_without_leave(world: World) -> None:
    target = target_of(world)
    if target is not None and not world.allow_downgrade:
        assert world.kinds[int(target.version)].age_index > world.kinds[world.booted].age_index


# --------------------------------------------------------------------------- the example of the protocol page

EXAMPLE_PAYLOADS = (
    "7c23c4735fb3c541586f0a4d3ca956ef93ef7d76f00a19bccf51460bafa7ee97",
    "8cffe35be831fa2601d315002cb39fb22509a4e7d3db10e61f880523f69b3bf6",
    "08040bebbab87a3343a281f94bb68010df618eb6ce6ac3d4230d2595959b5da1",
)
EXAMPLE_START = 1_591_279_200
EXAMPLE_VERSIONS = ("32.20200517.1.0", "32.20200601.1.0", "32.20200601.1.1")
EXAMPLE_ROLLOUT = {
    START_EPOCH_KEY: str(EXAMPLE_START),
    START_VALUE_KEY: "0",
    ROLLOUT_KEY: "true",
    DURATION_KEY: "2880",
}


def example() -> bytes:
    """The graph of docs/development/cincinnati/response.json in Zincati."""
    nodes = [
        {
            "version": version,
            "payload": payload,
            "metadata": {AGE_INDEX_KEY: str(age), SCHEME_KEY: "checksum", **(EXAMPLE_ROLLOUT if age == 2 else {})},
        }
        for age, (version, payload) in enumerate(zip(EXAMPLE_VERSIONS, EXAMPLE_PAYLOADS, strict=True))
    ]
    return json.dumps({"nodes": nodes, "edges": [[0, 2], [1, 2]]}, indent=2).encode()


@pytest.mark.parametrize("booted", [0, 1])
@pytest.mark.parametrize(("hours", "reached"), [(-1, False), (23, False), (24, True), (49, True)])
def test_the_example_of_zincatis_protocol_page(booted: int, hours: int, *, reached: bool) -> None:
    offers = parse_graph(example()).offers(EXAMPLE_PAYLOADS[booted])
    assert [release.version for release in offers.candidates] == ["32.20200601.1.1"]
    now = datetime.fromtimestamp(EXAMPLE_START, UTC) + timedelta(hours=hours)
    choice = choose(phased(offers, 0.5, now), Rules(denied={}))
    assert (choice.target is not None) is reached


def test_the_newest_release_of_the_example_has_nowhere_to_go() -> None:
    offers = parse_graph(example()).offers(EXAMPLE_PAYLOADS[2])
    assert (offers.booted_known, offers.candidates, offers.dead_end) == (True, (), None)
