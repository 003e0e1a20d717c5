"""The public word of every phase: scripts and dashboards go by them."""

from __future__ import annotations

from tests.fakes.phases import PHASES
from tidegate.metrics.progress import STATES

WORDS = {
    "Starting": "verifying",
    "Verifying": "verifying",
    "MarkingGood": "verifying",
    "RollbackPending": "paused",
    "Steady": "steady",
    "Staging": "staging",
    "Staged": "staged",
    "Executing": "finalizing",
    "Available": "steady",
    "Rebooting": "rebooting",
    "Undoing": "finalizing",
    "Paused": "paused",
}


def test_every_phase_has_the_word_that_it_always_had() -> None:
    assert {phase.__name__: phase.word for phase in PHASES} == WORDS


def test_the_words_are_those_that_metrics_know() -> None:
    assert set(WORDS.values()) | {"failed", "disabled"} == set(STATES)


def test_every_phase_says_what_the_agent_is_doing() -> None:
    """It follows "the agent is": words of operators, no capital, no full stop."""
    for phase in PHASES:
        assert phase.activity[0].islower()
        assert not phase.activity.endswith(".")
