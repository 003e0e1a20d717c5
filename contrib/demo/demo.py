"""Demo: a host in a container is updated from one release to the next."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT))  # started as a script; the lab is not part of the installed package

from contrib.demo import scratch  # noqa: E402 - after sys.path has been extended
from contrib.demo.narration import Narrator  # noqa: E402
from contrib.demo.progress import Progress  # noqa: E402
from tests.e2e.agent_host import AgentHost, Source, version_of  # noqa: E402
from tests.e2e.lab.cache import Cache  # noqa: E402
from tests.e2e.lab.debian import SUITES, host_base  # noqa: E402
from tests.e2e.lab.depot import Depot, File, Release, open_depot  # noqa: E402
from tests.e2e.lab.doctor import can_run  # noqa: E402
from tests.e2e.lab.lab import Lab, open_lab  # noqa: E402
from tests.e2e.lab.layer import agent_layer  # noqa: E402
from tests.e2e.lab.machine import Machine  # noqa: E402
from tests.e2e.lab.process import LabError  # noqa: E402
from tests.e2e.lab.server import serve  # noqa: E402
from tests.e2e.lab.sysroot import Remote, make_sysroot  # noqa: E402
from tests.e2e.lab.wheels import wheelhouse  # noqa: E402

# New files of release 2: at this bandwidth, the progress of the download can be watched.
NEW_FILES = 64
NEW_FILE_BYTES = 256 * 1024
CONNECTION_BYTES_PER_SEC = 1024 * 1024

STORY_SECS = 180.0  # from `tidegate check` to a verified boot; it takes seconds on an idle machine
SCRATCH = "scratch"
NOTHING_NEW: Mapping[str, File] = {}


def main(arguments: list[str]) -> int:
    """Run the demo; returns 0 if the host has booted the newer release."""
    chosen = arguments[0] if arguments else next(iter(SUITES))
    if len(arguments) > 1 or chosen not in {*SUITES, SCRATCH}:
        print(f"usage: run.sh [{'|'.join([*SUITES, SCRATCH])}]", file=sys.stderr)
        return 2
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    try:
        return _run(Narrator(sys.stdout), chosen)
    except LabError as err:
        print(f"demo: {err}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader has closed the pipe; the flush at exit would fail as well
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        print("demo: interrupted; everything it started has been stopped", file=sys.stderr)
        return 128 + signal.SIGINT


def _leave(number: int, _: FrameType | None) -> None:
    """Exit through all context managers, which stop what was started."""
    sys.exit(128 + number)


def _run(narrator: Narrator, chosen: str) -> int:
    if chosen == SCRATCH:
        return scratch.play(narrator)
    if reason := can_run():
        narrator.say(f"Hosts in containers cannot run here: {reason}.")
        return scratch.play(narrator)
    try:
        return _play(narrator, chosen)
    except CannotBootError as err:
        narrator.say(f"No host can be booted in a container here: {err}")
        return scratch.play(narrator)


class CannotBootError(Exception):
    """The first boot of the first host failed, with the reason in one line."""


def _play(narrator: Narrator, suite: str) -> int:
    narrator.say(f"Preparing a Debian {suite} host with OSTree (takes minutes the first time, and is cached).")
    cache = Cache.default(narrator.note)
    base = host_base(cache, suite)
    layer = agent_layer(cache, base, wheelhouse(cache, CHECKOUT, suite))
    with open_lab(cache) as lab, serve(lab) as server:
        depot = open_depot(lab, base, layers=[layer])
        old, new = _release(depot, "1"), _release(depot, "2", _news())
        source = Source.of(depot, server, old)
        server.throttle.bytes_per_sec = CONNECTION_BYTES_PER_SEC
        with _machine(lab, old, f"{server.url}/repo") as machine:
            _Story(narrator, machine, source).run(old, new)
            arrived = machine.boots[-1].payload == new.payload
    narrator.say(f"\nFor a shell in such a host: {sys.executable} -m tests.e2e.lab shell --suite {suite}")
    return 0 if arrived else 1


def _last_line(error: LabError) -> str:
    """The last words of what failed, or what was waited for."""
    lines = [line.strip() for line in error.message.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason is known"


def _release(depot: Depot, version: str, news: Mapping[str, File] = NOTHING_NEW) -> Release:
    return depot.release(version, {"/etc/greeting": File(f"Welcome to release {version}.\n"), **news})


def _news() -> dict[str, File]:
    return {f"/usr/share/news/{number}": File(os.urandom(NEW_FILE_BYTES)) for number in range(NEW_FILES)}


def _machine(lab: Lab, release: Release, repo: str) -> Machine:
    return Machine(lab, make_sysroot(lab, release, Remote(repo)), "demo")


class _Story:
    def __init__(self, narrator: Narrator, machine: Machine, source: Source) -> None:
        self._narrator = narrator
        self._machine = machine
        self._host = AgentHost(machine)
        self._source = source
        self._progress = Progress(narrator, self._host)

    def run(self, old: Release, new: Release) -> None:
        """Boot ``old``, publish ``new``, and follow the update."""
        self._narrator.chapter(f"A host boots release {old.version}")
        self._boot()
        self._checked()
        self._progress.skip()
        self._type("cat /etc/greeting", "systemctl status tidegate.service | head -n 3", "tidegate status")
        self._narrator.chapter(f"Release {new.version} is published, and the host is asked to check")
        self._source.release(new)
        self._type("tidegate check")
        self._follow(new)
        self._narrator.chapter(f"The host runs release {new.version}")
        self._type("cat /etc/greeting", "tidegate status", "tidegate history", "ostree admin status")

    def _boot(self) -> None:
        """Boot the host for the first time."""
        try:
            self._host.start(self._source)
        except LabError as err:
            raise CannotBootError(_last_line(err)) from err

    def _type(self, *commands: str) -> None:
        for command in commands:
            self._narrator.command(command, self._machine.sh(f"{command} 2>&1 || true"))

    def _checked(self) -> None:
        self._host.wait("a first check for releases", lambda snapshot: snapshot["last_check"] is not None)

    def _follow(self, new: Release) -> None:
        """Print events until the host runs ``new`` and is idle."""

        def done() -> bool:
            self._progress.show()
            return len(self._machine.boots) > 1 and self._settled(new)

        self._machine.wait_for(done, f"idle in {new.version}", deadline_secs=STORY_SECS)
        self._checked()
        self._progress.show()

    def _settled(self, new: Release) -> bool:
        snapshot = self._host.snapshot()
        return snapshot is not None and snapshot["state"] == "steady" and version_of(snapshot, "booted") == new.version


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
