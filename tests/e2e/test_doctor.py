"""The doctor on a whole host: nothing is wrong with a healthy one, and what is broken is named with what mends it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import pytest

from tests.e2e.agent_host import SETTLE_SECS, AgentHost, Document
from tests.e2e.suites import on_one_suite
from tests.e2e.world import MANUAL, World

pytestmark = pytest.mark.host

DOCTOR_SECS = 60.0
AREAS = frozenset(
    {
        "units", "policies", "folders", "configuration", "engine", "boot", "discovery", "lock", "clock", "health",
        "identity", "rivals",
    }
)  # fmt: skip

UNTOUCHED = "/etc /var/lib /run/tidegate/config.d /run/systemd/system"
CHECK = "/etc/tidegate/health.d/required/10-web.sh"
DROP_IN = "/etc/tidegate/config.d/60-test.toml"
LOCK_DROP_IN = "/etc/tidegate/config.d/61-lock.toml"
PATH = "ostree-finalize-staged.path"
START_PATH = f"! systemctl cat {PATH} || systemctl start {PATH}"
SET_REMOTE = "ostree config --repo=/ostree/repo set 'remote \"lab\".url'"


@dataclass(frozen=True, slots=True)
class Breakage:
    """What is broken, by ``command``; ``mend`` is what a person does where the remedy is no command."""

    check: str
    command: str
    mend: str = ""


ROUNDS = (
    (
        Breakage(
            "policies.may-reboot",
            "mount -t tmpfs tmpfs /usr/share/polkit-1/rules.d; systemctl restart polkit.service",
        ),
        Breakage("folders.records", "chmod 0666 /var/lib/tidegate/records.json"),
        Breakage("folders.state", "chmod 0777 /var/lib/tidegate"),
        Breakage("folders.snippets", "chmod 0666 /etc/tidegate/config.d/50-test.toml"),
        Breakage("engine.finalize", "systemctl mask ostree-finalize-staged.service"),
        Breakage("health.required/10-web.sh", f"mkdir -p {CHECK.rpartition('/')[0]}; echo '#!/bin/sh' >{CHECK}"),
        Breakage("identity.machine-id", "cp /etc/machine-id /run/id; mount --bind /run/id /usr/etc/machine-id"),
        Breakage("units.enabled", "systemctl disable tidegate.service"),
    ),
    (
        Breakage("policies.polkitd", "systemctl mask --now polkit.service"),
        Breakage(  # which is not there to be started again on Debian 13
            "engine.finalize", f"systemctl mask --runtime {PATH}", f"systemctl unmask --runtime {PATH}; {START_PATH}"
        ),
        Breakage(
            "engine.boot-space",
            "mount -t tmpfs -o size=200k tmpfs /boot; cp -a /sysroot/boot/. /boot/",
            "umount /boot",
        ),
        Breakage("configuration.snippets", f"echo '[updates' >{DROP_IN}", f"rm {DROP_IN}"),
    ),
    (
        Breakage("units.agent", "systemctl stop tidegate.service"),
        Breakage(
            "discovery.source",
            f"""printf '[discovery.static_graph]\\nurl = "http://127.0.0.1:9/"\\n' >{DROP_IN}""",
            f"rm {DROP_IN}",
        ),
        Breakage(
            "lock.server",
            'printf \'[updates]\\nstrategy = "fleet_lock"\\n[updates.fleet_lock]\\nbase_url = "http://127.0.0.1:9/"\\n\''
            f" >{LOCK_DROP_IN}",
            f"rm {LOCK_DROP_IN}",
        ),
        Breakage("boot.boot-complete", "systemctl stop boot-complete.target"),
    ),
)
"""What is broken at the same time: a look takes a second of the processor, and a round needs two."""


def look(host: AgentHost) -> dict[str, Document]:
    """What the doctor finds, by area and check; the worst of several for one check."""
    done = host.machine.guest.run(["tidegate", "doctor", "--json"], timeout_secs=DOCTOR_SECS)
    told = json.loads(done.out)
    assert (done.err, done.rc) == ("", 1 if told["verdict"] == "problem" else 0)
    found = cast("list[Document]", told["findings"])
    weight = ["ok", "unknown", "warning", "problem"]
    return {
        f"{one['area']}.{one['check']}": one for one in sorted(found, key=lambda one: weight.index(str(one["status"])))
    }


def wrong(found: Mapping[str, Document]) -> dict[str, Document]:
    """The problems, and what could not be checked."""
    return {name: one for name, one in found.items() if one["status"] in {"problem", "unknown"}}


@pytest.fixture(name="host")
def _host(world: World) -> AgentHost:
    host = world.started(MANUAL)
    world.source.release(world.new)
    host.machine.sh("tidegate stage")  # so that there are records
    return host


def test_a_healthy_host_is_well_and_whatever_is_broken_is_named_and_mended(host: AgentHost) -> None:
    listing = f"find {UNTOUCHED} -printf '%p %T@ %m %U\\n' | sort"
    before = host.machine.sh(listing)
    found = look(host)
    assert host.machine.sh(listing) == before, "looking changes nothing"
    assert wrong(found) == {}
    assert {str(one["area"]) for one in found.values()} == AREAS
    host.machine.sh("systemctl stop polkit.service")
    assert wrong(look(host)) == {}, "the bus starts it when it is asked"
    _others_are_told_what_they_cannot_see(host)
    for broken in ROUNDS:
        _broken_and_mended(host, broken)


def _others_are_told_what_they_cannot_see(host: AgentHost) -> None:
    as_nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    done = host.machine.guest.run([*as_nobody, "tidegate", "doctor"], timeout_secs=DOCTOR_SECS)
    assert (done.rc, done.err) == (0, "")
    unknown = [line for line in done.out.splitlines() if line.startswith("unknown ")]
    assert any("records.json" in line for line in unknown)
    assert any("may reboot" in line for line in unknown)
    assert "PROBLEM" not in done.out


def _broken_and_mended(host: AgentHost, broken: Sequence[Breakage]) -> None:
    for breakage in broken:
        host.machine.sh(breakage.command)
    found = look(host)
    assert {one.check for one in broken} - {name for name, one in found.items() if one["status"] == "problem"} == set()
    remedies = [one.mend or str(found[one.check]["remedy"]) for one in broken]
    for remedy in remedies:
        host.machine.sh(remedy)
    host.machine.wait_for(lambda: wrong(look(host)) == {}, f"mended by {remedies}", deadline_secs=SETTLE_SECS)


@on_one_suite
def test_a_remote_that_is_gone_and_a_time_service_that_is_masked_are_named(host: AgentHost) -> None:
    host.machine.sh(f"{SET_REMOTE} http://127.0.0.1:9/repo")
    host.machine.put(DROP_IN, '[gates.clock]\nrequire = "always"\n')
    host.machine.sh("systemctl mask --now systemd-timedated.service")
    found = look(host)
    assert "cannot be reached" in str(found["engine.remote"]["message"])
    clock = found["clock.synchronized"]
    assert (clock["status"], "timedated does not report" in str(clock["message"])) == ("problem", True)
    host.machine.sh(str(clock["remedy"]))
    again = look(host)["clock.synchronized"]
    assert "NTPSynchronized=" in str(again["evidence"])
    assert again["status"] == ("ok" if "NTPSynchronized=True" in str(again["evidence"]) else "problem")
