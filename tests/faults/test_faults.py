"""Each scenario, struck everywhere; ``python -m tests.faults`` does it with every blow."""

from __future__ import annotations

import pytest

from tests.faults.harness import trials
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.world import Blow

BLOWS = (Blow.KILL_AFTER, Blow.ERROR, Blow.ERROR_AFTER, Blow.POWER_AFTER)
"""Enough for every change: what comes before one point is, but for the engine's own work, what comes after the last."""


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_every_rule_holds_wherever_a_fault_strikes(scenario: Scenario) -> None:
    broken = [trial for trial in trials(scenario, BLOWS) if trial.broken]
    assert broken == []
