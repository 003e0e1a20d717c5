"""Hosts that power up, resume or check together do not ask together."""

from __future__ import annotations

from dataclasses import replace
from statistics import mean

import pytest

from tests.fakes.builders import Walk as _Walk
from tests.fakes.builders import at, host, offers, steady
from tidegate.machine.effects import FindOffers
from tidegate.machine.events import CheckAsked, Tick
from tidegate.machine.state import Policy
from tidegate.machine.step import next_wakeup, step

HOSTS = [Policy(start_delay_secs=60.0, host_seed=f"{number:032x}") for number in range(200)]


def test_the_first_checks_of_a_fleet_that_powers_up_together_are_spread() -> None:
    dues = [first_due(policy) for policy in HOSTS]
    assert all(0.0 <= due < 60.0 for due in dues)
    assert mean(dues) == pytest.approx(30.0, abs=6.0)
    busiest = max(sum(1 for due in dues if start <= due < start + 1) for start in range(60))
    assert busiest <= 20, "200 hosts: 3 or 4 in each of 60 seconds"
    assert [first_due(policy) for policy in HOSTS] == dues, "each host has its own moment"


def test_the_first_check_is_never_later_than_an_interval() -> None:
    assert all(first_due(replace(policy, steady_interval_secs=5)) < 5.0 for policy in HOSTS)


def test_hosts_whose_last_checks_were_together_do_not_stay_together() -> None:
    dues = [(next_wakeup(steady(replace(one, start_delay_secs=0)).wake().answer(offers()).state) or 0) for one in HOSTS]
    assert all(at(300).boot_secs <= due <= at(330).boot_secs for due in dues)
    assert max(dues) - min(dues) > 25


def test_a_fleet_that_resumes_together_is_spread_as_well() -> None:
    late: list[float] = []
    for policy in HOSTS:
        walk = steady(policy).wake().answer(offers())
        resumed = at(8 * 3600)
        state, effects = step(walk.state, Tick(), resumed)
        assert not effects, "not at once"
        late.append(state.poll.due - resumed.boot_secs)
        due = replace(resumed, boot_secs=state.poll.due)
        _, effects = step(state, Tick(), due)
        assert [type(effect) for effect in effects] == [FindOffers], "once"
    assert all(1.0 <= secs < 60.0 for secs in late)
    assert max(late) - min(late) > 40


def test_a_person_who_asks_for_a_check_does_not_wait_for_the_delay() -> None:
    walk = _Walk(None, Policy(start_delay_secs=3600.0, steady_interval_secs=3600)).answer(host()).feed(CheckAsked(1))
    walk.feed(Tick())
    assert walk.one(FindOffers)


def first_due(policy: Policy) -> float:
    return steady(policy).state.poll.due - at(0).boot_secs
