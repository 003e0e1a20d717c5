"""A host without any graph, which follows the branch of its remote."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.agent_host import WATCH, AgentHost
from tests.e2e.lab.depot import Release
from tests.e2e.lab.sysroot import REMOTE
from tests.e2e.suites import on_one_suite
from tests.e2e.world import BALLAST_BYTES, World

pytestmark = pytest.mark.host


def found(host: AgentHost) -> dict[str, Any]:
    """What a look finds now."""
    document: dict[str, Any] = json.loads(host.machine.sh("tidegate check --json"))
    return document


def told(release: Release) -> dict[str, str]:
    """``release`` as it is shown."""
    return {"version": release.version, "payload": release.payload}


def without_a_graph(world: World) -> AgentHost:
    """A host of which nobody has said where its releases come from, at rest in the first one."""
    host = world.host()
    host.machine.put("/etc/tidegate/config.d/50-test.toml", WATCH)
    host.machine.power_on()
    host.machine.wait_up()
    host.wait("at rest", lambda told: told["state"] == "steady" and told["last_check"] is not None)
    return host


def test_a_host_without_a_graph_follows_its_branch_up_and_never_down(world: World) -> None:
    host = without_a_graph(world)
    look = found(host)
    assert (look["booted"], look["target"], look["error"]) == (told(world.old), None, None)

    newer = world.depot.release("2")
    world.depot.publish(newer)
    assert found(host)["target"] == told(newer)
    host.wait_settled(newer, boots=2)
    assert host.outcomes() == ["applied"]
    assert "ordering cycle" not in host.machine.messages("_PID=1")

    world.depot.publish(world.old)
    look = found(host)
    assert look["target"] is None
    assert [(one["release"], one["cause"]) for one in look["passed_over"]] == [(told(world.old), "downgrade")]


@on_one_suite
def test_a_look_fetches_no_content_and_tells_of_a_remote_that_is_down(world: World) -> None:
    host = without_a_graph(world)
    host.machine.put("/etc/tidegate/config.d/60-no.toml", "[updates]\nenabled = false\n")
    host.machine.sh("systemctl reload tidegate.service")
    host.wait("told", lambda told: told["state"] == "disabled")
    branch = f"ostree rev-parse {REMOTE}:lab/stable"
    before = host.machine.sh(branch)
    newer = world.depot.release("2")
    world.depot.publish(newer)
    sent_bytes = world.server.traffic.sent_bytes()
    assert found(host)["target"] == told(newer)
    assert world.server.traffic.sent_bytes() - sent_bytes < BALLAST_BYTES / 100
    assert host.machine.sh(branch) == before

    world.server.stop()
    failed = host.machine.guest.run(["tidegate", "check", "--json"])
    assert failed.rc == 1
    assert json.loads(failed.out)["error"]["kind"] == "discovery.unreachable"
    assert "connect to server" in failed.err
    world.server.start()
    assert found(host)["target"] == told(newer)
