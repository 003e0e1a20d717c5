"""A deadline that has passed overrules courtesy, and nothing else."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.clock import START
from tidegate.gates.base import Allow, Notice, Verdict, Wait
from tidegate.gates.gate_set import past_deadline
from tidegate.gates.registry import all_specs, etiquette

SOON = START + timedelta(hours=1)
VERDICTS = (
    Allow("immediate", until=SOON),
    Wait("interval", "up for 10 s of the 60 s between two reboots", SOON),
    Wait("inhibitors", "a backup is running"),
    Wait("sessions", "logged in: core on pts/3", SOON, notice=Notice("save your work", SOON)),
)
COURTESY = frozenset({"interval", "sessions"})


@pytest.mark.parametrize("deadline", [None, SOON])
def test_before_a_deadline_and_without_one_every_verdict_counts(deadline: datetime | None) -> None:
    assert past_deadline(VERDICTS, COURTESY, deadline, START) == VERDICTS


@pytest.mark.parametrize("late_secs", [0, 1, 86400])
def test_from_the_deadline_on_courtesy_does_not_hold_and_the_rest_does(late_secs: int) -> None:
    verdicts = past_deadline(VERDICTS, COURTESY, SOON, SOON + timedelta(seconds=late_secs))
    assert [one.gate for one in verdicts if isinstance(one, Wait)] == ["inhibitors"]
    assert verdicts[0] == VERDICTS[0]
    assert isinstance(verdicts[1], Allow)
    assert verdicts[1].detail == (
        "the deadline has passed, at 2026-03-02T11:00:00Z; otherwise: up for 10 s of the 60 s between two reboots"
    )


names = st.sampled_from([spec.name for spec in all_specs()])
verdicts_of_any_gate = st.lists(st.builds(Allow, names) | st.builds(Wait, names, st.text()), max_size=8)


@given(verdicts_of_any_gate, st.integers(-10, 10))
def test_the_gates_and_their_order_stay_and_no_other_wait_is_lifted(verdicts: list[Verdict], late_secs: int) -> None:
    found = past_deadline(verdicts, etiquette(), SOON, SOON + timedelta(seconds=late_secs))
    assert [one.gate for one in found] == [one.gate for one in verdicts]
    for before, after in zip(verdicts, found, strict=True):
        assert before == after or (before.gate in etiquette() and isinstance(after, Allow) and late_secs >= 0)


def test_what_keeps_a_host_safe_is_never_courtesy() -> None:
    assert etiquette() == {"interval", "sessions"}
    assert not {spec.name for spec in all_specs() if not spec.overridable} & etiquette()
