"""``python -m tests.bench.agent_bench``: what a resident agent costs, what asking it costs, how long an update takes.

Needs root and a machine that can boot hosts in containers (``python -m tests.e2e.bed doctor``). Prints medians and the
ratio to a yardstick that is measured in the same run, on the same host.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.agent_host import AgentHost, Source
from tests.e2e.bed.cache import Cache, remove_tree
from tests.e2e.bed.debian import host_base
from tests.e2e.bed.depot import Depot, Release, open_depot
from tests.e2e.bed.lab import Lab, open_lab
from tests.e2e.bed.layer import agent_layer
from tests.e2e.bed.machine import Machine
from tests.e2e.bed.server import serve
from tests.e2e.bed.sysroot import Remote, make_sysroot
from tests.e2e.bed.waiting import monotonic_secs, pause
from tests.e2e.bed.wheels import wheelhouse

CHECKOUT = Path(__file__).resolve().parents[2]
CYCLES = 5
IDLE_SECS = 60.0
PYTHON = "/usr/lib/tidegate/bin/python"

# Runs in the host: CPU milliseconds of each command, median of several runs, as the kernel accounts for children.
CPU_OF_COMMANDS = """
import json, os, statistics, subprocess, sys
def cpu_ms(argv):
    child = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, _, used = os.wait4(child.pid, 0)
    return 1000 * (used.ru_utime + used.ru_stime)
commands = json.loads(sys.argv[1])
rounds = [[cpu_ms(argv) for argv in commands] for _ in range(25)]
print(json.dumps([statistics.median(column) for column in zip(*rounds)]))
"""

# The same update by hand: what ostree, systemd and the boot take by themselves.
BY_HAND = """
ostree pull --commit-metadata-only bed bed/stable && ostree pull bed bed/stable
ostree admin deploy --stage bed:bed/stable && systemctl start ostree-finalize-staged.service
systemctl reboot
"""

Row = tuple[str, str, str, str]


def main() -> int:
    """Measure and print."""
    cache = Cache.default(lambda text: print(text, file=sys.stderr))
    base = host_base(cache, "bookworm")
    layer = agent_layer(cache, base, wheelhouse(cache, CHECKOUT, "bookworm"))
    with open_lab(cache) as lab:
        rows = [*_idle(lab, lambda: open_depot(lab, base, layers=[layer]))]
        rows += [*_cycles(lab, lambda: open_depot(lab, base, layers=[layer]))]
    for row in [("figure", "median", "yardstick", "ratio"), *rows]:
        print("{:<46}{:>14}{:>36}{:>8}".format(*row))
    return 0


@contextmanager
def _host(lab: Lab, depot: Depot, source: Source) -> Generator[AgentHost]:
    sysroot = make_sysroot(lab, source.released[0], Remote(f"{source.server.url}/repo"))
    try:
        with Machine(lab, sysroot, "bench") as machine:
            host = AgentHost(machine)
            host.start(source)
            yield host
    finally:
        remove_tree(sysroot.path)


def _idle(lab: Lab, new_depot: Callable[[], Depot]) -> Iterator[Row]:
    """Between two checks: memory, wake-ups, and the cost of asking."""
    depot = new_depot()
    with serve(lab) as server, _host(lab, depot, Source.of(depot, server, depot.release("1"))) as host:
        pid = host.machine.sh("systemctl show -P MainPID tidegate.service").strip()
        pause(5.0)  # the check at the start has just ended
        bare = _in_background(host, f"{PYTHON} -I -c 'import asyncio; asyncio.run(asyncio.sleep(600))'")
        mine, other = (_rss_mib(host, of) for of in (pid, bare))
        yield "agent between checks, RSS (MiB)", f"{mine:.1f}", f"asyncio alone {other:.1f}", f"{mine / other:.2f}"
        before = _wakeups(host, pid)
        pause(IDLE_SECS)
        woken = _wakeups(host, pid) - before
        yield f"agent, wake-ups in {IDLE_SECS:.0f} s between checks", str(woken), "none is due", "-"
        status, nothing = _cpu_ms(host, ["/usr/bin/tidegate", "status"], [PYTHON, "-c", "pass"])
        yield "tidegate status (CPU ms)", f"{status:.0f}", f"python -c pass {nothing:.0f}", f"{status / nothing:.1f}"


def _cycles(lab: Lab, new_depot: Callable[[], Depot]) -> Iterator[Row]:
    """From the question to the verified boot, against the same done by hand."""
    mine = statistics.median(_cycle_secs(lab, new_depot(), _by_agent) for _ in range(CYCLES))
    hand = statistics.median(_cycle_secs(lab, new_depot(), _by_hand) for _ in range(CYCLES))
    yield (
        "release 1 to 2, asked to verified (s)",
        f"{mine:.1f}",
        f"by hand, asked to booted {hand:.1f}",
        f"{mine / hand:.2f}",
    )


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


def _rss_mib(host: AgentHost, pid: str) -> float:
    return int(host.machine.sh(f"awk '/^VmRSS:/ {{print $2}}' /proc/{pid}/status")) / 1024


def _wakeups(host: AgentHost, pid: str) -> int:
    counted = host.machine.sh(
        f"awk '/^voluntary_ctxt_switches:/ {{n += $2}} END {{print n}}' /proc/{pid}/task/*/status"
    )
    return int(counted)


def _cpu_ms(host: AgentHost, *commands: list[str]) -> list[float]:
    host.machine.put("/run/cpu.py", CPU_OF_COMMANDS)
    return [float(figure) for figure in json.loads(host.machine.sh(f"{PYTHON} /run/cpu.py '{json.dumps(commands)}'"))]


if __name__ == "__main__":
    sys.exit(main())
