"""Three etcd members and three coordinators, each in a network namespace of its own, and faults to inject there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.faults import Fault, FaultKind
from tests.cluster.faulty_server import Defect
from tests.cluster.network import HERE, Place, open_bridge, open_place
from tests.cluster.nodes import CLIENT_PORT, LOCK_PORT, Node, coordinator, faulty, member, snippet

MEMBERS = ("etcd1", "etcd2", "etcd3")
COORDINATORS = ("lock1", "lock2", "lock3")
HEALTH = {"etcd": "/health", "lock": "/healthz"}


@dataclass(frozen=True, slots=True)
class Lab:
    """All that runs. ``places`` and ``nodes`` by name."""

    places: Mapping[str, Place]
    nodes: Mapping[str, Node]

    @property
    def members(self) -> tuple[tuple[str, int], ...]:
        """Where etcd is."""
        return tuple((self.places[name].address, CLIENT_PORT) for name in MEMBERS)

    @property
    def coordinators(self) -> tuple[tuple[str, int], ...]:
        """Where locks are served."""
        return tuple((self.places[name].address, LOCK_PORT) for name in COORDINATORS)

    async def inject(self, fault: Fault) -> None:
        """Do it, and undo it when its time has passed, however this ends. All waits for it, for milliseconds."""
        try:
            self._do(fault)
            await asyncio.sleep(fault.secs)
        finally:
            self._undo(fault)
        await asyncio.sleep(fault.peace_secs)

    async def wait_ready(self) -> None:
        """Until every node says that it is well."""
        for name, node in self.nodes.items():
            await asyncio.to_thread(node.wait_ready, HEALTH[name[:4]])

    def _do(self, fault: Fault) -> None:
        for name in fault.nodes:
            match fault.kind:
                case FaultKind.KILL:
                    self.nodes[name].kill()
                case FaultKind.FREEZE:
                    self.nodes[name].freeze()
                case FaultKind.CUT:
                    self.places[name].cut()
                case FaultKind.MUTE:
                    self.places[name].mute(self._askers(name))

    def _undo(self, fault: Fault) -> None:
        for name in fault.nodes:
            match fault.kind:
                case FaultKind.KILL:
                    self.nodes[name].start()
                case FaultKind.FREEZE:
                    self.nodes[name].thaw()
                case FaultKind.CUT:
                    self.places[name].join()
                case FaultKind.MUTE:
                    self.places[name].unmute(self._askers(name))

    def _askers(self, name: str) -> Sequence[str]:
        """Who gets replies from this node: hosts, or coordinators."""
        return [HERE] if name in COORDINATORS else [self.places[one].address for one in COORDINATORS]


@asynccontextmanager
async def open_lab(folder: Path, slots: Mapping[str, int], planted: Defect | None = None) -> AsyncGenerator[Lab]:
    """Set it up, with these groups. What is left of it dies with the namespaces (:mod:`tests.cluster.network`).

    ``planted``: servers with this defect in the coordinators' places.
    """
    open_bridge()
    places = {name: open_place(name, number) for number, name in enumerate((*MEMBERS, *COORDINATORS), 11)}
    cluster = [places[name] for name in MEMBERS]
    nodes = {place.name: member(place, cluster, folder) for place in cluster}
    nodes |= {name: _coordinator(places[name], cluster, folder, slots, planted) for name in COORDINATORS}
    lab = Lab(places, nodes)
    for node in nodes.values():
        node.start()
    try:
        await lab.wait_ready()
        yield lab
    finally:
        _end(nodes.values(), places.values())


def _coordinator(
    place: Place, cluster: Sequence[Place], folder: Path, slots: Mapping[str, int], planted: Defect | None
) -> Node:
    endpoints = ",".join(f"{one.address}:{CLIENT_PORT}" for one in cluster)
    listen, log = f"{place.address}:{LOCK_PORT}", folder / f"{place.name}.log"
    if planted is not None:
        return faulty(planted, place.name, listen, endpoints, slots, log, place.enter)
    config = folder / place.name
    config.mkdir()
    (config / "50-lab.toml").write_text(snippet(listen=listen, store=f"etcd://{endpoints}", slots=slots))
    return coordinator(place.name, config, f"http://{listen}", log, place.enter)


def _end(nodes: Iterable[Node], places: Iterable[Place]) -> None:
    for node in nodes:
        node.kill()
    for place in places:
        place.keeper.kill()
        place.keeper.wait()
