"""Each scenario, struck everywhere."""

from __future__ import annotations

import pytest

from tests.faults.harness import trials
from tests.faults.scenarios import SCENARIOS, Scenario


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_every_rule_holds_wherever_a_fault_strikes(scenario: Scenario) -> None:
    broken = [trial for trial in trials(scenario) if trial.broken]
    assert broken == []
