"""Whole hosts with the agent installed from the built wheel: from one release to the next, whatever comes between."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import cast

import pytest

from tests.e2e.agent_host import SETTLE_SECS, AgentHost, Document, gate_of, version_of
from tests.e2e.lab.bootloader import fallback_entry
from tests.e2e.lab.depot import Depot, Link, Release
from tests.e2e.lab.disk import new_disk
from tests.e2e.lab.guest import GuestGoneError
from tests.e2e.lab.lab import Lab
from tests.e2e.suites import on_one_suite
from tests.e2e.world import BALLAST_BYTES, MANUAL, MIB, MachineFactory, World

pytestmark = pytest.mark.host

LET_NOBODY_CHECK = """\
polkit.addRule(function(action, subject) {
  if (subject.user === "nobody" && action.id === "org.tidegate.agent1.check") { return polkit.Result.YES; }
});
"""


def test_a_host_goes_from_one_release_to_the_next(world: World) -> None:
    host = world.started()
    assert version_of(host.snapshot() or {}, "booted") == "1"
    world.source.release(world.new)
    host.machine.sh("tidegate check")
    told = host.wait_settled(world.new, boots=2)
    assert version_of(told, "rollback") == "1"
    assert host.outcomes() == ["applied"]
    assert host.records()["intent"] is None
    assert host.denied() == []
    assert "ordering cycle" not in host.machine.messages("_PID=1")
    assert host.machine.sh("stat -c %U /proc/$(systemctl show -P MainPID tidegate.service)").strip() == "tidegate"
    assert host.machine.sh("systemctl is-system-running || true").strip() == "running"


def test_a_release_that_the_boot_loader_left_is_denied(world: World) -> None:
    host = world.started()
    host.machine.choose_next(fallback_entry)
    world.source.release(world.new)
    host.machine.sh("tidegate check")
    host.wait_settled(world.old, boots=2)
    assert host.outcomes() == ["fell_back"]
    assert host.denied() == [world.new.payload]
    assert host.machine.sysroot.entries()[0].payload == world.old.payload
    host.machine.sh("tidegate check")
    told = host.wait_settled(world.old, boots=2)
    assert told["staged"] is None
    assert told["next_boot"] == world.old.payload


def test_a_power_cut_while_staged_is_no_attempt_and_no_evidence(world: World) -> None:
    host = world.started(MANUAL)
    world.source.release(world.new)
    host.machine.sh("tidegate stage")
    staged = host.wait("staged", lambda told: told["state"] == "staged")
    assert cast("dict[str, object]", staged["staged"])["locked"] is True
    transferred = world.server.traffic.sent_bytes()
    host.machine.power_cut()
    host.machine.power_on()
    host.machine.wait_up()
    told = host.wait("at rest", lambda told: told["state"] == "disabled")
    assert version_of(told, "booted") == "1"
    assert told["staged"] is None
    assert host.outcomes() == []
    assert host.denied() == []
    host.machine.sh("tidegate stage")
    again = world.server.traffic.sent_bytes() - transferred
    assert again < BALLAST_BYTES / 4, f"{again} bytes were fetched a second time"


@on_one_suite
def test_a_power_cut_between_arming_and_the_switch_is_not_attempted(world: World) -> None:
    host = world.started(MANUAL)
    world.source.release(world.new)
    host.machine.sh("tidegate stage")
    host.delay_shutdowns()
    host.machine.sh("tidegate apply --now --reason 'a test'")
    host.wait("going down", lambda told: told["state"] == "rebooting")
    host.machine.power_cut()
    host.machine.power_on()
    host.machine.wait_up()
    host.wait("at rest", lambda told: told["state"] == "disabled" and told["last_attempt"] is not None)
    assert host.outcomes() == ["not_attempted"]
    assert host.denied() == []
    assert host.records()["intent"] is None


@on_one_suite
def test_an_agent_that_is_killed_while_the_host_goes_down_takes_nothing_back(world: World) -> None:
    host = world.started(MANUAL)
    world.source.release(world.new)
    host.machine.sh("tidegate stage")
    host.delay_shutdowns()
    host.machine.sh("tidegate apply --now --reason 'a test'")
    host.wait("going down", lambda told: told["state"] == "rebooting")
    assert host.machine.guest.kill("tidegate agent") == 1
    host.wait_settled(world.new, boots=2)
    assert host.outcomes() == ["applied"]


@on_one_suite
@pytest.mark.parametrize("victim", ["tidegate agent", "tidegate engine-helper", "ostree .*pull"])
def test_whoever_is_killed_while_staging_the_host_gets_there_all_the_same(world: World, victim: str) -> None:
    host = world.started()
    world.server.throttle.bytes_per_sec = MIB
    world.source.release(world.new)
    host.machine.sh("tidegate check")
    host.machine.wait_for(lambda: host.machine.guest.pids("ostree .*pull"), "a pull", deadline_secs=SETTLE_SECS)
    assert host.machine.guest.kill(victim) >= 1
    world.server.throttle.bytes_per_sec = None
    _until_on(host, world.new, boots=2)
    assert host.outcomes() == ["applied"]
    assert host.denied() == []


def test_a_block_inhibitor_is_named_and_waited_for(world: World) -> None:
    host = world.started(MANUAL)
    world.source.release(world.new)
    host.machine.sh("tidegate stage")
    host.machine.sh("systemd-run --unit=backup systemd-inhibit --what=shutdown --who=backup --why='copying' sleep 600")
    host.machine.wait_for(
        lambda: "copying" in host.machine.sh("systemd-inhibit --list"), "the inhibitor", deadline_secs=SETTLE_SECS
    )
    refused = host.machine.guest.run(["tidegate", "apply", "--now", "--reason", "a test"])
    assert refused.rc == 3
    assert "backup holds shutdowns back: copying" in refused.err
    told = host.wait("staged again", lambda told: told["state"] == "staged")
    assert cast("dict[str, object]", told["staged"])["locked"] is True
    assert host.outcomes() == []
    host.machine.sh("systemctl stop backup.service")
    with suppress(GuestGoneError):  # the host may be down before the command is
        host.machine.guest.run(["tidegate", "apply", "--now", "--reason", "a test"])
    host.wait_settled(world.new, boots=2)
    assert "a test (asked for by root)" in str(host.history()[0]["reason"])


@on_one_suite
def test_a_disk_that_is_too_small_harms_nothing(world: World, lab: Lab, new_machine: MachineFactory) -> None:
    disk = new_disk(lab, 1024 * MIB)
    host = AgentHost(new_machine(world.old, disk=disk))
    host.start(world.source, MANUAL)
    disk.leave_free(BALLAST_BYTES // 2)
    world.source.release(world.new)
    failed = host.machine.guest.run(["tidegate", "stage"])
    assert failed.rc == 1
    assert "MB" in failed.err or "bytes" in failed.err
    told = host.wait("told", lambda told: told["last_error"] is not None)
    assert cast("dict[str, str]", told["last_error"])["kind"] == "engine.no-space"
    assert told["staged"] is None
    assert told["next_boot"] == world.old.payload
    disk.leave_free(8 * BALLAST_BYTES)
    host.machine.sh("tidegate stage")
    assert version_of(host.snapshot() or {}, "staged") == "2"


@on_one_suite
def test_an_older_agent_goes_on_from_the_records_of_a_newer_one(world: World) -> None:
    host = world.started()
    world.source.release(world.new)
    host.machine.sh("tidegate check")
    host.wait_settled(world.new, boots=2)
    host.machine.sh("systemctl stop tidegate.service")
    newer = _as_a_newer_agent_writes(host.records(), world)
    host.machine.put("/var/lib/tidegate/records.json", json.dumps(newer), 0o640)
    host.machine.sh("chown tidegate: /var/lib/tidegate/records.json")
    host.machine.choose_next(fallback_entry)
    host.machine.reboot()
    host.wait_settled(world.old, boots=3)
    assert host.outcomes() == ["in_part", "fell_back"]
    assert host.denied() == [world.new.payload]
    kept = host.records()
    assert kept["schema"] == 7
    lock = cast("dict[str, object]", kept["lock"])
    assert (lock["server"], lock["ticket"]) == ("http://127.0.0.1:9/", 7), "it is still owed, and nothing of it is lost"
    assert cast("list[dict[str, object]]", kept["history"])[0]["health"] == {"checks": 3}


@on_one_suite
def test_nobody_but_root_may_apply_and_anybody_may_ask(world: World) -> None:
    host = world.started(MANUAL)
    as_nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    refused = host.machine.guest.run([*as_nobody, "tidegate", "apply", "--now", "--reason", "mischief"])
    assert (refused.rc, "nobody may not apply" in refused.err) == (3, True)
    assert host.machine.guest.run([*as_nobody, "tidegate", "status"]).rc == 0
    engine = ["busctl", "call", "org.tidegate.Engine1", "/org/tidegate/Engine1", "org.tidegate.Engine1", "Status"]
    assert host.machine.guest.run([*as_nobody, *engine]).rc != 0
    assert host.machine.guest.run([*as_nobody, "cat", "/var/lib/tidegate/records.json"]).rc != 0


def test_polkit_decides_for_everybody_else(world: World) -> None:
    host = world.started(MANUAL)
    host.machine.put("/etc/polkit-1/rules.d/10-test.rules", LET_NOBODY_CHECK)
    as_nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]

    def allowed() -> bool:
        return host.machine.guest.run([*as_nobody, "tidegate", "check"]).rc == 0

    host.machine.wait_for(allowed, "polkit has read its rules", deadline_secs=SETTLE_SECS)
    assert host.machine.guest.run([*as_nobody, "tidegate", "stage"]).rc == 3
    assert "check asked for by nobody" in host.machine.messages("-u", "tidegate.service")


@on_one_suite
def test_a_bad_configuration_blocks_updates_and_says_where(world: World) -> None:
    host = world.host()
    host.machine.put("/etc/tidegate/config.d/50-test.toml", '[updates]\nstrategie = "immediate"\n')
    host.machine.power_on()
    host.machine.wait_up()
    told = host.wait("failed", lambda told: told["state"] == "failed")
    assert told["blocked_by"] == ["config"]
    reason = gate_of(told, "config")["reason"]
    assert "50-test.toml:2" in reason
    assert "strategy" in reason
    assert host.machine.guest.run(["tidegate", "status", "--exit-code"]).rc == 30
    host.machine.put("/etc/tidegate/config.d/50-test.toml", world.source.snippet)
    host.machine.sh("systemctl reload tidegate.service")
    host.wait("mended", lambda told: told["state"] == "steady" and told["last_check"] is not None)
    host.machine.put("/etc/tidegate/config.d/60-worse.toml", "[updates\n")
    assert host.machine.guest.run(["systemctl", "reload", "tidegate.service"]).rc != 0, "as the reload itself"
    told = host.wait("told", lambda told: told["stale_config"] is not None)
    assert "60-worse.toml:1" in cast("dict[str, str]", told["stale_config"])["message"]
    assert (told["state"], told["blocked_by"]) == ("steady", [])


def test_three_hosts_at_once_lose_no_staging(world: World) -> None:
    """A reboot right after staging wins a race against the unit that applies it, on busy machines (ostree 2022.7)."""
    hosts = [AgentHost(world.new_machine(world.old, name)) for name in ("one", "two", "three")]
    for host in hosts:
        host.start(world.source)
    world.source.release(world.new)
    for host in hosts:
        host.machine.sh("tidegate check")
    for host in hosts:
        host.wait_settled(world.new, boots=2)
    assert [host.outcomes() for host in hosts] == [["applied"]] * 3


def test_a_boot_check_that_waits_for_multi_user_closes_no_cycle(depot: Depot, world: World) -> None:
    """systemd's own sample check comes after multi-user.target, which wants the agent, and before boot-complete."""
    wants = Link("/usr/lib/systemd/system/systemd-boot-check-no-failures.service")
    extras = {"/etc/systemd/system/boot-complete.target.requires/systemd-boot-check-no-failures.service": wants}
    checked = depot.release("2c", extras)
    host = world.started()
    world.source.release(checked)
    host.machine.sh("tidegate check")
    host.wait_settled(checked, boots=2)
    assert "ordering cycle" not in host.machine.messages("_PID=1")
    assert host.machine.sh("systemctl is-active boot-complete.target").strip() == "active"


@on_one_suite
def test_a_boot_that_does_not_complete_is_not_applied_until_it_does(world: World) -> None:
    picky = world.picky_release()
    host = world.started()
    world.source.release(picky)
    host.machine.sh("tidegate check")
    host.machine.wait_boot(2, deadline_secs=SETTLE_SECS)
    told = host.wait("verifying", lambda told: told["state"] == "verifying" and "boot-complete" in str(told["summary"]))
    assert told["staged"] is None
    assert host.records()["intent"] is not None
    host.machine.sh("touch /run/mended; systemctl start boot-complete.target")
    host.wait_settled(picky, boots=2)
    assert host.outcomes() == ["applied"]


def _until_on(host: AgentHost, release: Release, *, boots: int) -> None:
    """Ask again and again, as the timer would, until the host is on ``release``."""

    def nudge() -> bool:
        if len(host.machine.boots) < boots and host.machine.guest.is_alive:
            host.machine.guest.run(["tidegate", "check"], timeout_secs=30)
        return len(host.machine.boots) >= boots

    host.machine.wait_for(nudge, f"boot {boots}", deadline_secs=SETTLE_SECS)
    host.wait_settled(release, boots=boots)


def _as_a_newer_agent_writes(records: Document, world: World) -> dict[str, object]:
    """Records of an attempt at the release that is booted, with fields that this agent has never heard of."""
    known = cast("list[dict[str, object]]", records["history"])
    history = [{**attempt, "health": {"checks": 3}, "outcome": "in_part", "healthy_secs": 0} for attempt in known]
    old, new = ({"version": r.version, "payload": r.payload, "channel": "x"} for r in (world.old, world.new))
    intent = {
        "id": "20260101T000000Z-ffffffff",
        "boot": {"boot_id": "ffffffff-0000-0000-0000-000000000000", "soft_reboots": 0, "kexec": 1},
        "from": old,
        "to": new,
        "purpose": "hotfix",
        "reason": "automatic",
        "written_at": "2026-01-01T00:00:00Z",
        "requested": None,
        "wave": 3,
    }
    lock = {
        "server": "http://127.0.0.1:9/",  # nobody answers there
        "group": "default",
        "id": "0123456789abcdef0123456789abcdef",
        "timeout_secs": 5,
        "boot": intent["boot"],
        "state": "held twice",
        "since": "2026-01-01T00:00:00Z",
        "ticket": 7,
    }
    return {**records, "schema": 7, "intent": intent, "history": history, "lock": lock}
