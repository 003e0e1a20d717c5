"""The state folder is full from some save on: no slot of a lock server is held until somebody frees some space."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.faults.harness import MEMORY, play
from tests.faults.parts import SAVE
from tests.faults.scenarios import LOCKED, Scenario
from tests.faults.world import Rig

KEPT = {
    "paused",
    "paused, mended",
    "rolled back",
    "rolled back, server down",
    "neither is well",
    "boot loader falls back",
}
"""A boot that is not well keeps its slot, and so does one whose verdict, a denial, cannot be saved."""

REFUSED = {"a person goes back"}
"""The request is refused while it cannot be recorded, and nobody repeats it."""

SCENARIOS = [one for one in LOCKED if one.name.removeprefix("lock: ") not in KEPT | REFUSED]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_slot_is_given_back_while_the_disk_is_full(scenario: Scenario) -> None:
    _, points = play(scenario, None)
    for save in range(points.count(SAVE)):
        with tempfile.TemporaryDirectory(prefix="tidegate-full-", dir=MEMORY) as folder:
            rig = Rig(Path(folder), list(scenario.versions))
            scenario.prepare(rig)
            rig.points.saves_left = save
            rig.run(lambda rig: _given_back(rig) and scenario.reached(rig))
            scenario.check(rig)


def _given_back(rig: Rig) -> bool:
    """Whether the slot came back while the disk was full. There is room on it from then on."""
    if rig.points.saves_left == 0 and not rig.has_slot:
        rig.points.saves_left = None
    return rig.points.saves_left is None
