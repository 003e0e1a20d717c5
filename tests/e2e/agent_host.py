"""A machine with the agent on it: where it gets its releases from, and what it says of itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from tests.e2e.lab.depot import Depot, Release
from tests.e2e.lab.machine import Machine
from tests.e2e.lab.server import Server
from tests.e2e.lab.waiting import TooLateError

STATUS_FILE = "/run/tidegate/public/status.json"
GRAPH = "/graph.json"
REPO = "/repo"
SETTLE_SECS = 180.0
"""For a host to get from one resting state to another: seconds on a quiet machine, and this one may be busy."""

LAST_LINES = 20

WATCH = """\
[health]
monitor_secs = 2
interval_secs = 1
start_delay_secs = 1
retries = 60
"""
"""The shortest watch. A busy machine makes no boot unhealthy within a minute: stories of releases that are not healthy
set their own."""

Document = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Source:
    """What the hosts can see of the world: a repository, and the graph in which ``released`` was published so far."""

    depot: Depot
    server: Server
    graph: Path
    released: list[Release]

    @classmethod
    def of(cls, depot: Depot, server: Server, first: Release) -> Source:
        """A world in which ``first`` is all there is."""
        source = cls(depot, server, depot.new_graph(), [])
        server.mount(REPO, depot.archive)
        server.mount(GRAPH, source.graph)
        source.release(first)
        return source

    @property
    def snippet(self) -> str:
        """The configuration of a host that looks here."""
        return f'[discovery.static_graph]\nurl = "{self.server.url}{GRAPH}"\n'

    def release(self, release: Release, *, rollback_floor: str | None = None) -> None:
        """Offer ``release`` from every earlier one."""
        self.depot.publish(release, self.graph, rollback_floor=rollback_floor)
        self.released.append(release)


@dataclass(frozen=True, slots=True)
class AgentHost:
    """The machine and its agent's account."""

    machine: Machine

    def start(self, source: Source, extra: str = "", *, watch: str = WATCH) -> None:
        """Configure the host to look at ``source``, switch it on and wait until its agent has nothing to do."""
        self.machine.put("/etc/tidegate/config.d/40-watch.toml", watch)
        self.machine.put("/etc/tidegate/config.d/50-test.toml", source.snippet + extra)
        self.machine.power_on()
        self.machine.wait_up()
        self.wait(
            "at rest",
            lambda told: told["state"] == "disabled" or (told["state"] == "steady" and told["last_check"] is not None),
        )

    def snapshot(self) -> Document | None:
        """What the agent says of itself, or None while it has said nothing in this boot."""
        text = self.machine.guest.read(STATUS_FILE)
        return None if text is None else cast(Document, json.loads(text))

    def wait(self, what: str, holds: Callable[[Document], bool], *, deadline_secs: float = SETTLE_SECS) -> Document:
        """Wait until ``holds`` of the snapshot; gives that snapshot."""

        def look() -> Document | None:
            told = self.snapshot()
            return told if told is not None and holds(told) else None

        try:
            return self.machine.wait_for(look, what, deadline_secs=deadline_secs)
        except TooLateError as late:
            raise TooLateError(f"{late}; its last words:\n{self._last_words()}") from late

    def _last_words(self) -> str:
        told = {key: value for key, value in (self.snapshot() or {}).items() if key != "history"}
        journal = self.machine.messages("-u", "tidegate.service").splitlines()[-LAST_LINES:]
        return "\n".join([json.dumps(told, indent=1), *journal])

    def wait_settled(self, release: Release, *, boots: int) -> Document:
        """Wait until boot ``boots`` has come to rest in ``release``."""
        self.machine.wait_boot(boots, deadline_secs=SETTLE_SECS)
        return self.wait(
            f"at rest in {release.version}",
            lambda told: told["state"] in {"steady", "disabled"} and version_of(told, "booted") == release.version,
        )

    def history(self) -> Sequence[Document]:
        """The attempts, as ``tidegate history --json`` has them."""
        told = json.loads(self.machine.sh("tidegate history --json"))
        return cast(Sequence[Document], told["history"])

    def outcomes(self) -> list[str]:
        """What the attempts came to, oldest first."""
        return [str(attempt["outcome"]) for attempt in self.history()]

    def records(self) -> Document:
        """The records on disk."""
        text = self.machine.guest.read("/var/lib/tidegate/records.json")
        return cast(Document, json.loads(text or '{"intent": null, "denied": [], "history": []}'))

    def delay_shutdowns(self) -> None:
        """Let the next shutdown take the seconds that logind grants to delay inhibitors."""
        inhibit = "systemd-inhibit --mode=delay --what=shutdown --who=t --why=dawdling sleep 600"
        self.machine.sh(f"systemd-run --unit=dawdle {inhibit}")
        self.machine.wait_for(
            lambda: "dawdling" in self.machine.sh("systemd-inhibit --list"), "the inhibitor", deadline_secs=SETTLE_SECS
        )

    def denials(self) -> list[Mapping[str, str]]:
        """The denials on record."""
        return cast("list[Mapping[str, str]]", self.records()["denied"])

    def denied(self) -> list[str]:
        """The payloads that are denied."""
        return [cast("Mapping[str, str]", denial["release"])["payload"] for denial in self.denials()]


def gate_of(told: Document, gate: str) -> Mapping[str, str]:
    """What ``gate`` says in a snapshot; nothing where it is not in force."""
    rows = cast("list[Mapping[str, str]]", told["gates"])
    return next((row for row in rows if row["gate"] == gate), dict[str, str]())


def version_of(told: Document, key: str) -> str | None:
    """The version of the deployment at ``key`` of a snapshot."""
    deployment = cast("Mapping[str, str] | None", told[key])
    return None if deployment is None else deployment["version"]
