"""One word for programs, out of a closed set, and one line for people, in every situation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.fakes import agent_walks as walks
from tests.fakes.builders import (
    BAD_CONFIG,
    Walk,
    arming,
    confirming,
    deciding,
    disarming,
    requesting,
    staged,
    staging,
    steady,
    verifying,
)
from tests.fakes.phases import PHASES
from tidegate.machine.phases.waiting import Available
from tidegate.machine.state import Policy
from tidegate.report.summary import public_state, summary

CLOSED_SET = {
    "steady",
    "staging",
    "staged",
    "finalizing",
    "rebooting",
    "verifying",
    "disabled",
    "paused",
    "failed",
}

STILL_OWED = "the lock of group workers at https://lock.example/ has not been released yet"

TOLD: dict[Callable[[], Walk], tuple[str, str]] = {
    walks.starting: ("verifying", "reading the host"),
    walks.unread: ("failed", "cannot read the host: the engine broke"),
    steady: ("steady", "not checked yet"),
    walks.checked: ("steady", "up to date"),
    walks.ended: ("steady", "no further updates: the stream has ended, see the release notes"),
    walks.blocked: ("failed", "does not update: 20-updates.toml:3: no such key"),
    walks.blocked_staged: ("failed", "does not update: 20-updates.toml:3: no such key"),
    walks.sealed: ("failed", "does not update: records.json: torn"),
    walks.available: ("steady", "2 is available"),
    walks.disabled: ("disabled", "not checked yet"),
    walks.disabled_staged: ("staged", "2 is staged and waits: updates: updates.enabled is false"),
    staging: ("staging", "staging 2"),
    walks.halfway: ("staging", "staging 2: 50%"),
    staged: ("staged", "2 is staged"),
    walks.waits: ("staged", "2 is staged and waits: window: the window is closed"),
    walks.exhausted: (
        "staged",
        "2 is staged and waits: attempts: 3 consecutive attempts failed, the last one: power cut",
    ),
    deciding: ("finalizing", "asking every gate whether the host may reboot into 2"),
    arming: ("finalizing", "making 2 the default for the next boot"),
    confirming: ("finalizing", "asking every gate once more before the reboot into 2"),
    requesting: ("finalizing", "asking logind to reboot into 2"),
    walks.rebooting: ("rebooting", "rebooting 2"),
    disarming: ("finalizing", "undoing the update to 2"),
    verifying: ("verifying", "verifying 2"),
    walks.pending: ("verifying", "verifying 2: boot-complete: boot-complete.target is activating"),
    walks.accepting: ("verifying", "2 is healthy; marking it as good"),
    walks.leaving: ("paused", "rolling back to 1 (2 is unhealthy)"),
    walks.deferred: ("paused", "rolling back to 1 (2 is unhealthy) and waits: window: the window is closed"),
    walks.paused: ("paused", "paused in 2: sshd: sshd.service failed"),
    walks.startup_release: ("steady", "not checked yet"),
    walks.greeted: ("steady", "not checked yet"),
    walks.fleet_staged: ("staged", "2 is staged"),
    walks.locking: ("finalizing", "asking the lock server for a slot to reboot into 2"),
    walks.denied_lock: (
        "staged",
        "2 is staged and waits: fleet_lock: no slot is free at https://lock.example/: 2 of 2 slots are taken",
    ),
    walks.lock_unknown: (
        "staged",
        f"2 is staged and waits: fleet_lock: {STILL_OWED}: no answer within 30 s",
    ),
    walks.fleet_arming: ("finalizing", "making 2 the default for the next boot"),
    walks.relocking: ("finalizing", "asking the lock server once more before the reboot into 2"),
    walks.fleet_verifying: ("verifying", "verifying 2: boot-complete: boot-complete.target is activating"),
    walks.owed: (
        "staged",
        f"2 is staged and waits: fleet_lock: {STILL_OWED}: no answer within 30 s",
    ),
}


@pytest.mark.parametrize("walk", walks.EVERY, ids=[made.__name__ for made in walks.EVERY])
def test_each_situation_has_its_word_and_its_line(walk: Callable[[], Walk]) -> None:
    state = walk().state
    assert (public_state(state), summary(state)) == TOLD[walk]


def test_the_words_are_those_of_the_closed_set_and_all_of_them_occur() -> None:
    assert {public_state(walk().state) for walk in walks.EVERY} == CLOSED_SET


def test_no_phase_is_left_out() -> None:
    assert {type(walk().state.phase) for walk in walks.EVERY} == set(PHASES) - {
        Available
    }  # of orders that stage after the gates


@pytest.mark.parametrize("walk", walks.EVERY, ids=[made.__name__ for made in walks.EVERY])
@pytest.mark.parametrize("policy", [Policy(blocked=BAD_CONFIG), walks.MANUAL, walks.FLEET], ids=["bad", "off", "fleet"])
def test_settings_that_change_under_way_leave_the_word_in_the_set(walk: Callable[[], Walk], policy: Policy) -> None:
    state = replace(walk().state, policy=policy)
    assert public_state(state) in CLOSED_SET
    assert summary(state)
