"""A host goes from one release to the next, before your eyes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT))  # started as a script; the lab is not part of the installed package

from contrib.demo import scratch  # noqa: E402 - only now can it be found
from contrib.demo.account import Account  # noqa: E402
from contrib.demo.telling import Teller  # noqa: E402
from tests.e2e.agent_host import AgentHost, Source, version_of  # noqa: E402
from tests.e2e.lab.cache import Cache  # noqa: E402
from tests.e2e.lab.debian import SUITES, host_base  # noqa: E402
from tests.e2e.lab.depot import Depot, File, Release, open_depot  # noqa: E402
from tests.e2e.lab.doctor import can_run  # noqa: E402
from tests.e2e.lab.lab import Lab, open_lab  # noqa: E402
from tests.e2e.lab.layer import agent_layer  # noqa: E402
from tests.e2e.lab.machine import Machine  # noqa: E402
from tests.e2e.lab.process import BedError  # noqa: E402
from tests.e2e.lab.server import serve  # noqa: E402
from tests.e2e.lab.sysroot import Remote, make_sysroot  # noqa: E402
from tests.e2e.lab.wheels import wheelhouse  # noqa: E402

# What is new in release 2: enough for a download that can be watched over a line as slow as this one.
NEW_FILES = 64
NEW_FILE_BYTES = 256 * 1024
CONNECTION_BYTES_PER_SEC = 1024 * 1024

STORY_SECS = 180.0  # from the question to a verified boot; seconds on a quiet machine
SCRATCH = "scratch"
NOTHING_NEW: Mapping[str, File] = {}


def main(arguments: list[str]) -> int:
    """Tell the story; 0 when the host came up in the newer release."""
    chosen = arguments[0] if arguments else next(iter(SUITES))
    if len(arguments) > 1 or chosen not in {*SUITES, SCRATCH}:
        print(f"usage: run.sh [{'|'.join([*SUITES, SCRATCH])}]", file=sys.stderr)
        return 2
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    try:
        return _tell(Teller(sys.stdout), chosen)
    except BedError as err:
        print(f"demo: {err}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever read this has seen enough; nothing more can be said, at exit neither
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        print("demo: interrupted; nothing of it is left running", file=sys.stderr)
        return 128 + signal.SIGINT


def _leave(number: int, _: FrameType | None) -> None:
    """End in order, so that what was started ends too."""
    sys.exit(128 + number)


def _tell(teller: Teller, chosen: str) -> int:
    if chosen == SCRATCH:
        return scratch.play(teller)
    if reason := can_run():
        teller.say(f"Whole hosts cannot run here: {reason}.")
        return scratch.play(teller)
    return _play(teller, chosen)


def _play(teller: Teller, suite: str) -> int:
    teller.say(f"Preparing a Debian {suite} host with OSTree (minutes the first time, kept for the next).")
    cache = Cache.default(teller.note)
    base = host_base(cache, suite)
    layer = agent_layer(cache, base, wheelhouse(cache, CHECKOUT, suite))
    with open_lab(cache) as lab, serve(lab) as server:
        depot = open_depot(lab, base, layers=[layer])
        old, new = _release(depot, "1"), _release(depot, "2", _news())
        source = Source.of(depot, server, old)
        server.throttle.bytes_per_sec = CONNECTION_BYTES_PER_SEC
        with _machine(lab, old, f"{server.url}/repo") as machine:
            _Story(teller, machine, source).tell(old, new)
            arrived = machine.boots[-1].payload == new.payload
    teller.say(f"\nTo look around in such a host: {sys.executable} -m tests.e2e.lab shell --suite {suite}")
    return 0 if arrived else 1


def _release(depot: Depot, version: str, news: Mapping[str, File] = NOTHING_NEW) -> Release:
    return depot.release(version, {"/etc/greeting": File(f"Welcome to release {version}.\n"), **news})


def _news() -> dict[str, File]:
    return {f"/usr/share/news/{number}": File(os.urandom(NEW_FILE_BYTES)) for number in range(NEW_FILES)}


def _machine(lab: Lab, release: Release, repo: str) -> Machine:
    return Machine(lab, make_sysroot(lab, release, Remote(repo)), "demo")


class _Story:
    def __init__(self, teller: Teller, machine: Machine, source: Source) -> None:
        self._teller = teller
        self._machine = machine
        self._host = AgentHost(machine)
        self._source = source
        self._account = Account(teller, self._host)

    def tell(self, old: Release, new: Release) -> None:
        """From ``old`` to ``new``."""
        self._teller.chapter(f"A host boots release {old.version}")
        self._host.start(self._source)
        self._checked()
        self._account.skip()
        self._type("cat /etc/greeting", "systemctl status tidegate.service | head -n 3", "tidegate status")
        self._teller.chapter(f"Release {new.version} is published, and the host is asked to look")
        self._source.release(new)
        self._type("tidegate check")
        self._follow(new)
        self._teller.chapter(f"The host runs release {new.version}")
        self._type("cat /etc/greeting", "tidegate status", "tidegate history", "ostree admin status")

    def _type(self, *commands: str) -> None:
        for command in commands:
            self._teller.command(command, self._machine.sh(f"{command} 2>&1 || true"))

    def _checked(self) -> None:
        self._host.wait("a first look for releases", lambda told: told["last_check"] is not None)

    def _follow(self, new: Release) -> None:
        """Tell what happens until the host has come to rest in ``new``."""

        def look() -> bool:
            self._account.catch_up()
            return len(self._machine.boots) > 1 and self._settled(new)

        self._machine.wait_for(look, f"at rest in {new.version}", deadline_secs=STORY_SECS)
        self._checked()
        self._account.catch_up()

    def _settled(self, new: Release) -> bool:
        told = self._host.snapshot()
        return told is not None and told["state"] == "steady" and version_of(told, "booted") == new.version


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
