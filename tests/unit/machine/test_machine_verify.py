"""After a boot: the outcome of the attempt, and each arrow of the diagram in ``machine/verify.py``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes.builders import (
    BOOT,
    EARLIER_BOOT,
    Walk,
    at,
    attempt,
    denial,
    host,
    intent,
    plain,
)
from tests.fakes.clock import START
from tests.fakes.engine import payload_of
from tidegate.engines.base import FinalizeFailure
from tidegate.machine.effects import Announce, Disarm, ReadHost
from tidegate.machine.events import (
    ShutdownSignal,
)
from tidegate.machine.outcome import decide_outcome
from tidegate.machine.phases.rebooting import REBOOT_GRACE_SECS, Rebooting
from tidegate.machine.phases.starting import START_RETRY_SECS, Starting
from tidegate.machine.phases.steady import Steady
from tidegate.machine.phases.undoing import Undoing
from tidegate.machine.phases.verifying import Verifying
from tidegate.machine.step import next_wakeup
from tidegate.records.model import Outcome, Records
from tidegate.system.boot import BootInstance

STAMP = "ostree-finalize-staged.service failed"

# --------------------------------------------------------------------------- the outcome


@pytest.mark.parametrize(
    ("booted", "entries", "had_entry", "stamp", "outcome"),
    [
        ("2", ("2", "1"), False, None, Outcome.APPLIED),
        ("2", ("2", "1"), True, None, Outcome.APPLIED),
        ("2", ("1", "2"), False, STAMP, Outcome.APPLIED),
        ("1", ("2", "1"), False, None, Outcome.FELL_BACK),
        ("1", ("2", "1"), True, None, Outcome.FELL_BACK),
        ("1", ("1", "2"), False, None, Outcome.FELL_BACK),
        ("1", ("2", "1"), False, STAMP, Outcome.FELL_BACK),
        ("1", ("1", "2"), True, None, Outcome.NOT_ATTEMPTED),
        ("1", ("1", "2"), True, STAMP, Outcome.FINALIZE_FAILED),
        ("1", ("1",), False, STAMP, Outcome.FINALIZE_FAILED),
        ("1", ("1",), False, None, Outcome.NOT_ATTEMPTED),
        ("1", (), False, None, Outcome.NOT_ATTEMPTED),
        ("3", ("3", "1"), False, None, Outcome.NOT_ATTEMPTED),
        ("3", ("2", "3"), False, None, Outcome.FELL_BACK),
        ("3", ("3", "2"), True, None, Outcome.NOT_ATTEMPTED),
    ],
)
def test_the_outcome_of_an_attempt_at_2(
    booted: str, entries: tuple[str, ...], had_entry: bool, stamp: str | None, outcome: Outcome
) -> None:
    seen = host(booted, entries=entries, finalize_failure=stamp).engine
    assert decide_outcome(intent(had_entry=had_entry), seen) is outcome


@pytest.mark.parametrize(
    ("payload", "minutes", "outcome"),
    [
        (None, None, Outcome.FINALIZE_FAILED),
        (payload_of("2"), None, Outcome.FINALIZE_FAILED),
        (payload_of("3"), None, Outcome.NOT_ATTEMPTED),
        (None, -11, Outcome.NOT_ATTEMPTED),
        (None, -10, Outcome.FINALIZE_FAILED),
        (None, -1, Outcome.FINALIZE_FAILED),
        (payload_of("3"), -1, Outcome.NOT_ATTEMPTED),
    ],
)
def test_an_old_report_is_not_blamed_on_a_later_attempt(
    payload: str | None, minutes: float | None, outcome: Outcome
) -> None:
    failed_at = None if minutes is None else START + timedelta(minutes=minutes)
    seen = host("1", finalize_failure=FinalizeFailure(STAMP, payload, failed_at)).engine
    assert decide_outcome(intent(), seen) is outcome  # written ten minutes ago


# --------------------------------------------------------------------------- starting


def test_an_agent_reads_the_host_first() -> None:
    walk = Walk()
    assert walk.task == ReadHost(1)
    assert walk.answer(host()).state.phase == Steady()


def test_a_host_that_cannot_be_read_is_read_again_and_announced_once() -> None:
    walk = Walk()
    said = 0
    for _ in range(3):
        walk.fail()
        said += not walk.none(Announce)
        assert next_wakeup(walk.state) == at(walk.secs + START_RETRY_SECS).boot_secs
        assert walk.wake().one(ReadHost)
    assert (said, walk.answer(host()).state.trouble) == (1, None)


def test_an_attempt_of_this_boot_that_never_asked_for_the_reboot_is_taken_back() -> None:
    walk = Walk(Records(intent(boot=BOOT, requested=False))).answer(host(staged="2", locked=False))
    assert walk.one(Disarm).target == plain("2")
    assert walk.state.records.intent is not None


def test_an_attempt_of_this_boot_that_asked_for_the_reboot_waits_for_what_is_left_of_its_grace() -> None:
    walk = Walk(Records(intent(boot=BOOT))).answer(host(staged="2", locked=False))
    assert isinstance(walk.state.phase, Rebooting)
    assert next_wakeup(walk.state) == 60.0 + REBOOT_GRACE_SECS
    walk.wake().answer(host(staged="2"))
    assert [closed.outcome for closed in walk.state.records.history] == [Outcome.NOT_ATTEMPTED]


def test_an_interrupted_attempt_is_not_disarmed_while_the_host_goes_down() -> None:
    walk = Walk(Records(intent(boot=BOOT, requested=False))).answer(host(staged="2", locked=False, shutting_down=True))
    assert isinstance(walk.state.phase, Rebooting)
    assert walk.feed(ShutdownSignal(active=False)).one(Disarm)


def test_a_shutdown_that_is_announced_while_the_host_is_read_is_not_forgotten() -> None:
    walk = Walk(Records(intent(boot=BOOT, requested=False)))
    task = walk.task
    walk.feed(ShutdownSignal(active=True))
    walk.effects = (task,)
    assert walk.answer(host(staged="2", locked=False)).none(Disarm)


def test_a_denied_release_left_as_the_next_boot_is_taken_out_whoever_left_it() -> None:
    walk = Walk(Records(denied=(denial("2"),))).answer(host(entries=("2", "1")))
    assert walk.one(Disarm).target == plain("2")
    assert walk.answer(host(entries=("1", "2"))).state.phase == Steady()


def test_another_release_as_the_next_boot_is_somebody_elses_business() -> None:
    walk = Walk(Records(denied=(denial("2"),))).answer(host(entries=("3", "1")))
    assert (walk.state.phase, walk.effects) == (Steady(), ())


def test_being_booted_into_a_denied_release_is_no_reason_to_disarm_it() -> None:
    assert Walk(Records(denied=(denial("2"),))).answer(host("2", entries=("2", "1"))).none(Disarm)


# --------------------------------------------------------------------------- outcomes


def test_a_release_that_fell_back_is_denied_and_closed_and_taken_out_of_the_next_boot() -> None:
    walk = Walk(Records(intent())).answer(host("1", entries=("2", "1")))
    assert walk.one(Disarm).target == plain("2")
    records = walk.state.records
    (denied,) = records.denied
    (closed,) = records.history
    assert (denied.release, denied.cause, denied.at) == (plain("2"), "fell_back", at(0).wall)
    assert denied.evidence == "1 booted instead of 2, which has a boot entry"
    assert denied.boot_id == EARLIER_BOOT.boot_id, "what went wrong is in the journal of the attempt"
    assert (closed.outcome, records.intent) == (Outcome.FELL_BACK, None)


@pytest.mark.parametrize(
    ("stamp", "outcome"), [(STAMP, Outcome.FINALIZE_FAILED), (None, Outcome.NOT_ATTEMPTED)], ids=["stamp", "power cut"]
)
def test_what_never_became_a_boot_entry_is_no_evidence_against_the_release(stamp: str | None, outcome: Outcome) -> None:
    walk = Walk(Records(intent())).answer(host("1", finalize_failure=stamp))
    assert (walk.state.phase, walk.state.records.denied) == (Steady(), ())
    assert [closed.outcome for closed in walk.state.records.history] == [outcome]
    assert walk.one(Announce).text.startswith(f"2: {outcome}: ")


def test_after_an_attempt_that_came_to_nothing_a_denied_next_boot_is_taken_out() -> None:
    walk = Walk(Records(intent("3"), denied=(denial("2"),))).answer(host("1", entries=("2", "1")))
    assert walk.one(Disarm).target == plain("2")


def test_a_soft_reboot_is_no_verdict_on_the_target() -> None:
    """No boot loader has run; the switch was made at the shutdown of userspace, and the old root went on."""
    after = replace(BOOT, soft_reboots=1)
    walk = Walk(Records(intent(boot=BOOT)), boot=after).answer(host("1", entries=("2", "1")))
    assert walk.one(Disarm).target == plain("2")
    assert walk.state.records.denied == ()
    walk.answer(host("1", entries=("1", "2")))
    assert [closed.outcome for closed in walk.state.records.history] == [Outcome.NOT_ATTEMPTED]
    assert (walk.state.phase, walk.state.records.denied) == (Steady(), ())


def test_a_soft_reboot_into_the_target_is_verified() -> None:
    after = BootInstance(BOOT.boot_id, 1)
    walk = Walk(Records(intent(boot=BOOT)), boot=after).answer(host("2", entries=("2", "1")))
    assert isinstance(walk.state.phase, Verifying)


# --------------------------------------------------------------------------- records that cannot be saved


def _fell_back() -> Walk:
    return Walk(Records(intent()))


@pytest.mark.parametrize("phase", [_fell_back])
def test_an_outcome_that_cannot_be_saved_is_found_again(phase: Callable[[], Walk]) -> None:
    walk = phase().answer_unsaved(host("1", entries=("2", "1")))
    assert isinstance(walk.state.phase, Starting)
    assert walk.state.records.obligations == Records(intent())
    assert next_wakeup(walk.state) == at(START_RETRY_SECS).boot_secs
    walk.wake().answer(host("1", entries=("2", "1")))
    assert isinstance(walk.state.phase, Undoing)
    assert walk.state.records.denial_of(payload_of("2")) is not None


def test_history_keeps_what_was_there() -> None:
    walk = Walk(Records(intent(), history=(attempt("3"),))).answer(host("1"))
    assert [closed.target.version for closed in walk.state.records.history] == ["3", "2"]
