"""``python -m tests.bench.agent_bench``: what a resident agent costs, what asking it costs, how long an update takes.

Needs root and a machine that can boot hosts in containers (``python -m tests.e2e.lab doctor``). Prints medians and the
ratio to a yardstick that is measured in the same run, on the same host.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import prometheus_client

from tests.bench.agent_meters import CHECKS, account_of, check_request, costs, looks, metrics_library
from tests.e2e.agent_host import GRAPH, AgentHost, Source
from tests.e2e.lab.cache import Cache, remove_tree
from tests.e2e.lab.debian import host_base
from tests.e2e.lab.depot import Depot, Release, open_depot
from tests.e2e.lab.lab import Lab, open_lab
from tests.e2e.lab.layer import agent_layer
from tests.e2e.lab.machine import Machine
from tests.e2e.lab.server import Server, serve
from tests.e2e.lab.sysroot import Remote, make_sysroot
from tests.e2e.lab.waiting import monotonic_secs, pause
from tests.e2e.lab.wheels import wheelhouse
from tests.e2e.people import PYTHON

CHECKOUT = Path(__file__).resolve().parents[2]
SUITE = "bookworm"

HEARTBEAT_MINS = 2.5
"""Half of the unit's WatchdogSec=: the only thing that the agent wakes up for between two checks."""
CHECKS_AN_HOUR = 12
"""At the default ``steady_interval_secs``."""
WARM_CHECKS = 20
"""After these the agent has everything that a check needs."""
CHECKS_SECS = 600.0
BETWEEN_CHECKS = "[agent.timing]\nsteady_interval_secs = 86400\n"
"""No check but those that are asked for."""

# The same update by hand: what ostree, systemd and the boot take by themselves.
BY_HAND = """
ostree pull --commit-metadata-only lab lab/stable && ostree pull lab lab/stable
ostree admin deploy --stage lab:lab/stable && systemctl start ostree-finalize-staged.service
systemctl reboot
"""

Row = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured."""

    idle_mins: float
    checks: int
    cycles: int


@dataclass(frozen=True, slots=True)
class Check:
    """CPU milliseconds of a check: with the worker's, and the agent's own."""

    whole_ms: float
    agent_ms: float


def main() -> int:
    """Measure and print."""
    cache = Cache.default(lambda text: print(text, file=sys.stderr))
    extent = _extent()
    base = host_base(cache, SUITE)
    layer = agent_layer(cache, base, wheelhouse(cache, CHECKOUT, SUITE))
    with open_lab(cache) as lab:
        _print(("figure", "median", "yardstick", "ratio"))
        for row in _resident(lab, open_depot(lab, base, layers=[layer]), extent):
            _print(row)
        for row in _cycles(lab, lambda: open_depot(lab, base, layers=[layer]), extent.cycles):
            _print(row)
    return 0


def _print(row: Row) -> None:
    print("{:<58}{:>10}{:>44}{:>8}".format(*row), flush=True)


def _extent() -> Extent:
    parser = argparse.ArgumentParser(description="The agent's costs; under six minutes unless told otherwise.")
    parser.add_argument("--idle-mins", type=float, default=HEARTBEAT_MINS, help="for how long nothing is done")
    parser.add_argument("--checks", type=int, default=200, help="how many in a row, for the memory")
    parser.add_argument("--cycles", type=int, default=3, help="updates by the agent, and as many by hand")
    told = parser.parse_args()
    return Extent(told.idle_mins, told.checks, told.cycles)


@contextmanager
def _host(lab: Lab, depot: Depot, source: Source, extra: str = "") -> Generator[AgentHost]:
    sysroot = make_sysroot(lab, source.released[0], Remote(f"{source.server.url}/repo"))
    try:
        with Machine(lab, sysroot, "bench") as machine:
            host = AgentHost(machine)
            host.start(source, extra)
            yield host
    finally:
        remove_tree(sysroot.path)


def _resident(lab: Lab, depot: Depot, extent: Extent) -> Iterator[Row]:
    """One host that stays on its release."""
    release = depot.release("1", metrics_library(SUITE, Path(prometheus_client.__file__).parent))
    with serve(lab) as server:
        source, url = Source.of(depot, server, release), f"{server.url}{GRAPH}"
        with _host(lab, depot, source, BETWEEN_CHECKS + CHECKS.format(url=url)) as host:
            pid = host.machine.sh("systemctl show -P MainPID tidegate.service").strip()
            pause(5.0)  # the check at the start has just ended
            yield _memory(host, pid)
            idle, idle_hour_ms = _idle(host, pid, extent.idle_mins)
            yield idle
            check, growth = _checks(host, pid, server, extent.checks)
            yield growth
            yield _hour(idle_hour_ms, CHECKS_AN_HOUR * check.whole_ms)
            yield from _check_costs(host, check, url, release)
            yield from _asking(host)
            look, by_hand = looks(host, url)
            yield _row("a look with 10 health checks, whole host (CPU ms)", look, "the same by hand", by_hand)


def _memory(host: AgentHost, pid: str) -> Row:
    bare = _in_background(host, f"{PYTHON} -I -c 'import asyncio; asyncio.run(asyncio.sleep(600))'")
    mine, other = (float(host.machine.sh(f"awk '/^VmRSS:/ {{print $2/1024}}' /proc/{of}/status")) for of in (pid, bare))
    host.machine.sh("systemctl stop yardstick.service")
    return _row("agent after the first check, RSS (MiB)", mine, "asyncio alone", other, 1)


def _idle(host: AgentHost, pid: str, mins: float) -> tuple[Row, float]:
    """Nothing is due but the heartbeat; also the CPU milliseconds of an hour like that."""
    before = account_of(host, pid)
    pause(60 * mins)
    after = account_of(host, pid)
    used_ms, woken = after.cpu_ms - before.cpu_ms, after.wakeups - before.wakeups
    what = f"{mins:g} min between checks, wake-ups / CPU (ms)"
    due = f"heartbeats that are due {mins / HEARTBEAT_MINS:g}"
    return (what, f"{woken} / {used_ms:.1f}", due, "-"), used_ms * 60 / mins


def _hour(idle_ms: float, checks_ms: float) -> Row:
    what = f"an hour, extrapolated: idle and {CHECKS_AN_HOUR} checks (CPU s)"
    return what, f"{(idle_ms + checks_ms) / 1000:.1f}", f"idle alone, extrapolated {idle_ms / 1000:.3f}", "-"


def _checks(host: AgentHost, pid: str, server: Server, number: int) -> tuple[Check, Row]:
    """Many checks in a row: what one costs, and what they do to the memory."""
    _check(host, WARM_CHECKS)
    before, asked = account_of(host, pid), len(server.traffic.to(GRAPH))
    _check(host, number)
    after = account_of(host, pid)
    made = len(server.traffic.to(GRAPH)) - asked
    assert made == number, f"{made} checks were made of {number}"
    check = Check((after.service_cpu_ms - before.service_cpu_ms) / made, (after.cpu_ms - before.cpu_ms) / made)
    what = f"agent after {number} more checks, RSS (MiB)"
    return check, _row(what, after.rss_mib, f"after the first {WARM_CHECKS}", before.rss_mib, 2)


def _check(host: AgentHost, number: int) -> None:
    ask = "busctl --quiet --timeout=60 call org.tidegate.Agent1 /org/tidegate/Agent1 org.tidegate.Agent1 Check"
    host.machine.sh(f"for n in $(seq {number}); do {ask}; done", timeout_secs=CHECKS_SECS)


def _check_costs(host: AgentHost, check: Check, url: str, release: Release) -> Iterator[Row]:
    """Against the least that a program could do which asks for the same document once and ends."""
    worker, plain = costs(
        host,
        ([PYTHON, "-I", "-m", "tidegate.net.worker"], check_request(host, url, release.payload)),
        ([PYTHON, "-I", "-c", f"import httpx; httpx.get({url!r}).json()"], ""),
    )
    yield _row(
        "a check, agent and net-worker (CPU ms)", check.whole_ms, "python -c 'httpx.get(url).json()'", plain.cpu_ms
    )
    yield _row("of which in the agent (CPU ms)", check.agent_ms, "the same", plain.cpu_ms)
    yield _row("net-worker, memory at most (MiB)", worker.peak_mib, "the same", plain.peak_mib, 1)
    yield _row("net-worker, lives for (ms on the wall clock)", worker.lived_ms, "the same", plain.lived_ms)


def _asking(host: AgentHost) -> Iterator[Row]:
    status, metrics, nothing = costs(
        host,
        (["/usr/bin/tidegate", "status"], ""),
        (["/usr/bin/tidegate", "metrics"], ""),
        ([PYTHON, "-c", "pass"], ""),
    )
    yield _row("tidegate status (CPU ms)", status.cpu_ms, "python -c pass", nothing.cpu_ms)
    yield _row("tidegate metrics, the page (CPU ms)", metrics.cpu_ms, "python -c pass", nothing.cpu_ms)


def _row(what: str, mine: float, yardstick: str, other: float, digits: int = 0) -> Row:
    return what, f"{mine:.{digits}f}", f"{yardstick} {other:.{digits}f}", f"{mine / other:.2f}"


def _cycles(lab: Lab, new_depot: Callable[[], Depot], number: int) -> Iterator[Row]:
    """From the question to the verified boot, against the same done by hand."""
    mine = statistics.median(_cycle_secs(lab, new_depot(), _by_agent) for _ in range(number))
    hand = statistics.median(_cycle_secs(lab, new_depot(), _by_hand) for _ in range(number))
    yield _row("release 1 to 2, asked to verified (s)", mine, "by hand, asked to booted", hand, 1)


Update = Callable[[AgentHost, Source, Release], None]


def _cycle_secs(lab: Lab, depot: Depot, update: Update) -> float:
    old, new = depot.release("1"), depot.release("2")
    with serve(lab) as server:
        source = Source.of(depot, server, old)
        with _host(lab, depot, source) as host:
            begun = monotonic_secs()
            update(host, source, new)
            return monotonic_secs() - begun


def _by_agent(host: AgentHost, source: Source, new: Release) -> None:
    source.release(new)
    host.machine.sh("tidegate check")
    host.wait_settled(new, boots=2)


def _by_hand(host: AgentHost, source: Source, new: Release) -> None:
    source.depot.publish(new)
    host.machine.guest.run(["sh", "-ec", BY_HAND])
    host.machine.wait_boot(2)


def _in_background(host: AgentHost, command: str) -> str:
    host.machine.sh(f"systemd-run --quiet --unit=yardstick {command}")
    pause(3.0)
    return host.machine.sh("systemctl show -P MainPID yardstick.service").strip()


if __name__ == "__main__":
    sys.exit(main())
