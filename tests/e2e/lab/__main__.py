"""For people: ``python -m tests.e2e.lab build | shell | doctor``, from the top of the checkout, as root."""

from __future__ import annotations

import argparse
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tests.e2e.lab.cache import Cache
from tests.e2e.lab.debian import SUITES, BaseHost, host_base
from tests.e2e.lab.depot import open_depot
from tests.e2e.lab.doctor import can_run, examine
from tests.e2e.lab.guest import GuestGoneError
from tests.e2e.lab.lab import open_lab
from tests.e2e.lab.layer import agent_layer
from tests.e2e.lab.machine import UP_STATES, Machine
from tests.e2e.lab.process import LabError
from tests.e2e.lab.server import serve
from tests.e2e.lab.sysroot import Remote, make_sysroot
from tests.e2e.lab.waiting import monotonic_secs
from tests.e2e.lab.wheels import wheelhouse

SNIPPET = """\
[discovery.static_graph]
url = "{url}"

[updates]
enabled = false  # by hand: see the hint

[health]
monitor_secs = 10
interval_secs = 2
start_delay_secs = 2
"""
"""The host looks at the graph, and waits for the person at its shell."""

HINT = """\
The host runs release 1. To update it to release 2, in its shell:
  tidegate check
  tidegate stage
  tidegate apply --reason "to try it"
The shell comes back after the reboot; leave it to switch the host off."""

CHECKOUT = Path(__file__).resolve().parents[3]


def main() -> int:
    """The command line; returns the exit code."""
    arguments = _parser().parse_args()
    try:
        return int(arguments.run(arguments))
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.lab", description="Hosts in containers, for tests.")
    commands = parser.add_subparsers(required=True)
    build = commands.add_parser("build", help="build base hosts and wheels into the cache")
    build.add_argument("--suite", choices=SUITES, action="append", help="only this one; may be given again")
    build.set_defaults(run=_build)
    shell = commands.add_parser("shell", help="boot a host with the agent of this checkout and open a shell in it")
    shell.add_argument("--suite", choices=SUITES, default=next(iter(SUITES)))
    shell.add_argument("--no-agent", action="store_true", help="the base host alone")
    shell.set_defaults(run=_shell)
    doctor = commands.add_parser("doctor", help="say whether hosts can run here, and why not")
    doctor.set_defaults(run=_doctor)
    return parser


def _say(message: str) -> None:
    print(message, flush=True)


def _check_can_run() -> None:
    if reason := can_run():
        raise LabError(reason)


def _build(arguments: argparse.Namespace) -> int:
    _check_can_run()
    cache = Cache.default(_say)
    for suite in arguments.suite or SUITES:
        begin_secs = monotonic_secs()
        base = host_base(cache, suite)
        _agent(cache, base)
        _say(f"{suite}: ready after {monotonic_secs() - begin_secs:.1f} s in {base.folder}")
    return 0


def _agent(cache: Cache, base: BaseHost) -> Path:
    return agent_layer(cache, base, wheelhouse(cache, CHECKOUT, base.suite))


def _doctor(_: argparse.Namespace) -> int:
    findings = examine()
    for finding in findings:
        print(f"no   {finding.subject}: {finding.trouble}" if finding.trouble else f"ok   {finding.subject}")
    works = all(finding.trouble is None for finding in findings)
    print("hosts can run here" if works else "hosts cannot run here")
    return 0 if works else 1


def _shell(arguments: argparse.Namespace) -> int:
    _check_can_run()
    cache = Cache.default(_say)
    base = host_base(cache, arguments.suite)
    layers = [] if arguments.no_agent else [_agent(cache, base)]
    with open_lab(cache) as lab:
        depot = open_depot(lab, base, layers=layers)
        with serve(lab) as server:
            graph = depot.new_graph()
            server.mount("/repo", depot.archive)
            server.mount("/graph", graph)
            releases = [depot.release(version) for version in ("1", "2")]
            for release in releases:
                depot.publish(release, graph)
            _say(f"releases 1 and 2 at {server.url}/repo (remote lab), their graph at {server.url}/graph")
            sysroot = make_sysroot(lab, releases[0], Remote(f"{server.url}/repo"))
            with Machine(lab, sysroot, "host", _say) as machine:
                if not arguments.no_agent:
                    machine.put("/etc/tidegate/config.d/50-shell.toml", SNIPPET.format(url=f"{server.url}/graph"))
                    _say(HINT)
                _talk(machine)
    return 0


def _talk(machine: Machine) -> None:
    """A shell in the machine that follows it through reboots; when it is left, the machine is powered off."""
    machine.power_on()
    with suppress(GuestGoneError):  # somebody powered it off from inside
        while _is_left_for_a_reboot(machine):
            pass
        machine.power_off()


def _is_left_for_a_reboot(machine: Machine) -> bool:
    """One shell; true when it ended because the machine shuts down, and the machine is up again."""
    guest, boots = machine.wait_up(), len(machine.boots)
    subprocess.run(guest.enter(["bash", "-l"]), check=False)
    with suppress(GuestGoneError):
        if guest.run(["systemctl", "is-system-running"]).out.strip() in UP_STATES:
            return False
    machine.wait_boot(boots + 1)
    return True


if __name__ == "__main__":
    sys.exit(main())
