"""Run each scenario once for every kind of fault at every point."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.faults.parts import applies
from tests.faults.scenarios import Scenario
from tests.faults.world import BrokenRuleError, Fault, FaultKind, Rig
from tidegate.loop import Keeper

KINDS = (FaultKind.KILL_AFTER, FaultKind.ERROR, FaultKind.ERROR_AFTER, FaultKind.POWER_AFTER)
"""Enough for every change: what comes before one point is, but for the engine's own work, what comes after the last."""

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""A disk that need not be waited for: thousands of runs save their records a dozen times each."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of a scenario. ``point`` names where the fault was; ``broken`` is the rule that did not hold."""

    scenario: str
    fault: Fault | None
    point: str
    broken: str | None


def play(scenario: Scenario, fault: Fault | None, keeper: type[Keeper] = Keeper) -> tuple[Trial, list[str]]:
    """Run a scenario with at most one fault, under ``keeper``; also the points that it passed."""
    with tempfile.TemporaryDirectory(prefix="tidegate-faults-", dir=MEMORY) as folder:
        rig = Rig(Path(folder), list(scenario.versions), fault, keeper=keeper)
        scenario.prepare(rig)
        broken = None
        try:
            rig.run(scenario.reached)
            scenario.check(rig)
        except BrokenRuleError as err:
            broken = str(err)
        if fault is not None and not rig.points.injected:
            broken = broken or "the fault was never injected"
        names = rig.points.names
        point = "-" if fault is None or fault.at >= len(names) else names[fault.at]
        return Trial(scenario.name, fault, point, broken), names


def trials(scenario: Scenario, kinds: Collection[FaultKind] = tuple(FaultKind)) -> Iterator[Trial]:
    """The clean run, then one for each of its points and each kind of fault that is possible there."""
    clean, points = play(scenario, None)
    yield clean
    for at, point in enumerate(points):
        for kind in kinds:
            if applies(kind, point):
                yield play(scenario, Fault(at, kind))[0]


def table(done: list[Trial]) -> str:
    """The trials as a table: a row for each point, a column for each kind of fault; failures below."""
    tried = Counter((trial.point, trial.fault.kind) for trial in done if trial.fault is not None)
    points = sorted({point for point, _ in tried})
    head = f"{'point':<18}" + "".join(f"{kind:>18}" for kind in FaultKind)
    rows = [f"{point:<18}" + "".join(f"{tried[point, kind]:>18}" for kind in FaultKind) for point in points]
    failures = [
        f"BROKEN {trial.scenario} / {trial.fault} at {trial.point}: {trial.broken}" for trial in done if trial.broken
    ]
    runs = Counter(trial.scenario for trial in done)
    scenarios = [f"{scenario:<36}{count:>6} runs" for scenario, count in runs.items()]
    count = f"{len(done)} runs of {len(runs)} scenarios, {len(failures)} with a broken rule"
    return "\n".join([head, *rows, "", *scenarios, "", *failures, count])
