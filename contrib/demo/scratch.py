"""The demo without a container: the agent's state machine, runner and engine on an OSTree sysroot in a folder.

Only the host is simulated: logind and boots are a few lines here.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from contrib.demo.narration import Narrator
from tests.e2e.lab.process import LabError, must
from tests.e2e.lab.signing import UNSIGNED
from tests.integration.ostree.tiny_os import REF, Repository, Sysroot, plant_tree
from tidegate.cli.status_cmd import lines
from tidegate.clock import Now, SystemClock
from tidegate.discovery.static_graph import StaticGraph
from tidegate.engines.ostree import OstreeEngine
from tidegate.errors import TidegateError
from tidegate.fleetlock.client import NetLock
from tidegate.gates.base import Notice
from tidegate.gates.immediate import Immediate
from tidegate.health.base import Finding, ProbeResult, Weight
from tidegate.health.judgement import HealthTerms
from tidegate.loop import Keeper
from tidegate.machine.effects import Announce, Effect, Reply
from tidegate.machine.events import Event, Tick
from tidegate.machine.phases.rebooting import Rebooting
from tidegate.machine.phases.steady import Steady
from tidegate.machine.state import Policy, State
from tidegate.net.client import NetClient
from tidegate.publish.publisher import Request, publish
from tidegate.publish.steps import describe
from tidegate.records.store import FileStore
from tidegate.report.snapshot import snapshot
from tidegate.runner import Host, Runner, World
from tidegate.system.boot import BootInstance
from tidegate.system.reboot import RebootAccepted, RebootAnswer, RebootKind
from tidegate.workload.none import NoWorkload


def play(narrator: Narrator) -> int:
    """Run the demo; returns 0 if the sysroot boots the newer release in the end."""
    narrator.say(
        "This runs the agent's state machine and OSTree engine on a sysroot in a folder: no systemd, no real reboot."
    )
    with tempfile.TemporaryDirectory(prefix="tidegate-demo-") as folder:
        try:
            return asyncio.run(_play(narrator, Path(folder)))
        except (AssertionError, TidegateError) as err:  # the tiny OS asserts that its commands succeed
            raise LabError(str(err)) from err
        finally:
            _loosen(Path(folder))


def _loosen(folder: Path) -> None:
    """Remove the immutable attribute of the deployments, so that the folder can be deleted."""
    deployments = [*folder.glob("sysroot/ostree/deploy/*/deploy/*.[0-9]")]
    subprocess.run(["chattr", "-f", "-i", *deployments], check=False)  # noqa: S607 - a program of Debian's


async def _play(narrator: Narrator, folder: Path) -> int:
    repository, graph = Repository.create(folder / "repo"), folder / "graph.json"
    sysroot = Sysroot.create(folder / "sysroot", repository.path.as_uri())
    host = _Host(narrator, folder, sysroot, graph.as_uri())
    sysroot.install(await _publish(narrator, repository, graph, "1.0"))
    narrator.chapter("The sysroot is in release 1.0")
    await host.run(BootInstance("scratch-1"))
    narrator.chapter("Release 2.0 is published, and the agent checks again")
    new = await _publish(narrator, repository, graph, "2.0")
    await host.run(BootInstance("scratch-1"))
    narrator.chapter("The next boot starts the default deployment, and the agent verifies it")
    await host.run(BootInstance("scratch-2"))
    narrator.command("ostree admin status", sysroot.status())
    booted = (await OstreeEngine.for_scratch(sysroot.path).status()).booted
    return 0 if booted.payload == new else 1


async def _publish(narrator: Narrator, repository: Repository, graph: Path, version: str) -> str:
    """Commit a release and publish it, with a delta from the preceding one."""
    payload = _commit(repository, version)
    request = Request(repository.path, REF, graph, UNSIGNED, delta_count=1)
    await publish(request, lambda step: narrator.journal("tidegate publish", describe(step)))
    return payload


def _commit(repository: Repository, version: str) -> str:
    """Commit a release whose files belong to the current user: only root can deploy those of other users."""
    tree = repository.path.with_name(f"tree-{version}")
    plant_tree(tree, version)
    about = [f"--branch={REF}", "--bootable", f"--add-metadata-string=version={version}"]
    owner = [f"--owner-uid={os.geteuid()}", f"--owner-gid={os.getegid()}", "--no-xattrs"]
    return must(["ostree", f"--repo={repository.path}", "commit", *about, *owner, f"--tree=dir={tree}"]).strip()


class _Logind:
    async def shutting_down(self) -> bool:
        return False

    async def go_down(self, kind: RebootKind, announcement: str) -> RebootAnswer:  # noqa: ARG002 - the protocol's
        return RebootAccepted()


class _Well:
    async def failed_units(self) -> frozenset[str]:
        return frozenset()

    async def probe(self, failed_before: frozenset[str]) -> ProbeResult:  # noqa: ARG002 - the protocol's
        return ProbeResult(
            (Finding("scratch", Weight.REQUIRED, passed=True, detail="there is nothing that could fail"),)
        )


class _Nobody:
    """Nobody is logged in to a sysroot."""

    async def tell(self, notice: Notice) -> None:
        """Discard the notice."""


@dataclass(frozen=True, slots=True)
class _Host:
    """The state that survives boots; runs the agent once for each boot."""

    narrator: Narrator
    folder: Path
    sysroot: Sysroot
    graph: str

    async def run(self, boot: BootInstance) -> None:
        """Run the agent until it reboots or has nothing to do, and show its status."""
        clock, store = SystemClock(), FileStore(self.folder)
        engine = OstreeEngine.for_scratch(self.sysroot.path)
        world = World(StaticGraph(self.graph, NetClient()), (Immediate(),), _Well())
        runner = Runner(clock, Host(engine, _Logind(), _Well(), NetLock(NetClient()), _Nobody(), NoWorkload()), world)
        keeper = Keeper(clock, store, boot, Policy(health=HealthTerms(monitor_secs=0.0)), store.load())
        events: deque[Event] = deque()
        await self._do(keeper.first_effects, runner, events)
        while events or not _at_rest(keeper.state):
            await self._do(keeper.feed(events.popleft() if events else Tick()), runner, events)
        self._show_status(keeper.state, clock.now())

    async def _do(self, effects: tuple[Effect, ...], runner: Runner, events: deque[Event]) -> None:
        for effect in effects:
            match effect:
                case Announce(text=text):
                    self.narrator.journal("tidegate", text)
                case Reply():
                    pass  # no request is made here
                case task:
                    await runner.run(task, events.append)

    def _show_status(self, state: State, now: Now) -> None:
        self.narrator.command("tidegate status", "\n".join(lines(snapshot(state, now, now.wall, {}), now.wall)))


def _at_rest(state: State) -> bool:
    """Whether it reboots, or has checked and found nothing to do."""
    return isinstance(state.phase, Rebooting) or (isinstance(state.phase, Steady) and state.poll.checked_at is not None)
