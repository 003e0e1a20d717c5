"""Whole hosts under the strategy ``fleet_lock``: who may say no, and a lock that is never leaked."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import cast

import pytest

from tests.e2e.agent_host import SETTLE_SECS, AgentHost, Document, gate_of
from tests.e2e.clocks import inject, sleep_through
from tests.e2e.lab.bootloader import fallback_entry
from tests.e2e.lab.guest import GuestGoneError
from tests.e2e.lab.lab import Lab
from tests.e2e.lock_servers import Coordinator, OddServer, coordinator, odd_server
from tests.e2e.suites import on_one_suite
from tests.e2e.world import World
from tidegate.health.settings import HealthSettings

pytestmark = pytest.mark.host

HOST_ID = "0123456789abcdef0123456789abcdef"


def locked_by(url: str, *, updates: str = "", lock: str = "", host_id: str = HOST_ID) -> str:
    """The configuration of a host that asks the lock server at ``url``."""
    return (
        f'[identity]\nnode_uuid = "{host_id}"\n'
        "[agent.timing]\nsteady_interval_secs = 2\n"
        f'[updates]\nstrategy = "fleet_lock"\n{updates}'
        f'[updates.fleet_lock]\nbase_url = "{url}"\ntimeout_secs = 3\n{lock}'
    )


BY_HAND = "enabled = false\n"


@pytest.fixture
def coordinated(lab: Lab) -> Iterator[Coordinator]:
    with coordinator(lab) as running:
        yield running


@pytest.fixture
def odd(lab: Lab) -> Iterator[OddServer]:
    with odd_server(lab) as running:
        yield running


def lock_of(told: Document) -> str | None:
    lock = cast("dict[str, str] | None", told["lock"])
    return None if lock is None else lock["state"]


def why_owed(told: Document) -> str:
    return cast("dict[str, str]", told["lock"])["why"]


def wait_denied(host: AgentHost) -> Document:
    return host.wait("denied", lambda told: "no slot is free" in gate_of(told, "fleet_lock").get("reason", ""))


def going_down(world: World, server: Coordinator) -> AgentHost:
    """A host that holds the lock and is on its way into the new release, for some seconds yet."""
    host = world.started(locked_by(server.url))
    send_down(host, world)
    return host


def send_down(host: AgentHost, world: World) -> None:
    """Let a host that has just started go down for the new release, and take some seconds for it."""
    host.delay_shutdowns()
    world.source.release(world.new)
    host.machine.sh("tidegate check")
    host.wait("going down", lambda told: told["state"] == "rebooting")


def wait_given_back(host: AgentHost, server: Coordinator) -> None:
    host.machine.wait_for(lambda: HOST_ID not in server.holders(), "the lock given back", deadline_secs=SETTLE_SECS)
    host.wait("no lock on record", lambda told: told["lock"] is None)


def test_denied_then_granted_then_given_back_when_the_host_is_well(world: World, coordinated: Coordinator) -> None:
    coordinated.hold("another-host")
    host = world.started(locked_by(coordinated.url))
    world.source.release(world.new)
    host.machine.sh("tidegate check")
    told = wait_denied(host)
    assert "another-host" in gate_of(told, "fleet_lock")["reason"]
    assert told["state"] == "staged"
    assert host.machine.guest.run(["tidegate", "status", "--exit-code"]).rc == 11
    explained = json.loads(host.machine.sh("tidegate explain --json"))
    assert (explained["verdict"], explained["source"]) == ("wait", "bus")
    coordinated.give_back("another-host")
    host.machine.sh("systemctl reload tidegate.service")  # asks anew, sooner than the server wished
    host.wait_settled(world.new, boots=2)
    wait_given_back(host, coordinated)
    assert host.outcomes() == ["applied"]
    mine = [what for what, who in coordinated.happened() if who == HOST_ID]
    assert mine[:2] == ["granted", "released"]
    verified = host.machine.messages("-u", "tidegate.service")
    assert verified.index("is applied: verified") < verified.index("gave the lock back")


@on_one_suite
def test_the_lock_stays_held_until_the_boot_is_well(world: World, coordinated: Coordinator) -> None:
    host = world.started(locked_by(coordinated.url))
    picky = world.picky_release()
    world.source.release(picky)
    host.machine.sh("tidegate check")
    host.machine.wait_boot(2, deadline_secs=SETTLE_SECS)
    host.wait("verifying", lambda told: told["state"] == "verifying" and "boot-complete" in str(told["summary"]))
    assert coordinated.holders() == [HOST_ID]
    host.machine.sh("touch /run/mended; systemctl start boot-complete.target")
    host.wait_settled(picky, boots=2)
    wait_given_back(host, coordinated)


@on_one_suite
def test_after_boot_gives_it_back_before_the_boot_is_well(world: World, coordinated: Coordinator) -> None:
    host = world.started(locked_by(coordinated.url, lock='release = "after-boot"\n'))
    picky = world.picky_release()
    world.source.release(picky)
    host.machine.sh("tidegate check")
    host.machine.wait_boot(2, deadline_secs=SETTLE_SECS)
    host.wait("verifying", lambda told: told["state"] == "verifying" and told["lock"] is None)
    assert coordinated.holders() == []


@on_one_suite
def test_a_host_that_fell_back_gives_the_lock_back(world: World, coordinated: Coordinator) -> None:
    host = world.started(locked_by(coordinated.url))
    host.machine.choose_next(fallback_entry)
    world.source.release(world.new)
    host.machine.sh("tidegate check")
    host.wait_settled(world.old, boots=2)
    assert host.outcomes() == ["fell_back"]
    wait_given_back(host, coordinated)


@on_one_suite
def test_a_power_cut_with_the_lock_held_leaks_nothing(world: World, coordinated: Coordinator) -> None:
    host = going_down(world, coordinated)
    assert coordinated.holders() == [HOST_ID]
    host.machine.power_cut()
    host.machine.power_on()
    host.machine.wait_boot(2, deadline_secs=SETTLE_SECS)
    wait_given_back(host, coordinated)
    assert host.outcomes() == ["not_attempted"]
    told = host.wait("staged again", lambda told: told["state"] == "staged")
    assert gate_of(told, "attempts")["until"]


@on_one_suite
@pytest.mark.parametrize("where", ["between grant and arming", "between arming and reboot"])
def test_an_agent_that_is_killed_on_the_way_finds_back(world: World, odd: OddServer, where: str) -> None:
    host = world.started(locked_by(odd.url, updates=BY_HAND))
    world.source.release(world.new)
    host.machine.sh("tidegate stage")
    if where == "between grant and arming":
        assert host.machine.guest.kill("tidegate engine-helper", signal.SIGSTOP) == 1
    else:
        odd.hangs_after = "pre-reboot"
    host.machine.sh("tidegate apply --reason 'a test' >/dev/null 2>&1 &")
    host.machine.wait_for(lambda: odd.holder == HOST_ID, "the grant", deadline_secs=SETTLE_SECS)
    host.wait("on the way", lambda told: ("once more" if odd.hangs_after else "next boot") in str(told["summary"]))
    host.machine.guest.kill("tidegate agent")
    host.machine.guest.kill("tidegate engine-helper", signal.SIGCONT)
    odd.hangs_after = None
    odd.freed.set()
    host.wait("taken back", lambda told: told["state"] in {"staged", "disabled"} and told["lock"] is None)
    host.machine.wait_for(lambda: odd.holder is None, "the lock given back", deadline_secs=SETTLE_SECS)
    assert host.outcomes() == []
    assert world.on_first(host)


@on_one_suite
def test_an_agent_that_is_killed_during_the_shutdown_keeps_the_lock(world: World, coordinated: Coordinator) -> None:
    host = going_down(world, coordinated)
    assert host.machine.guest.kill("tidegate agent") == 1
    assert coordinated.holders() == [HOST_ID]
    host.wait_settled(world.new, boots=2)
    wait_given_back(host, coordinated)
    mine = [what for what, who in coordinated.happened() if who == HOST_ID]
    assert mine.count("released") == 1


@on_one_suite
def test_a_server_that_is_down_holds_back_reboots_and_nothing_else(world: World, coordinated: Coordinator) -> None:
    coordinated.stop()
    host = world.started(locked_by(coordinated.url))
    world.source.release(world.new)
    host.machine.sh("tidegate check")
    told = host.wait(
        "staged", lambda told: told["state"] == "staged" and "fleet_lock" in cast("list[str]", told["blocked_by"])
    )
    checked = told["last_check"]
    host.wait("checked again", lambda told: told["last_check"] != checked)
    coordinated.start()
    host.wait_settled(world.new, boots=2)
    wait_given_back(host, coordinated)


@on_one_suite
def test_a_server_that_is_down_after_the_reboot_gets_it_back_later(world: World, coordinated: Coordinator) -> None:
    host = going_down(world, coordinated)
    coordinated.stop()
    host.wait_settled(world.new, boots=2)
    host.wait("owed", lambda told: lock_of(told) == "release_owed" and "refused" in why_owed(told))
    # Another server in the configuration changes nothing about whom the lock is owed to.
    host.machine.put("/etc/tidegate/config.d/60-moved.toml", '[updates]\nstrategy = "immediate"\n')
    host.machine.sh("systemctl reload tidegate.service")
    host.machine.sh("systemctl restart tidegate.service")
    host.wait("still owed", lambda told: lock_of(told) == "release_owed")
    coordinated.start()
    wait_given_back(host, coordinated)


@on_one_suite
def test_a_bad_configuration_at_start_still_gives_the_lock_back(world: World, coordinated: Coordinator) -> None:
    """The boot is watched all the same, for as long as the defaults say."""
    host = world.host()
    inject(host)
    host.start(world.source, locked_by(coordinated.url))
    send_down(host, world)
    host.machine.put("/etc/tidegate/config.d/90-bad.toml", "[updates\n")
    host.machine.wait_boot(2, deadline_secs=SETTLE_SECS)
    host.wait("well so far", lambda told: "healthy so far" in str(told["summary"]))
    assert coordinated.holders() == [HOST_ID]
    sleep_through(host, HealthSettings().monitor_secs)
    wait_given_back(host, coordinated)
    assert host.wait("failed", lambda told: told["state"] == "failed")["blocked_by"] == ["config"]
    assert host.outcomes() == ["applied"]


@on_one_suite
@pytest.mark.parametrize(("mode", "said"), [
    ("hang", "3 s"),
    ("portal", "HTML"),
])  # fmt: skip
def test_whatever_answers_but_no_grant_is_no_grant(world: World, odd: OddServer, mode: str, said: str) -> None:
    host = world.started(locked_by(odd.url))
    odd.mode = mode
    world.source.release(world.new)
    host.machine.sh("tidegate check")
    host.wait("no", lambda told: told["state"] == "staged" and said in gate_of(told, "fleet_lock").get("reason", ""))
    assert world.on_first(host)
    odd.freed.set()
    odd.mode = "honest"
    host.wait_settled(world.new, boots=2)
    host.machine.wait_for(lambda: odd.holder is None, "the lock given back", deadline_secs=SETTLE_SECS)


@on_one_suite
def test_a_lock_that_the_server_has_lost_calls_the_reboot_off(world: World, odd: OddServer) -> None:
    host = world.started(locked_by(odd.url, updates=BY_HAND))
    world.source.release(world.new)
    host.machine.sh("tidegate stage")
    assert host.machine.guest.kill("tidegate engine-helper", signal.SIGSTOP) == 1
    host.machine.sh("tidegate apply --reason 'a test' >/tmp/said 2>&1 &")
    host.machine.wait_for(lambda: odd.holder == HOST_ID, "the grant", deadline_secs=SETTLE_SECS)
    odd.holder = "somebody-else"
    host.machine.guest.kill("tidegate engine-helper", signal.SIGCONT)
    told = host.wait("called off", lambda told: told["state"] == "staged" and told["lock"] is None)
    assert cast("dict[str, object]", told["staged"])["locked"] is True
    assert host.outcomes() == []
    assert odd.holder == "somebody-else"
    assert "currently locked" in (host.machine.guest.read("/tmp/said") or "")


@on_one_suite
def test_the_lock_can_be_passed_over_once(world: World, coordinated: Coordinator) -> None:
    coordinated.hold("another-host")
    host = world.started(locked_by(coordinated.url))
    world.source.release(world.new)
    host.machine.sh("tidegate check")
    wait_denied(host)
    refused = host.machine.guest.run(["tidegate", "apply", "--now", "--reason", "a test"])
    assert (refused.rc, "another-host" in refused.err) == (3, True)
    with suppress(GuestGoneError):
        host.machine.guest.run(["tidegate", "apply", "--now", "--override", "fleet_lock", "--reason", "a fire"])
    host.wait_settled(world.new, boots=2)
    assert "a fire (asked for by root, overriding fleet_lock)" in str(host.history()[0]["reason"])
    assert coordinated.holders() == ["another-host"]


@on_one_suite
def test_two_hosts_on_one_slot_take_turns(world: World, coordinated: Coordinator) -> None:
    hosts = {name: world.host(name=name) for name in ("one", "two")}
    for number, host in enumerate(hosts.values()):
        host.start(world.source, locked_by(coordinated.url, host_id=f"{number:032x}"))
    world.source.release(world.new)
    for host in hosts.values():
        host.machine.sh("tidegate check")
    for host in hosts.values():
        host.machine.wait_for(partial(_asked_again, host), "its turn", deadline_secs=2 * SETTLE_SECS)
        host.wait_settled(world.new, boots=2)
    deadline = hosts["one"].machine
    deadline.wait_for(lambda: not coordinated.holders(), "both locks given back", deadline_secs=SETTLE_SECS)
    held: set[str] = set()
    for what, who in coordinated.happened():
        held = held | {who} if what == "granted" else held - {who}
        assert len(held) <= 1


def _asked_again(host: AgentHost) -> bool:
    """Whether it has rebooted; asks anew meanwhile, sooner than the server wished."""
    if len(host.machine.boots) < 2:
        host.machine.guest.run(["sh", "-c", "systemctl reload tidegate.service; sleep 2"])
    return len(host.machine.boots) >= 2


@on_one_suite
def test_a_slot_whose_record_was_lost_is_freed_at_the_next_start(world: World, coordinated: Coordinator) -> None:
    host = world.started(locked_by(coordinated.url))
    coordinated.hold(HOST_ID)
    host.machine.sh("systemctl restart tidegate.service")
    wait_given_back(host, coordinated)
