"""Whole hosts in a release that is not well, and what people do about it: mend, resume, roll back, deny, allow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import cast

import pytest

from tests.e2e.agent_host import SETTLE_SECS, AgentHost, version_of
from tests.e2e.clocks import inject, set_wall
from tests.e2e.lab.bootloader import fallback_entry
from tests.e2e.lab.depot import Depot
from tests.e2e.lab.guest import GuestGoneError
from tests.e2e.lab.lab import Lab
from tests.e2e.lab.server import Server
from tests.e2e.lock_servers import Coordinator, coordinator
from tests.e2e.people import PYTHON
from tests.e2e.suites import on_one_suite
from tests.e2e.unhealthy import PATIENCE, SHUT, UNHEALTHY, Shop, mend, wait_paused
from tests.e2e.world import MANUAL, MachineFactory

pytestmark = [pytest.mark.host, on_one_suite]

HOST_ID = "0123456789abcdef0123456789abcdef"
EPOCH = datetime(1970, 1, 1, 0, 10, tzinfo=UTC)

MAKE_DEFAULT = f"""\
script=$({PYTHON} -c 'from tidegate.engines.ostree import boot_order; print(boot_order.WRITE_ORDER_SCRIPT)')
ostree admin set-default 1 2>/dev/null ||
    unshare --mount /usr/bin/python3 -I "$script" / true {{payload}}.0 {{booted}}.0
"""
"""What an administrator does to leave a release without asking the agent; ostree 2022.7 has only its library for it."""


@pytest.fixture
def shop(depot: Depot, server: Server, new_machine: MachineFactory) -> Shop:
    return Shop(depot, server, new_machine)


@pytest.fixture
def coordinated(lab: Lab) -> Iterator[Coordinator]:
    with coordinator(lab) as running:
        yield running


def health_of(action: str) -> str:
    return f'[health]\nfailure_action = "{action}"\n'


def main_pid(host: AgentHost) -> str:
    return host.machine.sh("systemctl show -P MainPID tidegate.service").strip()


def test_a_host_that_may_not_go_back_pauses_until_it_is_mended_or_taken_as_it_is(
    shop: Shop, coordinated: Coordinator
) -> None:
    lock = f'[updates]\nstrategy = "fleet_lock"\n[updates.fleet_lock]\nbase_url = "{coordinated.url}"\n'
    host = shop.started(f'[identity]\nnode_uuid = "{HOST_ID}"\n{lock}{UNHEALTHY}')
    host.machine.put("/etc/tidegate/config.d/60-action.toml", health_of("rollback"))
    shop.offer("1.5")
    second = shop.offer("2", SHUT, rollback_floor="1.5")
    host.machine.sh("systemctl reload tidegate.service; tidegate check")
    told = wait_paused(host, boots=2)
    assert "it allows no way back below 1.5" in str(told["summary"])
    assert cast("dict[str, str]", told["lock"])["state"] == "held"
    assert coordinated.holders() == [HOST_ID]

    third = shop.offer("3", SHUT)
    assert host.machine.guest.run(["tidegate", "stage"]).rc == 3
    before = main_pid(host)
    assert host.machine.guest.kill("tidegate agent") == 1
    host.machine.wait_for(lambda: main_pid(host) not in {"0", before}, "another agent", deadline_secs=SETTLE_SECS)
    again = wait_paused(host, boots=2)
    assert cast("dict[str, object]", again["health"])["reason"] == cast("dict[str, object]", told["health"])["reason"]
    assert (again["staged"], host.denied(), host.outcomes()) == (None, [], [])

    host.machine.put("/etc/tidegate/config.d/60-action.toml", health_of("pause"))
    mend(host)
    told = wait_paused(host, boots=3)  # well, so the lock was given back and asked for anew
    assert host.outcomes() == ["applied"]
    assert (version_of(told, "booted"), version_of(told, "rollback")) == (third.version, second.version)
    assert "unit/shop: shop.service is failed" in str(told["summary"])
    assert host.machine.guest.run(["tidegate", "status", "--exit-code"]).rc == 21
    assert "no money in the till" in host.machine.sh("tidegate status")
    assert coordinated.holders() == [HOST_ID]

    host.machine.sh("tidegate resume --reason 'we sell nothing today'")
    host.wait_settled(third, boots=3)
    host.machine.wait_for(lambda: not coordinated.holders(), "the lock given back", deadline_secs=SETTLE_SECS)
    assert host.outcomes() == ["applied", "applied"]
    assert "we sell nothing today" in str(host.history()[1]["detail"])
    assert [what for what, _ in coordinated.happened()].count("released") == 2


def test_a_release_that_is_kept_though_not_well_is_left_denied_and_allowed_by_people(shop: Shop) -> None:
    """No check is configured: that a unit has failed which had not before is enough."""
    host = shop.started(MANUAL + health_of("continue") + f"retries = {PATIENCE}\n")
    new = shop.offer("2", SHUT)
    host.machine.sh("tidegate stage")
    by_hand(host, "apply --now")
    told = host.wait_settled(new, boots=2)
    assert host.outcomes() == ["applied"]
    assert "kept though unhealthy: failed-units: failed: shop.service" in str(host.history()[0]["detail"])
    assert cast("dict[str, str]", told["last_error"])["kind"] == "health.bad"

    by_hand(host, "rollback")
    host.wait_settled(shop.old, boots=3)
    assert [(attempt["purpose"], attempt["outcome"]) for attempt in host.history()] == [
        ("manual", "applied"),
        ("rollback", "applied"),
    ]
    (denial,) = host.denials()
    assert host.denied() == [new.payload]
    assert (denial["cause"], "by hand" in denial["evidence"]) == ("person", True)
    refused = host.machine.guest.run(["tidegate", "rollback", "--reason", "a test"])
    assert (refused.rc, "2, the release before the booted one, is denied (person: " in refused.err) == (3, True)
    host.machine.guest.run(["tidegate", "stage"])
    assert host.wait("at rest", lambda told: told["state"] == "disabled")["staged"] is None

    host.machine.sh("tidegate allow 2 --reason 'it was the shop'")
    assert host.denied() == []
    host.machine.sh("tidegate stage")
    assert version_of(host.snapshot() or {}, "staged") == "2"
    host.machine.sh("tidegate deny 2 --reason 'second thoughts'")
    host.wait("not waiting any more", lambda told: told["state"] == "disabled")
    assert host.machine.guest.run(["tidegate", "apply", "--now", "--reason", "a test"]).rc == 3
    host.machine.reboot()
    told = host.wait_settled(shop.old, boots=4)
    assert (host.denied(), told["next_boot"]) == ([new.payload], shop.old.payload)


def by_hand(host: AgentHost, command: str) -> None:
    with suppress(GuestGoneError):  # the host may be down before the command is
        host.machine.guest.run(["sh", "-c", f"tidegate {command} --reason 'by hand'"]).checked()


def test_a_release_that_is_left_without_asking_the_agent_is_denied_whatever_the_clock_says(shop: Shop) -> None:
    host = shop.host()
    inject(host)
    host.start(shop.source, UNHEALTHY)
    set_wall(host, EPOCH, told=False)
    new = shop.offer("2")
    host.machine.sh("tidegate check")
    told = host.wait_settled(new, boots=2)
    assert str(told["since"]).startswith("1970-01-01T00:1")
    assert [(attempt["outcome"], str(attempt["ended_at"])[:4]) for attempt in host.history()] == [("applied", "1970")]

    set_enabled(host, enabled=False)
    host.machine.choose_next(fallback_entry)
    host.machine.reboot()
    host.wait_settled(shop.old, boots=3)
    assert host.denied() == [], "a choice for one boot is no verdict"
    host.machine.reboot()
    host.wait_settled(new, boots=4)
    assert host.denied() == [], "nor is the way back from it"

    host.machine.sh(MAKE_DEFAULT.format(payload=shop.old.payload, booted=new.payload))
    host.machine.reboot()
    told = host.wait_settled(shop.old, boots=5)
    (denial,) = host.denials()
    assert host.denied() == [new.payload]
    assert (denial["cause"], denial["evidence"]) == ("person", "2 was left for 1 outside of the agent")
    assert denial["at"].startswith("1970")
    assert told["next_boot"] == shop.old.payload
    assert json.loads(host.machine.sh("tidegate status --json"))["staged"] is None


def set_enabled(host: AgentHost, *, enabled: bool) -> None:
    host.machine.put("/etc/tidegate/config.d/70-enabled.toml", f"[updates]\nenabled = {str(enabled).lower()}\n")
    host.machine.sh("systemctl reload tidegate.service")
