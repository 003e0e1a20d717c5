"""Each scenario without a lock, with faults at every point; ``python -m tests.faults`` injects every kind of them."""

from __future__ import annotations

import pytest

from tests.faults.harness import KINDS, trials
from tests.faults.scenarios import LOCKED, SCENARIOS, Scenario

UNLOCKED = [scenario for scenario in SCENARIOS if scenario not in LOCKED]


@pytest.mark.parametrize("scenario", UNLOCKED, ids=lambda scenario: scenario.name)
def test_every_rule_holds_wherever_a_fault_strikes(scenario: Scenario) -> None:
    broken = [trial for trial in trials(scenario, KINDS) if trial.broken]
    assert broken == []
