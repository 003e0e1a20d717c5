"""Whole hosts that leave a release by themselves: what is denied, what is held, and what may break on the way."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest

from tests.e2e.agent_host import SETTLE_SECS, WATCH, AgentHost, Document, Source
from tests.e2e.conftest import CHECKOUT
from tests.e2e.lab.cache import Cache, digest
from tests.e2e.lab.debian import BaseHost
from tests.e2e.lab.depot import Depot, Extra, File, Link, open_depot
from tests.e2e.lab.lab import Lab
from tests.e2e.lab.layer import agent_layer
from tests.e2e.lab.process import run
from tests.e2e.lab.server import Server
from tests.e2e.lab.waiting import monotonic_secs
from tests.e2e.lab.wheels import wheelhouse
from tests.e2e.lock_servers import Coordinator, coordinator
from tests.e2e.suites import on_one_suite
from tests.e2e.unhealthy import HANGS, OPEN, SHUT, SPOILT, UNHEALTHY, Shop, mend, shop_release, wait_paused
from tests.e2e.world import MachineFactory
from tidegate.system.boot import BOOT_ID_FILE

pytestmark = pytest.mark.host

HOST_ID = "0123456789abcdef0123456789abcdef"
ROLLBACK = UNHEALTHY.replace("[health]\n", '[health]\nfailure_action = "rollback"\n')

BEFORE_AFTER_BOOT_HEALTH = "a15455fa81c15491f621e5e4dcd5d22a3e0a8dab"
"""The last commit whose agent knows no watch and no rollback: as old as what a rollback may lead to."""

NEWER = {"60-watch": WATCH, "70-shop": ROLLBACK}
"""Settings that the older agent would not take: they come with the release."""

BACKUP = """\
[Unit]
After=systemd-logind.service
[Service]
ExecStart=/usr/bin/systemd-inhibit --what=shutdown --who=backup --why=copying sleep infinity
"""


@pytest.fixture
def shop(depot: Depot, server: Server, new_machine: MachineFactory) -> Shop:
    return Shop(depot, server, new_machine)


@pytest.fixture
def coordinated(lab: Lab) -> Iterator[Coordinator]:
    with coordinator(lab) as running:
        yield running


@pytest.fixture(scope="module")
def older_agent(lab_cache: Cache, base: BaseHost) -> Path:
    """What an agent of before lays over the base host."""
    if shutil.which("git") is None:
        pytest.skip("needs git, and the history of this checkout, for an agent of before")
    known = run(["git", "-C", CHECKOUT, "cat-file", "-e", f"{BEFORE_AFTER_BOOT_HEALTH}^{{commit}}"])
    if not known.ok:
        pytest.skip(f"this checkout has no commit {BEFORE_AFTER_BOOT_HEALTH[:8]}: git fetch --unshallow")

    def export(into: Path) -> None:
        archive = ["git", "-C", str(CHECKOUT), "archive", BEFORE_AFTER_BOOT_HEALTH]
        tar = subprocess.run(archive, capture_output=True, check=True, timeout=60).stdout
        subprocess.run(["tar", "-C", str(into), "-x"], input=tar, check=True, timeout=60)

    checkout = lab_cache.entry("checkout", digest(BEFORE_AFTER_BOOT_HEALTH), export, keep=1)
    return agent_layer(lab_cache, base, wheelhouse(lab_cache, checkout, base.suite))


def locked_by(server: Coordinator) -> str:
    """The configuration of a host that asks the lock server."""
    return (
        f'[identity]\nnode_uuid = "{HOST_ID}"\n[agent.timing]\nsteady_interval_secs = 2\n'
        f'[updates]\nstrategy = "fleet_lock"\n[updates.fleet_lock]\nbase_url = "{server.url}"\ntimeout_secs = 3\n'
    )


def done_to_it(server: Coordinator) -> list[str]:
    """What the server did with the lock of the host."""
    return [what for what, who in server.happened() if who == HOST_ID]


def wait_given_back(host: AgentHost, server: Coordinator) -> None:
    host.machine.wait_for(lambda: HOST_ID not in server.holders(), "the lock given back", deadline_secs=SETTLE_SECS)
    host.wait("no lock on record", lambda told: told["lock"] is None)


def said_at(host: AgentHost, message: str) -> datetime:
    """When the agent said that for the last time, to the second."""
    said = [entry for entry in host.machine.journal("-u", "tidegate.service") if message in entry.get("MESSAGE", "")]
    return datetime.fromtimestamp(int(said[-1]["__REALTIME_TIMESTAMP"]) // 1_000_000, UTC)


def test_a_release_that_is_not_well_is_left_denied_and_never_met_again(shop: Shop, coordinated: Coordinator) -> None:
    host = shop.started(locked_by(coordinated) + ROLLBACK)
    bad = shop.offer("2", SHUT)
    host.machine.sh("tidegate check")
    host.machine.wait_for(lambda: len(host.machine.boots) == 2, "the bad release", deadline_secs=SETTLE_SECS)
    began_secs = monotonic_secs()
    host.wait("watched", lambda told: "shop.service is failed" in str(told["summary"]))
    assert coordinated.holders() == [HOST_ID]
    told = host.wait_settled(shop.old, boots=3)
    print(f"well again {monotonic_secs() - began_secs:.1f} s after the bad release began to boot")
    wait_given_back(host, coordinated)

    assert [(attempt["purpose"], attempt["outcome"]) for attempt in host.history()] == [
        ("update", "rejected"),
        ("rollback", "applied"),
    ]
    assert done_to_it(coordinated).count("granted") == done_to_it(coordinated).count("released") == 1
    assert coordinated.times("released", HOST_ID)[-1] >= said_at(host, "1 is applied: verified")

    (denial,) = host.denials()
    assert host.denied() == [bad.payload]
    assert denial["cause"] == "unhealthy"
    assert "unit/shop: shop.service is failed" in denial["evidence"]
    assert "command/till: exit code 3: no money in the till" in denial["evidence"]
    (failure, *_) = host.machine.journal("-u", "shop.service", "MESSAGE=no money in the till")
    (after, *_) = host.machine.journal(f"--after-cursor={denial['journal_cursor']}")
    assert after["_BOOT_ID"] == failure["_BOOT_ID"]
    # A sandboxed service in a container may see the boot id of the machine below (systemd 252).
    assert denial["boot_id"].replace("-", "") in {
        failure["_BOOT_ID"],
        Path(BOOT_ID_FILE).read_text().strip().replace("-", ""),
    }

    assert told["staged"] is None
    host.machine.sh("tidegate check")
    told = host.wait("looked again", lambda told: told["state"] == "steady")
    assert [row["cause"] for row in cast("list[dict[str, str]]", told["passed_over"])] == ["denied"]
    assert (told["staged"], told["next_boot"], len(host.machine.boots)) == (None, shop.old.payload, 3)

    better = shop.offer("3")
    host.machine.sh("tidegate check")
    host.wait_settled(better, boots=4)
    assert host.outcomes() == ["rejected", "applied", "applied"]


@on_one_suite
def test_whatever_breaks_on_the_way_back_it_leads_there(shop: Shop, coordinated: Coordinator) -> None:
    """A power cut in the watch; the agent killed in it, after the verdict, while the host goes down, and at home."""
    held: dict[str, Extra] = {
        "/etc/systemd/system/backup.service": File(BACKUP),
        "/etc/systemd/system/multi-user.target.wants/backup.service": Link("../backup.service"),
    }
    slow = ROLLBACK.replace("[health]\n", "[health]\nmonitor_secs = 8\n")
    host = shop.started(locked_by(coordinated) + slow)
    bad = shop.offer("2", SHUT, extras=held)
    host.machine.sh("tidegate check")

    host.machine.wait_boot(2, deadline_secs=SETTLE_SECS)
    host.wait("watched", lambda told: told["state"] == "verifying" and told["health"] is not None)
    host.machine.power_cut()
    host.machine.power_on()
    host.machine.wait_boot(3, deadline_secs=SETTLE_SECS)
    told = host.wait("watched anew", lambda told: told["state"] == "verifying" and told["health"] is not None)
    assert cast("dict[str, object]", told["health"])["boots"] == 2
    assert (host.denied(), host.outcomes()) == ([], [])

    assert host.machine.guest.kill("tidegate agent") == 1
    told = host.wait("held by the backup", is_held_on_the_way_back)
    assert cast("dict[str, object]", told["rollback_due"])["release"] == {"version": "1", "payload": shop.old.payload}
    assert (host.denied(), host.outcomes()) == ([bad.payload], ["rejected"])
    due = host.records()["rollback"]

    assert host.machine.guest.kill("tidegate agent") == 1
    left = told["written_at"]
    host.wait("held as before", lambda told: is_held_on_the_way_back(told) and told["written_at"] != left)
    assert host.records()["rollback"] == due
    assert coordinated.holders() == [HOST_ID]

    host.delay_shutdowns()
    host.machine.sh("systemctl stop backup.service; systemctl reload tidegate.service")
    host.wait("going down", lambda told: told["state"] == "rebooting")
    assert host.machine.guest.kill("tidegate agent") == 1

    host.machine.wait_boot(4, deadline_secs=SETTLE_SECS)
    host.wait("watched at home", lambda told: told["state"] == "verifying" and told["health"] is not None)
    assert host.machine.guest.kill("tidegate agent") == 1
    host.wait_settled(shop.old, boots=4)
    wait_given_back(host, coordinated)
    assert host.outcomes() == ["rejected", "applied"]
    assert host.denied() == [bad.payload]
    assert host.records()["rollback"] is None
    assert done_to_it(coordinated).count("released") == 1
    assert len(host.machine.boots) == 4


def is_held_on_the_way_back(told: Document) -> bool:
    return told["rollback_due"] is not None and "copying" in str(told["summary"])


@on_one_suite
def test_where_neither_release_is_well_the_host_stays_up_and_says_so(shop: Shop, coordinated: Coordinator) -> None:
    """The first because a check hangs, which ends in its time and counts; the second because its data is spoilt."""
    host = shop.started(locked_by(coordinated) + ROLLBACK)
    host.machine.sh(f"touch {SPOILT}")
    bad = shop.offer("2", "#!/bin/sh\n", HANGS)
    host.machine.sh("tidegate check")
    told = wait_paused(host, boots=3)
    (denial,) = host.denials()
    assert host.denied() == [bad.payload]
    assert "command/till: did not end within 2 s and was killed: counting" in denial["evidence"]
    assert host.machine.guest.pids("sleep 614") == []
    assert "it and the release before it are both unhealthy" in str(told["summary"])
    assert "shop.service is failed" in str(told["summary"])
    assert host.machine.guest.run(["tidegate", "status", "--exit-code"]).rc == 21
    assert "1 is unhealthy, updates are paused" in host.machine.messages("-u", "tidegate.service", "PRIORITY=3")

    refused = host.machine.guest.run(["tidegate", "rollback", "--reason", "a test"])
    assert (refused.rc, "2, the release before the booted one, is denied" in refused.err) == (3, True)
    host.machine.sh("systemctl restart tidegate.service")  # which has it look at once
    wait_paused(host, boots=3)
    assert (len(host.machine.boots), coordinated.holders()) == (3, [HOST_ID])

    mend(host)
    host.wait_settled(shop.old, boots=3)
    wait_given_back(host, coordinated)
    assert host.outcomes() == ["rejected", "applied"]
    assert len(host.machine.boots) == 3


@on_one_suite
def test_an_older_agent_goes_on_from_the_records_of_the_one_that_rolled_back(
    lab: Lab,
    base: BaseHost,
    depot: Depot,
    older_agent: Path,
    server: Server,
    new_machine: MachineFactory,
    coordinated: Coordinator,
) -> None:
    old = shop_release(open_depot(lab, base, layers=[older_agent]), "1", OPEN)
    of_the_new_one = {f"/usr/lib/tidegate/config.d/{name}.toml": File(text) for name, text in NEWER.items()}
    new = shop_release(depot, "2", SHUT, extras=of_the_new_one)
    source = Source.of(depot, server, old)
    host = AgentHost(new_machine(old))
    host.start(source, locked_by(coordinated), watch="")
    older = host.machine.sh("tidegate --help")
    assert "rollback" not in older
    source.release(new)
    host.machine.sh("tidegate check")
    host.wait_settled(old, boots=3)
    wait_given_back(host, coordinated)
    assert host.outcomes() == ["rejected", "applied"]
    assert done_to_it(coordinated).count("released") == 1
    (denial,) = host.denials()
    assert host.denied() == [new.payload]
    assert (denial["cause"], bool(denial["journal_cursor"])) == ("unhealthy", True)
    assert "no money in the till" in denial["evidence"]
    assert cast("dict[str, object]", host.records()["rollback"])["from"] == {"version": "2", "payload": new.payload}
    host.machine.sh("tidegate check")
    told = host.wait("looked again", lambda told: told["state"] == "steady")
    assert (told["staged"], told["next_boot"], len(host.machine.boots)) == (None, old.payload, 3)
