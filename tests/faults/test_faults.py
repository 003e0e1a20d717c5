"""Each scenario without a lock, struck everywhere; ``python -m tests.faults`` does it with every blow."""

from __future__ import annotations

import pytest

from tests.faults.harness import BLOWS, trials
from tests.faults.scenarios import LOCKED, SCENARIOS, Scenario

UNLOCKED = [scenario for scenario in SCENARIOS if scenario not in LOCKED]


@pytest.mark.parametrize("scenario", UNLOCKED, ids=lambda scenario: scenario.name)
def test_every_rule_holds_wherever_a_fault_strikes(scenario: Scenario) -> None:
    broken = [trial for trial in trials(scenario, BLOWS) if trial.broken]
    assert broken == []
