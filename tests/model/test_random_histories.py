"""Whatever happens to a host and its lock servers, the machine's rules hold: see :mod:`tests.model.random_history`."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.phases import PHASES
from tests.model.random_history import RandomHistory
from tests.model.world import HIGHEST, SETTINGS, TRAITS, Choices, Setting
from tidegate.machine.phase import Phase
from tidegate.machine.phases.waiting import Available


@settings(max_examples=250)
@given(st.lists(st.integers(0, HIGHEST), min_size=20, max_size=200))
def test_no_history_of_a_host_breaks_a_rule(numbers: list[int]) -> None:
    RandomHistory(Choices(numbers)).run()


def test_the_model_of_the_host_reaches_every_part_of_the_machine() -> None:
    """A property that only ever sees steady hosts would hold for any machine."""
    seen: set[type[Phase]] = set()
    chance = random.Random(1)
    for _ in range(60):
        history = RandomHistory(Choices([chance.randrange(HIGHEST) for _ in range(120)]))
        history.go_wrong(lambda state: seen.add(type(state.phase)))
    assert seen == set(PHASES) - {Available}  # of orders and engines that stage after the gates


@settings(max_examples=250, deadline=None, database=None)
@given(st.sampled_from(SETTINGS), st.lists(st.integers(0, HIGHEST), min_size=20, max_size=200))
def test_no_history_breaks_a_rule_whatever_the_order_and_the_engine(setting: Setting, numbers: list[int]) -> None:
    RandomHistory(Choices(numbers), setting=setting).run()


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda one: f"{one.order} {TRAITS.index(one.traits)}")
def test_a_host_at_its_best_gets_to_the_newest_release(setting: Setting) -> None:
    RandomHistory(Choices(()), setting=setting).run()
