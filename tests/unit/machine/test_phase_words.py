"""The public word of every phase: scripts and dashboards go by them."""

from __future__ import annotations

from typing import get_args

from tidegate.machine.phase import Phase
from tidegate.metrics.progress import STATES

WORDS = {
    "Starting": "verifying",
    "Verifying": "verifying",
    "MarkingGood": "verifying",
    "RollbackPending": "paused",
    "Steady": "steady",
    "Staging": "staging",
    "Staged": "staged",
    "CheckingGates": "finalizing",
    "Locking": "finalizing",
    "Arming": "finalizing",
    "ConfirmingLock": "finalizing",
    "RecheckingGates": "finalizing",
    "RequestingReboot": "finalizing",
    "Rebooting": "rebooting",
    "Disarming": "finalizing",
    "Paused": "paused",
}


def test_every_phase_has_the_word_that_it_always_had() -> None:
    assert {phase.__name__: phase.word for phase in get_args(Phase)} == WORDS


def test_the_words_are_those_that_metrics_know() -> None:
    assert set(WORDS.values()) | {"failed", "disabled"} == set(STATES)


def test_every_phase_says_what_the_agent_is_doing() -> None:
    """It follows "the agent is": words of operators, no capital, no full stop."""
    for phase in get_args(Phase):
        assert phase.activity[0].islower()
        assert not phase.activity.endswith(".")
