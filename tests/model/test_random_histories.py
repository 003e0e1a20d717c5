"""Whatever happens to a host and its lock servers, the machine's rules hold: see :mod:`tests.model.random_history`."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.model.random_history import RandomHistory
from tests.model.world import HIGHEST, Choices
from tidegate.machine import phases


@settings(max_examples=250)
@given(st.lists(st.integers(0, HIGHEST), min_size=20, max_size=200))
def test_no_history_of_a_host_breaks_a_rule(numbers: list[int]) -> None:
    RandomHistory(Choices(numbers)).run()


def test_the_model_of_the_host_reaches_every_part_of_the_machine() -> None:
    """A property that only ever sees steady hosts would hold for any machine."""
    seen: set[type[phases.Phase]] = set()
    chance = random.Random(1)
    for _ in range(60):
        history = RandomHistory(Choices([chance.randrange(HIGHEST) for _ in range(120)]))
        history.go_wrong(lambda state: seen.add(type(state.phase)))
    assert seen == set(phases.Phase.__args__)
