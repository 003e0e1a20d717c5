"""The checks of health on a whole host: asked as the agent's user, run by the root helper in units of their own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import pytest

from tests.e2e.lab.depot import Depot
from tests.e2e.lab.guest import Guest
from tests.e2e.lab.server import Server
from tests.e2e.lab.waiting import wait_for
from tests.e2e.people import PYTHON
from tests.e2e.suites import on_one_suite
from tests.e2e.world import MachineFactory

pytestmark = [pytest.mark.host, on_one_suite]

LOOKS_SECS = 120.0
SETTLE_SECS = 120.0

LOOKING = """
import asyncio, json, sys
from dataclasses import asdict
from tidegate.clock import SystemClock
from tidegate.settings import DEFAULT_ROOTS
from tidegate.settings import load
from tidegate.bus.bus import Bus
from tidegate.services.systemd import Systemd
from tidegate.health.select import checks_for
from tidegate.health.wire import CHECKS
from tidegate.net.client import NetClient

async def refusal(bus, name):
    try:
        return repr(await bus.call(CHECKS, "Run", "s", name, returns="bs"))
    except Exception as err:
        return getattr(err, "error_name", getattr(err, "kind", type(err).__name__))

async def main():
    bus = await Bus.connect()
    prober = checks_for(load(DEFAULT_ROOTS).settings, Systemd(bus), NetClient(), bus, SystemClock())
    if sys.argv[1] == "look":
        looks = [await prober.probe(frozenset()) for _ in range(int(sys.argv[2]))]
        print(json.dumps([asdict(look) for look in looks]))
    else:
        print(json.dumps([await refusal(bus, name) for name in json.loads(sys.argv[2])]))
    await bus.close()

asyncio.run(main())
"""

UNITS = """
systemd-run --quiet --unit=web sleep inf
systemd-run --quiet --unit=broken --property=RemainAfterExit=yes false || true
systemctl start boot-complete.target
"""

SETTINGS = """
[health]
executables_timeout_secs = 4
[[health.unit]]
name = "web"
unit = "web.service"
[[health.unit]]
name = "broken"
unit = "broken.service"
[[health.unit]]
name = "nowhere"
unit = "nowhere.service"
[[health.command]]
name = "fine"
command = ["/usr/bin/id", "-u"]
[[health.command]]
name = "nobodys"
command = ["/usr/bin/id", "-un"]
user = "nobody"
[[health.command]]
name = "bad"
command = ["/bin/sh", "-c", "echo $0 ${1} $$ $((6 * 7)) >&2; exit 3", "zero", "one"]
[[health.command]]
name = "hangs"
command = ["/bin/sh", "-c", "echo before; sleep 600"]
timeout_secs = 2
[[health.command]]
name = "floods"
command = ["/usr/bin/yes", "\\u001b[31mred"]
timeout_secs = 2
[[health.command]]
name = "stays"
command = ["/bin/sh", "-c", "trap '' TERM; setsid sleep 612 & exit 0"]
timeout_secs = 10
[[health.command]]
name = "no-program"
command = ["/etc/hostname"]
[[health.command]]
name = "strangers"
command = ["/usr/bin/true"]
user = "no-such-user"
[[health.command]]
name = "writes"
command = ["/usr/bin/touch", "/etc/touched", "/var/touched"]
[[health.file]]
name = "there"
path = "/etc/os-release"
[[health.file]]
name = "gone"
path = "/run/reboot-needed"
state = "absent"
[[health.file]]
name = "hidden"
path = "/root/secret/file"
weight = "advisory"
"""

HTTP = """
[[health.http]]
name = "up"
url = "{url}/well"
contains = "all is well"
weight = "required"
[[health.http]]
name = "missing"
url = "{url}/nothing"
[[health.http]]
name = "down"
url = "http://127.0.0.1:9/"
"""

COUNTED = "#!/bin/sh\necho ran as $(id -un) >> /run/counted\n"


@dataclass(frozen=True, slots=True)
class Row:
    """One finding."""

    passed: bool
    weight: str
    detail: str


@pytest.fixture
def guest(depot: Depot, server: Server, new_machine: MachineFactory) -> Guest:
    """A host with checks of every kind."""
    machine = new_machine(depot.release("1"))
    machine.power_on()
    guest = machine.wait_up()
    server.put("/well", "all is well here")
    guest.put("/etc/tidegate/config.d/60-health.toml", SETTINGS + HTTP.format(url=server.url))
    guest.put("/etc/tidegate/health.d/required/10-counted.sh", COUNTED, 0o755)
    guest.put("/etc/tidegate/health.d/required/20-no-mode.sh", COUNTED, 0o644)
    guest.put("/etc/tidegate/health.d/required/30-open.sh", COUNTED, 0o777)
    guest.put("/etc/tidegate/health.d/wanted/40 hangs é", "#!/bin/sh\nsleep 600\n", 0o755)
    guest.put("/etc/greenboot/check/required.d/01-green.sh", "#!/bin/sh\necho green; exit 1\n", 0o755)
    guest.put("/etc/greenboot/check/wanted.d/02-off.sh", "#!/bin/sh\nexit 1\n", 0o755)
    guest.put("/etc/greenboot/greenboot.conf", 'DISABLED_HEALTHCHECKS=("02-off.sh")\n')
    guest.put("/run/look.py", LOOKING)
    guest.sh(UNITS)
    return guest


def ask(guest: Guest, *argv: str) -> object:
    """What the script prints as the agent's user."""
    command = ["runuser", "-u", "tidegate", "--", PYTHON, "/run/look.py", *argv]
    return json.loads(guest.run(command, timeout_secs=LOOKS_SECS).checked())


def looks(guest: Guest, number: int) -> list[tuple[Mapping[str, Row], str]]:
    """So many looks with one probe: the findings, and the journal's cursor."""
    told = cast("list[dict[str, object]]", ask(guest, "look", str(number)))
    return [(rows(cast("list[dict[str, object]]", look["findings"])), str(look["journal_cursor"])) for look in told]


def rows(findings: list[dict[str, object]]) -> Mapping[str, Row]:
    found = {str(one["check"]): Row(bool(one["passed"]), str(one["weight"]), str(one["detail"])) for one in findings}
    assert len(found) == len(findings)
    return found


def test_every_kind_of_check(guest: Guest) -> None:
    (found, cursor), (again, _) = looks(guest, 2)
    for name, row in found.items():
        print(f"{name:36} {row.passed!s:6} {row.weight:9} {row.detail}")
        assert row.detail.isprintable()
    assert {name for name, row in found.items() if row.passed} == {
        "boot-complete",
        "unit/web",
        "http/up",
        "command/fine",
        "command/nobodys",
        "command/stays",
        "file/there",
        "file/gone",
        "required/10-counted.sh",
    }
    expected = {
        "unit/broken": "broken.service is failed",
        "unit/nowhere": "there is no nowhere.service",
        "http/missing": "answers 404 Not Found",
        "http/down": "http://127.0.0.1:9/: Connection refused",
        "command/nobodys": "ended well: nobody",
        "command/bad": "exit code 3: zero one",
        "command/hangs": "did not end within 2 s and was killed: before",
        "command/floods": "did not end within 2 s and was killed: ...",
        "command/no-program": "exit code",
        "command/strangers": "exit code 217 from systemd: there is no such user",
        "command/writes": "Read-only file system",
        "file/hidden": "Permission denied",
        "required/20-no-mode.sh": "is not executable",
        "required/30-open.sh": "can be written by others than root",
        "wanted/40%20hangs%20%C3%A9": "did not end within 4 s",
        "greenboot-required/01-green.sh": "exit code 1: green",
    }
    for name, text in expected.items():
        assert text in found[name].detail, (name, found[name])
    assert " 42" in found["command/bad"].detail
    assert 61184 <= int(found["command/fine"].detail.removeprefix("ended well: ")) <= 65519, "no dynamic user"
    assert "greenboot-wanted/02-off.sh" not in found
    assert {found[name].weight for name in ("http/down", "wanted/40%20hangs%20%C3%A9", "file/hidden")} == {"advisory"}
    assert again["required/10-counted.sh"].passed
    assert guest.read("/run/counted") == "ran as root\n"
    assert guest.sh(f"journalctl --quiet --after-cursor='{cursor}' --lines=1 -o cat; echo read") != ""
    assert cursor.startswith("s=")
    assert guest.pids(r"^sleep 6") == [], "something that a check has started still runs"
    assert guest.sh("systemctl list-units --all --plain --no-legend 'tidegate-check-*'") == ""
    # The probe's memory is gone with it, but the boot's is not.
    ((later, _),) = looks(guest, 1)
    assert "earlier in this boot" in later["required/10-counted.sh"].detail
    assert guest.read("/run/counted") == "ran as root\n"


def test_nothing_but_what_root_has_configured_is_run(guest: Guest) -> None:
    strange = ["", "command/", "command/../../etc/passwd", "required/../10-counted.sh", "/usr/bin/true", "required"]
    strange += ["required/10-counted.sh\n", "command/fine\u0000", "ü" * 5000, "command/" + "x" * 20_000, "%n -- id"]
    answers = cast("list[str]", ask(guest, "refusals", json.dumps(strange)))
    assert set(answers) <= {"health.unknown-check"}
    assert guest.read("/run/counted") is None
    assert guest.run(
        ["runuser", "-u", "nobody", "--", PYTHON, "/run/look.py", "refusals", '["command/fine"]']
    ).out.strip() == ('["org.freedesktop.DBus.Error.AccessDenied"]')


def test_who_goes_away_takes_the_check_along(guest: Guest) -> None:
    guest.put(
        "/etc/tidegate/config.d/70.toml",
        '[[health.command]]\nname = "long"\ncommand = ["/bin/sleep", "613"]\ntimeout_secs = 300\n',
    )
    guest.sh(f"systemd-run --quiet --unit=asker --uid=tidegate {PYTHON} /run/look.py refusals '[\"command/long\"]'")
    wait_for(lambda: guest.pids("^/bin/sleep 613"), "the check", deadline_secs=SETTLE_SECS)
    guest.sh("systemctl kill --signal=KILL asker")
    wait_for(lambda: not guest.pids("^/bin/sleep 613"), "the end of the check", deadline_secs=SETTLE_SECS)
    assert guest.sh("systemctl list-units --all --plain --no-legend 'tidegate-check-*'") == ""
