"""The same story where no container can run: the agent's own machine, runner and engine on a scratch OSTree sysroot.

Everything is real but the host around it: what stands for logind and for a boot is a few lines here.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from contrib.demo.telling import Teller
from tests.integration.ostree.tiny_os import Repository, Sysroot
from tidegate.boot import BootInstance
from tidegate.clock import SystemClock
from tidegate.discovery.graph import SCHEME_KEY
from tidegate.discovery.static_graph import StaticGraph
from tidegate.engines.ostree import OstreeEngine
from tidegate.loop import Keeper
from tidegate.machine.effects import Announce, Effect, Reply
from tidegate.machine.events import Accepted, Event, Health, Healthy, RebootAnswer, Tick
from tidegate.machine.phases import Rebooting, Steady
from tidegate.machine.state import Policy
from tidegate.net.client import NetClient
from tidegate.runner import Runner, World
from tidegate.snapshot import summary
from tidegate.store import FileStore
from tidegate.strategies.immediate import Immediate

AGE_KEY = "org.fedoraproject.coreos.releases.age_index"


def play(teller: Teller) -> int:
    """Tell the story; 0 when the sysroot boots the newer release in the end."""
    teller.say("So this is the agent's own machine and OSTree engine on a scratch sysroot: no systemd, no real reboot.")
    with tempfile.TemporaryDirectory(prefix="tidegate-demo-") as folder:
        return asyncio.run(_play(teller, Path(folder)))


async def _play(teller: Teller, folder: Path) -> int:
    repository = Repository.create(folder / "repo")
    old, new = repository.commit("1.0"), repository.commit("2.0")
    sysroot = Sysroot.create(folder / "sysroot", repository.path.as_uri())
    sysroot.install(old)
    graph = folder / "graph.json"
    graph.write_text(_graph(old, new), encoding="utf-8")
    host = _Host(teller, folder, sysroot, graph.as_uri())
    for number, title in ((1, "Boot 1: the sysroot is in release 1.0"), (2, "Boot 2")):
        teller.chapter(title)
        await host.live(BootInstance(f"scratch-{number}"))
        teller.command(f"ostree admin status --sysroot={sysroot.path}", sysroot.status())
    told = await OstreeEngine.for_scratch(sysroot.path).status()
    sysroot.loosen()
    return 0 if told.booted.payload == new else 1


def _graph(old: str, new: str) -> str:
    nodes = [
        {"version": version, "payload": payload, "metadata": {SCHEME_KEY: "checksum", AGE_KEY: str(age)}}
        for age, (version, payload) in enumerate((("1.0", old), ("2.0", new)))
    ]
    return json.dumps({"nodes": nodes, "edges": [[0, 1]]})


class _Logind:
    async def shutting_down(self) -> bool:
        return False

    async def reboot(self, announcement: str) -> RebootAnswer:  # noqa: ARG002 - the protocol's signature
        return Accepted()


class _Well:
    async def look(self) -> Health:
        return Healthy()


@dataclass(frozen=True, slots=True)
class _Host:
    """What keeps over the boots, and one life of the agent for each of them."""

    teller: Teller
    folder: Path
    sysroot: Sysroot
    graph: str

    async def live(self, boot: BootInstance) -> None:
        """Run the agent until it reboots or has nothing left to do."""
        clock, store = SystemClock(), FileStore(self.folder)
        engine = OstreeEngine.for_scratch(self.sysroot.path)
        world = World(StaticGraph(self.graph, NetClient()), (Immediate(),))
        runner = Runner(clock, engine, _Logind(), _Well(), world)
        keeper = Keeper(clock, store, boot, Policy(), store.load())
        events: deque[Event] = deque()
        await self._do(keeper.first_effects, runner, events)
        while not isinstance(keeper.state.phase, Rebooting):
            if not events and isinstance(keeper.state.phase, Steady) and keeper.state.poll.checked_at is not None:
                return
            before = summary(keeper.state)
            effects = keeper.feed(events.popleft() if events else Tick())
            if summary(keeper.state) != before:
                self.teller.note(summary(keeper.state))
            await self._do(effects, runner, events)

    async def _do(self, effects: tuple[Effect, ...], runner: Runner, events: deque[Event]) -> None:
        for effect in effects:
            match effect:
                case Announce(text=text):
                    self.teller.note(text)
                case Reply():
                    pass  # nobody asks here
                case task:
                    await runner.run(task, events.append)
