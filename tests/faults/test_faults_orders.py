"""Each order with each kind of engine, with faults at every point."""

from __future__ import annotations

import pytest

from tests.faults.harness import KINDS, trials
from tests.faults.orders import ORDERED, WAYS_BACK
from tests.faults.scenarios import Scenario


@pytest.mark.parametrize("scenario", [*ORDERED, *WAYS_BACK], ids=lambda scenario: scenario.name)
def test_every_rule_holds_wherever_a_fault_strikes(scenario: Scenario) -> None:
    broken = [trial for trial in trials(scenario, KINDS) if trial.broken]
    assert broken == []
