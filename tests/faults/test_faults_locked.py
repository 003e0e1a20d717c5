"""Each scenario with a lock, with faults at every point: a file of its own, so that two processes share the work."""

from __future__ import annotations

import pytest

from tests.faults.harness import KINDS, trials
from tests.faults.scenarios import LOCKED, Scenario


@pytest.mark.parametrize("scenario", LOCKED, ids=lambda scenario: scenario.name)
def test_every_rule_holds_wherever_a_fault_strikes(scenario: Scenario) -> None:
    broken = [trial for trial in trials(scenario, KINDS) if trial.broken]
    assert broken == []
