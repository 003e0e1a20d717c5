"""One run: load, faults and a probe of the store's revision in parallel; then all hosts unlock; then the check."""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.cluster.account import Account
from tests.cluster.checker import Findings, check
from tests.cluster.faults import Fault, faults
from tests.cluster.faulty_server import Defect
from tests.cluster.history import Timeline, versions
from tests.cluster.lab import COORDINATORS, MEMBERS, Lab, open_lab
from tests.cluster.load import Group, Log, use
from tests.cluster.wire import BrokenError, Connection

GROUPS = (Group("one", 1, 8), Group("few", 5, 30), Group("some", 50, 90), Group("many", 300, 360))
"""A slot that is always wanted, a few for which many wait, and enough for almost all: batches of every size."""

PROBE_PAUSE_SECS = 0.02
PROBE_SECS = 1.0
LOOK_SECS = 0.2
END_SECS = 120.0
"""Until every host has given back and every id that was given up has rested."""

TELL_SECS = 30.0

DEFECT_SIGNS = ("Traceback", "has a defect", "internal_error")
"""In a coordinator's log; faults of the store are none of these."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to do: until ``cycles`` or ``secs``, whichever is first."""

    cycles: int
    secs: float
    seed: int
    faults: bool = True
    planted: Defect | None = None


async def run(wanted: Wanted, folder: Path) -> Account:
    """All of it."""
    logs = {group.name: Log() for group in GROUPS}
    async with open_lab(folder, {group.name: group.slots for group in GROUPS}, wanted.planted) as lab:
        timeline = Timeline()
        async with _probing(lab, timeline):
            begun = time.monotonic()
            injected, hanging = await _under_load(wanted, lab, logs)
            secs = time.monotonic() - begun
        await lab.wait_ready()
        findings = {group.name: await _judged(group, logs[group.name], lab, timeline) for group in GROUPS}
    return Account(wanted.seed, secs, injected, findings, logs, len(timeline), [*hanging, *_defects(folder)])


async def _under_load(wanted: Wanted, lab: Lab, logs: dict[str, Log]) -> tuple[Sequence[Fault], Sequence[str]]:
    """Hosts and faults, until enough is done; then no more faults, and every host comes to its end.

    Which faults, and the groups of which not every host came to it.
    """
    stop = asyncio.Event()
    injected: list[Fault] = []
    random = Random(wanted.seed)
    using = [
        asyncio.create_task(use(group, lab.coordinators, logs[group.name], Random(random.random()), stop))
        for group in GROUPS
    ]
    injecting = asyncio.create_task(_inject(lab, wanted, injected))
    await _enough(wanted, logs, injected)
    injecting.cancel()
    await asyncio.wait([injecting])
    stop.set()
    _, late = await asyncio.wait(using, timeout=END_SECS)
    for task in late:
        task.cancel()
    done = await asyncio.gather(*using, return_exceptions=True)
    hanging = [f"group {group.name}: {error!r}" for group, error in zip(GROUPS, done, strict=True) if error]
    return injected, hanging


async def _inject(lab: Lab, wanted: Wanted, injected: list[Fault]) -> None:
    for fault in faults(wanted.seed, MEMBERS, COORDINATORS) if wanted.faults else ():
        injected.append(fault)
        await lab.inject(fault)


async def _enough(wanted: Wanted, logs: dict[str, Log], injected: Sequence[Fault]) -> None:
    begun = told = time.monotonic()
    while (done := sum(log.cycles for log in logs.values())) < wanted.cycles:
        now = time.monotonic()
        if now - begun > wanted.secs:
            return
        if now - told > TELL_SECS:
            told = now
            print(f"{now - begun:6.0f} s  {done} cycles  {len(injected)} faults", file=sys.stderr)
        await asyncio.sleep(LOOK_SECS)


@asynccontextmanager
async def _probing(lab: Lab, timeline: Timeline) -> AsyncGenerator[None]:
    probing = asyncio.create_task(_probe(lab, timeline))
    try:
        yield
        await asyncio.sleep(PROBE_SECS)  # so that the last revision has been seen, too
    finally:
        probing.cancel()
        await asyncio.wait([probing])
    if not probing.cancelled():
        raise RuntimeError("nobody looked at the store's revision any more") from probing.exception()


async def _probe(lab: Lab, timeline: Timeline) -> None:
    """Ask one member after another for the revision, by way of consensus; the next one where one does not answer."""
    connections = itertools.cycle([Connection(*member) for member in lab.members])
    connection = next(connections)
    while True:
        sent = time.monotonic()
        try:
            reply = await connection.post("/v3/kv/range", b'{"key":"AA=="}', deadline_secs=PROBE_SECS)
            revision = int(json.loads(reply.body)["header"]["revision"])
            timeline.saw(revision, sent, time.monotonic())
        except (BrokenError, KeyError):  # gone, or without a majority
            connection = next(connections)
        await asyncio.sleep(PROBE_PAUSE_SECS)


async def _judged(group: Group, log: Log, lab: Lab, timeline: Timeline) -> Findings:
    host, port = lab.members[0]
    return await asyncio.to_thread(lambda: check(group.slots, versions(host, port, group.name), log.calls, timeline))


def _defects(folder: Path) -> list[str]:
    return [
        f"{name}: {line.strip()}"
        for name in COORDINATORS
        for line in (folder / f"{name}.log").read_text(errors="replace").splitlines()
        if any(sign in line for sign in DEFECT_SIGNS)
    ]
