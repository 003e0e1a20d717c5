"""Every scenario with every blow at every point."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.faults.parts import strikes
from tests.faults.scenarios import Scenario
from tests.faults.world import Blow, BrokenRuleError, Fault, Rig

BLOWS = (Blow.KILL_AFTER, Blow.ERROR, Blow.ERROR_AFTER, Blow.POWER_AFTER)
"""Enough for every change: what comes before one point is, but for the engine's own work, what comes after the last."""

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""A disk that need not be waited for: thousands of runs save their records a dozen times each."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of a scenario. ``point`` names what was struck; ``broken`` says which rule did not hold."""

    scenario: str
    fault: Fault | None
    point: str
    broken: str | None


def play(scenario: Scenario, fault: Fault | None) -> tuple[Trial, list[str]]:
    """Run a scenario with at most one fault; also the points that it passed."""
    with tempfile.TemporaryDirectory(prefix="tidegate-faults-", dir=MEMORY) as folder:
        rig = Rig(Path(folder), list(scenario.versions), fault)
        scenario.prepare(rig)
        broken = None
        try:
            rig.run(scenario.reached)
            scenario.check(rig)
        except BrokenRuleError as err:
            broken = str(err)
        if fault is not None and not rig.points.struck:
            broken = broken or "the fault never struck"
        names = rig.points.names
        point = "-" if fault is None or fault.at >= len(names) else names[fault.at]
        return Trial(scenario.name, fault, point, broken), names


def trials(scenario: Scenario, blows: Collection[Blow] = tuple(Blow)) -> Iterator[Trial]:
    """The clean run, then one for each point of it and each blow that there is at such a point."""
    clean, points = play(scenario, None)
    yield clean
    for at, point in enumerate(points):
        for blow in blows:
            if strikes(blow, point):
                yield play(scenario, Fault(at, blow))[0]


def table(done: list[Trial]) -> str:
    """What was tried: a row for each kind of point, a column for each blow; failures below."""
    tried = Counter((trial.point, trial.fault.blow) for trial in done if trial.fault is not None)
    points = sorted({point for point, _ in tried})
    head = f"{'point':<18}" + "".join(f"{blow:>18}" for blow in Blow)
    rows = [f"{point:<18}" + "".join(f"{tried[point, blow]:>18}" for blow in Blow) for point in points]
    failures = [
        f"BROKEN {trial.scenario} / {trial.fault} at {trial.point}: {trial.broken}" for trial in done if trial.broken
    ]
    runs = Counter(trial.scenario for trial in done)
    stories = [f"{scenario:<36}{count:>6} runs" for scenario, count in runs.items()]
    count = f"{len(done)} runs of {len(runs)} scenarios, {len(failures)} with a broken rule"
    return "\n".join([head, *rows, "", *stories, "", *failures, count])
