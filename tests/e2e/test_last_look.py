"""What changes between the first yes and the reboot: windows, sessions, inhibitors, the marker file, the clock."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from tests.e2e.agent_host import SETTLE_SECS, AgentHost, Document, gate_of
from tests.e2e.clocks import inject, set_wall
from tests.e2e.lab.lab import Lab
from tests.e2e.lock_servers import OddServer, odd_server
from tests.e2e.people import has_read, log_in
from tests.e2e.suites import on_one_suite
from tests.e2e.world import World

pytestmark = [pytest.mark.host, on_one_suite]

HOST_ID = "0123456789abcdef0123456789abcdef"
MONDAY = datetime(2031, 3, 3, tzinfo=UTC)
WINDOW = '[[updates.periodic.window]]\ndays = ["Mon"]\nstart_time = "12:00"\nlength_minutes = 60\n'
NO_NTP = '[gates.clock]\nrequire = "never"\n'
QUIET = "[gates.sessions]\nenabled = false\n"


def configured(strategy: str, *more: str, by_hand: bool = False) -> str:
    enabled = "enabled = false\n" if by_hand else ""
    return f'[identity]\nnode_uuid = "{HOST_ID}"\n[updates]\nstrategy = {strategy}\n{enabled}' + "".join(more)


@pytest.fixture
def odd(lab: Lab) -> Iterator[OddServer]:
    with odd_server(lab) as running:
        yield running


def started_at(world: World, wall: datetime, configuration: str) -> AgentHost:
    """A host whose agent takes it to be ``wall``."""
    host = world.host()
    inject(host, wall)
    host.start(world.source, configuration)
    return host


def test_a_shut_window_is_waited_for_and_opens_when_the_clock_is_set_into_it(world: World) -> None:
    host = started_at(world, MONDAY.replace(hour=11), configured('"periodic"', WINDOW, NO_NTP, QUIET))
    world.source.release(world.new)
    host.machine.sh("tidegate check")
    told = host.wait("shut", lambda told: gate_of(told, "periodic").get("verdict") == "wait")
    assert told["state"] == "staged"
    assert told["next_opening"] == "2031-03-03T12:00:00Z"
    assert gate_of(told, "periodic")["until"] == "2031-03-03T12:00:00Z"
    set_wall(host, MONDAY.replace(hour=13))  # past it: no reboot
    host.wait("a week later", lambda told: told["next_opening"] == "2031-03-10T12:00:00Z")
    set_wall(host, MONDAY.replace(hour=12, minute=30))
    host.wait_settled(world.new, boots=2)


def test_a_window_opens_by_the_agents_own_timer(world: World) -> None:
    opening = MONDAY.replace(hour=12)
    host = started_at(world, opening - timedelta(seconds=30), configured('"periodic"', WINDOW, NO_NTP, QUIET))
    world.source.release(world.new)
    host.machine.sh("tidegate check")
    host.wait("shut", lambda told: gate_of(told, "periodic").get("verdict") == "wait")
    host.wait_settled(world.new, boots=2)
    requested = cast("list[Mapping[str, str]]", host.history())[0]["started_at"]
    assert opening <= datetime.fromisoformat(requested) < opening + timedelta(seconds=20)


def test_an_unsynchronised_clock_opens_no_window(world: World) -> None:
    host = started_at(world, MONDAY.replace(hour=12, minute=10), configured('"periodic"', WINDOW, QUIET))
    host.machine.sh("systemctl mask --runtime --now systemd-timedated.service")
    world.source.release(world.new)
    host.machine.sh("tidegate check")
    told = host.wait("not trusted", lambda told: gate_of(told, "clock").get("verdict") == "wait")
    assert told["blocked_by"] == ["clock"]
    refused = host.machine.guest.run(["tidegate", "apply", "--reason", "a test"])
    assert (refused.rc, "clock" in refused.err) == (3, True)


def test_a_lock_that_is_granted_after_the_window_has_shut_is_given_back(world: World, odd: OddServer) -> None:
    lock = f'[updates.fleet_lock]\nbase_url = "{odd.url}"\ntimeout_secs = 60\n'
    host = started_at(
        world,
        MONDAY.replace(hour=12, minute=30),
        configured('["periodic", "fleet_lock"]', lock, WINDOW, NO_NTP, QUIET, by_hand=True),
    )
    world.source.release(world.new)
    host.machine.sh("tidegate stage")
    odd.mode = "slow"
    host.machine.sh("tidegate apply --reason 'a test' >/tmp/said 2>&1 &")
    host.wait("asking", lambda told: "asking the lock server for a slot" in str(told["summary"]))
    set_wall(host, MONDAY.replace(hour=13, minute=30))
    odd.freed.set()
    told = host.wait("called off", lambda told: told["state"] == "staged" and told["lock"] is None)
    assert odd.asked[-1] == "steady-state"
    assert odd.holder is None
    assert cast("dict[str, object]", told["staged"])["locked"] is True
    assert gate_of(told, "periodic")["verdict"] == "wait"
    assert host.outcomes() == []
    assert world.on_first(host)


def open_session(host: AgentHost) -> None:
    log_in(host.machine.guest, "somebody", "bob")


def hold_shutdowns(host: AgentHost) -> None:
    inhibit = "systemd-inhibit --what=shutdown --who=backup --why=copying sleep 600"
    host.machine.sh(f"systemd-run --unit=backup {inhibit}")
    host.machine.wait_for(
        lambda: "copying" in host.machine.sh("systemd-inhibit --list"), "the inhibitor", deadline_secs=SETTLE_SECS
    )


def take_the_marker(host: AgentHost) -> None:
    host.machine.sh("rm /etc/allow-reboot.json")


MARKER = '[updates.marker_file]\npath = "/etc/allow-reboot.json"\n'


@pytest.mark.parametrize(("gate", "happens", "strategy"), [
    ("sessions", open_session, configured('"immediate"', by_hand=True)),
    ("inhibitors", hold_shutdowns, configured('"immediate"', by_hand=True)),
    ("marker_file", take_the_marker, configured('"marker_file"', MARKER, by_hand=True)),
])  # fmt: skip
def test_what_happens_while_the_release_is_armed_calls_the_reboot_off(
    world: World, gate: str, happens: Callable[[AgentHost], None], strategy: str
) -> None:
    host = world.host()
    host.machine.put("/etc/allow-reboot.json", "{}")
    host.start(world.source, strategy)
    host.machine.sh("useradd bob")
    world.source.release(world.new)
    host.machine.sh("tidegate stage")
    assert host.machine.guest.kill("tidegate engine-helper", signal.SIGSTOP) == 1
    host.machine.sh("tidegate apply --reason 'a test' >/tmp/said 2>&1 &")
    host.wait("arming", lambda told: "the next boot" in str(told["summary"]))
    happens(host)
    host.machine.guest.kill("tidegate engine-helper", signal.SIGCONT)
    told = host.wait("called off", lambda told: told["state"] == "staged")
    assert cast("dict[str, object]", told["staged"])["locked"] is True
    assert told["next_boot"] == world.old.payload
    assert gate in cast("list[str]", told["blocked_by"]) or _disabled_only(told)
    assert gate in (host.machine.guest.read("/tmp/said") or "")
    assert host.outcomes() == []
    assert world.on_first(host)


def _disabled_only(told: Document) -> bool:
    return told["blocked_by"] == ["updates"]


def test_people_are_told_given_time_and_then_the_host_reboots(world: World) -> None:
    host = world.host()
    host.start(world.source, configured('"immediate"', "[gates.sessions]\ngrace_secs = 6\n"))
    host.machine.sh("useradd bob")
    log_in(host.machine.guest, "somebody", "bob")
    world.source.release(world.new)
    host.machine.sh("tidegate check")
    told = host.wait("grace", lambda told: gate_of(told, "sessions").get("verdict") == "wait")
    assert "bob" in gate_of(told, "sessions")["reason"]
    assert gate_of(told, "sessions")["until"]
    explained = json.loads(host.machine.sh("tidegate explain --json"))
    rows = {row["gate"]: row["verdict"] for row in explained["gates"]}
    assert rows["sessions"] == "wait"
    assert rows["immediate"] == "allow"
    host.machine.wait_for(
        lambda: "2" in has_read(host.machine.guest, "somebody"), "the notice on the terminal", deadline_secs=SETTLE_SECS
    )
    host.wait_settled(world.new, boots=2)
    took = cast("list[Mapping[str, str]]", host.history())[0]
    assert datetime.fromisoformat(took["started_at"]) >= datetime.fromisoformat(gate_of(told, "sessions")["until"])
