"""A host goes from one release to the next, before your eyes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT))  # started as a script; the bed is not part of the installed package

from contrib.demo import scratch  # noqa: E402 - only now can it be found
from contrib.demo.telling import Teller  # noqa: E402
from tests.e2e.agent_host import AgentHost, Document, Source  # noqa: E402
from tests.e2e.bed.cache import Cache  # noqa: E402
from tests.e2e.bed.debian import SUITES, host_base  # noqa: E402
from tests.e2e.bed.depot import Depot, File, Release, open_depot  # noqa: E402
from tests.e2e.bed.doctor import can_run  # noqa: E402
from tests.e2e.bed.lab import Lab, open_lab  # noqa: E402
from tests.e2e.bed.layer import agent_layer  # noqa: E402
from tests.e2e.bed.machine import Machine  # noqa: E402
from tests.e2e.bed.process import BedError  # noqa: E402
from tests.e2e.bed.server import serve  # noqa: E402
from tests.e2e.bed.sysroot import Remote, make_sysroot  # noqa: E402
from tests.e2e.bed.wheels import wheelhouse  # noqa: E402


def main(arguments: list[str]) -> int:
    """Tell the story; 0 when the host came up in the newer release."""
    suite = arguments[0] if arguments else "bookworm"
    if suite not in SUITES:
        print(f"usage: run.sh [{'|'.join(SUITES)}]", file=sys.stderr)
        return 2
    teller = Teller(sys.stdout)
    reason = can_run()
    if reason is not None:
        teller.say(f"Whole hosts cannot run here: {reason}.")
        return scratch.play(teller)
    try:
        return _play(teller, suite)
    except BedError as err:
        print(f"demo: {err}", file=sys.stderr)
        return 1


def _play(teller: Teller, suite: str) -> int:
    teller.say(f"Preparing a Debian {suite} host with OSTree (minutes the first time, kept for the next).")
    cache = Cache.default(teller.note)
    base = host_base(cache, suite)
    layer = agent_layer(cache, base, wheelhouse(cache, CHECKOUT, suite))
    with open_lab(cache) as lab, serve(lab) as server:
        depot = open_depot(lab, base, layers=[layer])
        old, new = _release(depot, "1"), _release(depot, "2")
        source = Source.of(depot, server, old)
        with _machine(lab, old, f"{server.url}/repo") as machine:
            _Story(teller, machine, source).tell(old, new)
            return 0 if machine.boots[-1].payload == new.payload else 1


def _release(depot: Depot, version: str) -> Release:
    return depot.release(version, {"/etc/greeting": File(f"Welcome to release {version}.\n")})


def _machine(lab: Lab, release: Release, repo: str) -> Machine:
    return Machine(lab, make_sysroot(lab, release, Remote(repo)), "demo")


class _Story:
    def __init__(self, teller: Teller, machine: Machine, source: Source) -> None:
        self._teller = teller
        self._machine = machine
        self._host = AgentHost(machine)
        self._source = source

    def tell(self, old: Release, new: Release) -> None:
        """From ``old`` to ``new``."""
        self._teller.chapter(f"The host runs release {old.version}")
        self._host.start(self._source)
        self._type("cat /etc/greeting", "systemctl status tidegate.service | sed -n '1,6p'", "tidegate status")
        self._teller.chapter(f"Release {new.version} is published; the host is asked to look")
        self._source.release(new)
        self._type("tidegate check")
        self._follow(lambda: len(self._machine.boots) > 1)
        self._teller.chapter("It reboots through logind, and comes up again")
        self._host.wait_settled(new, boots=2)
        self._follow(lambda: (self._host.snapshot() or {}).get("state") == "steady")
        self._teller.chapter(f"The host runs release {new.version}")
        self._type("cat /etc/greeting", "tidegate status", "tidegate history", "ostree admin status")
        self._type("journalctl -q --no-hostname -o short-monotonic -u tidegate.service -b -1 | tail -n 8")

    def _type(self, *commands: str) -> None:
        for command in commands:
            self._teller.command(command, self._machine.sh(f"{command} 2>&1 || true"))

    def _follow(self, ended: Callable[[], bool]) -> None:
        """Show each new line of the agent's account until ``ended``."""
        shown = ""

        def look() -> bool:
            nonlocal shown
            if ended():
                return True
            line = _summary(self._host.snapshot())
            if line and line != shown:
                shown = line
                self._teller.note(line)
            return False

        self._machine.wait_for(look, "the next chapter", deadline_secs=120)


def _summary(told: Document | None) -> str:
    return "" if told is None else str(told["summary"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
