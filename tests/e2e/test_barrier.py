"""A host on a way with a release that nobody may pass by, and at the end of the way."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.agent_host import AgentHost, version_of
from tests.e2e.lab.depot import Release
from tests.e2e.suites import on_one_suite
from tests.e2e.world import World
from tidegate.discovery.graph_keys import AGE_INDEX_KEY, BARRIER_KEY, DEAD_END_KEY, DEAD_END_REASON_KEY, SCHEME_KEY

pytestmark = [pytest.mark.host, on_one_suite]

STAGES = "/stages.json"
REASON = "this hardware gets no more releases"
SETTLE_SECS = 180.0
"""For an update and the watch after its boot."""


def publish(world: World, releases: list[Release], edges: list[list[int]], marks: dict[int, dict[str, str]]) -> None:
    """A graph of ``releases``, the oldest first; ``marks`` are further metadata by place."""
    nodes = [
        {
            "version": release.version,
            "payload": release.payload,
            "metadata": {SCHEME_KEY: "checksum", AGE_INDEX_KEY: str(place), **marks.get(place, {})},
        }
        for place, release in enumerate(releases)
    ]
    world.server.put(STAGES, json.dumps({"nodes": nodes, "edges": edges}))


def found(host: AgentHost) -> dict[str, Any]:
    """What a look finds now."""
    document: dict[str, Any] = json.loads(host.machine.sh("tidegate check --json"))
    return document


def on_the_way(world: World) -> AgentHost:
    """A host that runs the first release, and looks at the graph with the stages."""
    host = world.host()
    where = f'[discovery.static_graph]\nurl = "{world.server.url}{STAGES}"\n'
    host.machine.put("/etc/tidegate/config.d/60-stages.toml", where)
    host.start(world.source)
    return host


def test_a_host_goes_through_the_barrier_by_itself_and_stops_at_the_dead_end(world: World) -> None:
    barrier, last = world.new, world.depot.release("3")
    releases = [world.old, barrier, last]
    for release in (barrier, last):
        world.depot.publish(release)
    publish(world, [world.old], [], {})
    host = on_the_way(world)
    assert found(host)["target"] is None

    publish(world, releases, [[0, 1], [1, 2]], {1: {BARRIER_KEY: "true"}})
    chosen = found(host)
    assert chosen["target"] == {"version": barrier.version, "payload": barrier.payload}
    host.machine.wait_boot(2, deadline_secs=SETTLE_SECS)
    host.machine.wait_boot(3, deadline_secs=SETTLE_SECS)
    told = host.wait_settled(last, boots=3)
    assert version_of(told, "rollback") == barrier.version
    assert host.outcomes() == ["applied", "applied"]
    assert [attempt["to"] for attempt in host.history()] == [
        {"version": release.version, "payload": release.payload} for release in (barrier, last)
    ]
    assert {str(attempt["reason"]) for attempt in host.history()} == {"automatic"}
    assert host.denied() == []

    publish(world, releases, [[0, 1], [1, 2]], {2: {DEAD_END_KEY: "true", DEAD_END_REASON_KEY: REASON}})
    end = found(host)
    assert (end["dead_end"], end["target"], end["error"]) == (REASON, None, None)
    assert REASON in host.machine.sh("tidegate status")
    assert host.machine.guest.run(["tidegate", "status", "--exit-code"]).rc == 0


def test_an_edge_past_the_barrier_is_not_taken(world: World) -> None:
    barrier, last = world.new, world.depot.release("3")
    publish(world, [world.old, barrier, last], [[0, 2], [1, 2]], {1: {BARRIER_KEY: "true"}})
    host = on_the_way(world)
    look = found(host)
    assert (look["target"], look["error"]) == (None, None)
    (held,) = look["deferred"]
    assert held["release"]["version"] == last.version
    assert held["reason"] == f"comes after the barrier {barrier.version}, which every host has to go through"
    assert f"{last.version} comes after" in host.machine.sh("tidegate status")
