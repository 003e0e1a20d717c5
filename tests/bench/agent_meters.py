"""What processes of a host cost, read in the host itself: the kernel's account of them and of their cgroups.

CPU time counts, not the wall clock: whoever else uses the machine makes programs slow, but not much dearer.
"""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from tests.e2e.agent_host import AgentHost
from tests.e2e.lab.debian import SUITES
from tests.e2e.lab.depot import Extra, File
from tests.e2e.people import PYTHON

SERVICE = "tidegate.service"
LOOK_SCRIPT = "/run/look.py"
RUN_SCRIPT = "/run/cost.py"
RUNS = 11
LOOKS = 7
LOOKS_SECS = 120.0
SLICE = "/sys/fs/cgroup/system.slice"

# Each command in turn, so that they share good times and bad. Parent and child are one for a moment, and the kernel
# remembers the larger: this process has to stay smaller than those that it measures.
COST = """
import json, os, subprocess, sys, time
def cost(argv, stdin):
    begun = time.monotonic()
    child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    child.stdin.write(stdin.encode())
    child.stdin.close()
    _, status, used = os.wait4(child.pid, 0)
    assert status == 0, (status, argv)
    return 1000 * (used.ru_utime + used.ru_stime), used.ru_maxrss / 1024, 1000 * (time.monotonic() - begun)
commands = json.load(sys.stdin)
print(json.dumps([[cost(*command) for command in commands] for _ in range(int(sys.argv[1]))]))
"""

# What the worker is asked in a check: encoded where its code is.
REQUEST = """
import sys
from tidegate.discovery.graph_keys import MAX_GRAPH_BYTES
from tidegate.discovery.wire import GraphRequest
from tidegate.net.wire import encode_request
print(encode_request(GraphRequest(sys.argv[1], sys.argv[2], 60.0, MAX_GRAPH_BYTES)).decode(), end="")
"""

# Looks, and the same done by hand; of each the CPU time of the whole host, which does nothing else. The first is not
# counted: it starts the helper.
LOOK = """
import asyncio, json, subprocess, sys
from tidegate.clock import SystemClock
from tidegate.settings import DEFAULT_ROOTS
from tidegate.settings import load
from tidegate.bus.bus import Bus
from tidegate.services.systemd import Systemd
from tidegate.health.select import checks_for
from tidegate.net.client import NetClient

def used_ms():
    with open("/sys/fs/cgroup/cpu.stat") as account:
        return int(account.readline().split()[1]) / 1000

async def main():
    bus = await Bus.connect()
    prober = checks_for(load(DEFAULT_ROOTS).settings, Systemd(bus), NetClient(), bus, SystemClock())
    found = (await prober.probe(frozenset())).findings
    assert len(found) == 11 and all(one.passed for one in found), found
    rows = []
    for _ in range(int(sys.argv[1])):
        begun = used_ms()
        await prober.probe(frozenset())
        looked = used_ms()
        subprocess.run(["sh", "-ec", sys.argv[2]], check=True)
        rows.append([looked - begun, used_ms() - looked])
    print(json.dumps(rows))
    await bus.close()

asyncio.run(main())
"""

CHECKS = """
[[health.unit]]
name = "bus"
unit = "dbus.service"
[[health.unit]]
name = "logind"
unit = "systemd-logind.service"
[[health.unit]]
name = "journal"
unit = "systemd-journald.service"
[[health.unit]]
name = "agent"
unit = "tidegate.service"
[[health.file]]
name = "there"
path = "/etc/os-release"
[[health.file]]
name = "gone"
path = "/run/reboot-needed"
state = "absent"
[[health.command]]
name = "one"
command = ["/usr/bin/true"]
[[health.command]]
name = "two"
command = ["/usr/bin/true"]
[[health.http]]
name = "up"
url = "{url}"
weight = "required"
[[health.http]]
name = "up-still"
url = "{url}"
weight = "required"
"""

CHECKS_BY_HAND = """
for unit in dbus systemd-logind systemd-journald tidegate; do systemctl is-active --quiet $unit.service; done
test -e /etc/os-release
test ! -e /run/reboot-needed
for command in one two; do systemd-run --quiet --wait true; done
for url in one two; do {python} -I -c 'import httpx; httpx.get("{url}").raise_for_status()'; done
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one program: medians of several runs. ``peak_mib`` is the most memory that it had at a time."""

    cpu_ms: float
    peak_mib: float
    lived_ms: float


@dataclass(frozen=True, slots=True)
class Account:
    """What a process has used since it began; its ``service_cpu_ms`` has its children, too."""

    rss_mib: float
    cpu_ms: float
    service_cpu_ms: float
    wakeups: int


def account_of(host: AgentHost, pid: str) -> Account:
    """Of the agent, whose process is ``pid``."""
    told = host.machine.sh(
        f"awk '/^VmRSS:/ {{print $2}}' /proc/{pid}/status; awk '{{print $1}}' /proc/{pid}/schedstat;"
        f"awk '/^usage_usec/ {{print $2}}' {SLICE}/{SERVICE}/cpu.stat;"
        f"awk '/^voluntary_ctxt_switches:/ {{n += $2}} END {{print n}}' /proc/{pid}/task/*/status"
    )
    rss_kib, cpu_ns, service_usec, wakeups = (int(word) for word in told.split())
    return Account(rss_kib / 1024, cpu_ns / 1e6, service_usec / 1e3, wakeups)


def costs(host: AgentHost, *commands: tuple[list[str], str]) -> list[Cost]:
    """Of each program with its arguments and what it reads on stdin."""
    host.machine.put(RUN_SCRIPT, COST)
    told = host.machine.guest.run(
        [PYTHON, "-I", "-S", RUN_SCRIPT, str(RUNS)], stdin=json.dumps(commands), timeout_secs=LOOKS_SECS
    )
    rounds = cast("list[list[tuple[float, float, float]]]", json.loads(told.checked()))
    return [
        Cost(*(statistics.median(figure) for figure in zip(*runs, strict=True))) for runs in zip(*rounds, strict=True)
    ]


def check_request(host: AgentHost, url: str, payload: str) -> str:
    """What the net-worker is told when a host that runs ``payload`` checks for a newer release."""
    return host.machine.guest.run([PYTHON, "-I", "-c", REQUEST, url, payload]).checked()


def looks(host: AgentHost, url: str) -> tuple[float, float]:
    """CPU milliseconds of a look with :data:`CHECKS`, and of the same by hand."""
    host.machine.put(LOOK_SCRIPT, LOOK)
    by_hand = CHECKS_BY_HAND.format(python=PYTHON, url=url)
    in_its_cgroups = ["systemd-run", "--quiet", "--wait", "--pipe", PYTHON, LOOK_SCRIPT, str(LOOKS), by_hand]
    told = host.machine.guest.run(in_its_cgroups, timeout_secs=LOOKS_SECS)
    rows = cast("list[tuple[float, float]]", json.loads(told.checked()))
    return statistics.median(row[0] for row in rows), statistics.median(row[1] for row in rows)


def metrics_library(suite: str, source: Path) -> dict[str, Extra]:
    """prometheus-client at ``source``, beside the agent: nothing but Python, so that the host's own can run it."""
    into = f"/usr/lib/tidegate/lib/python{SUITES[suite]}/site-packages/prometheus_client"
    return {f"{into}/{file.relative_to(source)}": File(file.read_bytes()) for file in sorted(source.rglob("*.py"))}
