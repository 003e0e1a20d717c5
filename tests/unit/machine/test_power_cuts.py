"""Power cuts: what a boot after one proves of a release, and what it does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes.builders import BOOT, EARLIER_BOOT, WELL, Walk, attempt, denial, host, intent, plain, unhealthy
from tests.fakes.clock import START
from tidegate.health.judgement import HealthTerms
from tidegate.machine.effects import Announce, Arm, AskGates, Disarm, MarkGood
from tidegate.machine.events import HostView
from tidegate.machine.phases.paused import Paused
from tidegate.machine.phases.steady import Steady
from tidegate.machine.phases.verifying import SAVE_SECS, Verifying
from tidegate.machine.phases.waiting import RollbackPending
from tidegate.machine.state import FailureAction, Policy
from tidegate.machine.step import next_wakeup
from tidegate.records.model import Attempt, DenialCause, EndCause, Outcome, Records, RollbackDue, Verification
from tidegate.release import Purpose
from tidegate.system.boot import BootInstance
from tidegate.system.last_boot import LastBoot

UNSEEN = host("1", entries=("2", "1"), current_menu=False)
"""The boot loader read the menu from before the switch; the kernel finds the one after it."""

SHUT_DOWN = LastBoot(EARLIER_BOOT)
CUT = LastBoot(BootInstance("33333333-0000-4000-8000-000000000000"))
CRASHED = replace(CUT, crashed_at=START - timedelta(minutes=1))
IN_2 = host("2", entries=("2", "1"))
TERMS = HealthTerms(monitor_secs=300, interval_secs=10, start_delay_secs=60, retries=3)
ROLLING = Policy(health=TERMS, failure_action=FailureAction.ROLLBACK)


def closed(walk: Walk) -> tuple[str, str]:
    """Outcome and cause of the only attempt in the history."""
    (only,) = walk.state.records.history
    return only.outcome, only.cause


# --------------------------------------------------------------------------- before the boot loader has seen the switch


def test_a_release_that_the_boot_loader_never_saw_is_not_denied_and_not_left_for_the_next_boot() -> None:
    walk = Walk(Records(intent())).answer(UNSEEN)
    assert walk.one(Disarm).target == plain("2"), "no gate has been asked about that boot"
    assert walk.state.records.intent is not None, "until it is disarmed, a reboot leads into it"
    walk.answer(host("1", entries=("1", "2")))
    assert (closed(walk), walk.state.records.denied) == ((Outcome.NOT_ATTEMPTED, EndCause.POWER_CUT), ())
    assert walk.state.phase == Steady()


def test_the_entry_of_a_switch_that_was_taken_back_proves_nothing_after_another_cut() -> None:
    first = Walk(Records(intent())).answer(UNSEEN)
    again = Walk(first.state.records).answer(host("1", entries=("1", "2")))
    assert (closed(again)[0], again.state.records.denied) == (Outcome.NOT_ATTEMPTED, ())


def test_without_proof_that_the_boot_loader_read_the_entry_nothing_is_denied() -> None:
    walk = Walk(Records(intent())).answer(host("1", entries=("2", "1"), current_menu=None))
    walk.answer(host("1", entries=("1", "2")))
    assert (closed(walk), walk.state.records.denied) == ((Outcome.NOT_ATTEMPTED, ""), ())


def test_a_rollback_that_the_boot_loader_never_saw_stays_due_and_armed_and_denies_nothing() -> None:
    back = intent("1", "2", had_entry=True, purpose=Purpose.ROLLBACK)
    due = RollbackDue(plain("2"), plain("1"), "2 is unhealthy", START)
    walk = Walk(Records(back, rollback=due, denied=(denial("2"),)))
    walk.answer(host("2", entries=("1", "2"), current_menu=False))
    assert (walk.state.records.rollback, [one.release for one in walk.state.records.denied]) == (due, [plain("2")])
    assert (closed(walk), walk.none(Disarm)) == ((Outcome.NOT_ATTEMPTED, EndCause.POWER_CUT), True)
    assert isinstance(walk.state.phase, RollbackPending)
    assert next_wakeup(walk.state) == 100.0, "nothing was wrong with it, so it is tried again at once"


@pytest.mark.parametrize(
    ("last_boot", "cause"),
    [(CUT, EndCause.POWER_CUT), (SHUT_DOWN, ""), (LastBoot(), "")],
    ids=["cut", "shut down", "?"],
)
def test_an_attempt_is_ended_by_a_power_cut_where_the_boot_before_left_no_note(last_boot: LastBoot, cause: str) -> None:
    walk = Walk(Records(intent())).answer(host("1", last_boot=last_boot))
    assert closed(walk) == (Outcome.NOT_ATTEMPTED, cause)


CUT_SHORT = replace(attempt(), cause=EndCause.POWER_CUT)


@pytest.mark.parametrize(
    ("history", "count"),
    [
        ((CUT_SHORT,) * 3, 0),
        ((CUT_SHORT,) * 4, 1),
        ((attempt(), CUT_SHORT, attempt()), 2),
        ((CUT_SHORT,) * 12, 3),
        ((attempt(outcome=Outcome.APPLIED), CUT_SHORT), 0),
    ],
)
def test_power_cuts_are_not_counted_as_failed_attempts_but_are_bounded(
    history: tuple[Attempt, ...], count: int
) -> None:
    assert Records(history=history).failures_in_a_row(plain("2").payload) == count


def test_after_a_power_cut_the_next_attempt_does_not_wait() -> None:
    waiting = Walk(Records(history=(CUT_SHORT,))).answer(host(staged="2"))
    assert waiting.none(Arm)
    assert waiting.state.records.failures_in_a_row(plain("2").payload) == 0


# --------------------------------------------------------------------------- after the release has run


def test_a_release_that_was_healthy_before_is_not_denied_when_the_boot_loader_takes_another() -> None:
    """Five healthy boots with four power cuts between, then the older entry: somebody, or a counter, chose it."""
    known = Verification(EARLIER_BOOT, 50.0, boots=5, cut_boots=4, healthy_secs=200.0, healthy_now_secs=60.0)
    walk = Walk(Records(intent(), verification=known)).answer(host("1", entries=("2", "1")))
    walk.answer(host("1", entries=("1", "2")))
    assert (closed(walk), walk.state.records.denied) == ((Outcome.FELL_BACK, EndCause.AFTER_HEALTHY_BOOTS), ())
    assert walk.state.records.failures_in_a_row(plain("2").payload) == 1, "it is tried again, within the bound"
    again = Walk(replace(walk.state.records, intent=intent())).answer(IN_2)
    assert again.state.records.verification is not None
    assert again.state.records.verification.healthy_secs == 260.0, "what was watched counts"


def test_the_way_back_to_a_release_that_ran_well_is_not_denied_by_the_boot_loader() -> None:
    back = intent("1", "2", had_entry=True, purpose=Purpose.ROLLBACK)
    due = RollbackDue(plain("2"), plain("1"), "2 is unhealthy", START)
    history = (attempt("2", Outcome.REJECTED),)
    walk = Walk(Records(back, rollback=due, denied=(denial("2"),), history=history))
    walk.answer(host("2", entries=("1", "2")))
    assert [one.release for one in walk.state.records.denied] == [plain("2")]
    assert (walk.state.records.rollback, type(walk.state.phase)) == (due, RollbackPending)


def test_a_host_that_a_cut_left_in_a_denied_release_leaves_it_for_the_default() -> None:
    """It fell back from 2, which was taken off the menu; the boot loader had not seen that, and booted 2."""
    fell_back = replace(denial("2"), cause=DenialCause.FELL_BACK)
    walk = Walk(Records(denied=(fell_back,))).answer(host("2", entries=("1", "2"), current_menu=False))
    assert isinstance(walk.state.phase, RollbackPending)
    assert walk.state.phase.target == plain("1")
    assert walk.wake().one(AskGates).purpose is Purpose.ROLLBACK


def test_a_host_in_a_release_that_a_person_has_denied_stays_there() -> None:
    by_a_person = replace(denial("2"), cause=DenialCause.PERSON)
    walk = Walk(Records(denied=(by_a_person,))).answer(host("2", entries=("1", "2")))
    assert walk.state.phase == Steady()


def test_a_host_in_a_denied_release_does_not_say_that_it_is_up_to_date() -> None:
    walk = Walk(Records(denied=(denial("2"), denial("1")))).answer(IN_2)
    assert walk.state.phase.sentence(walk.state, ()).startswith("runs 2, which is denied")


# --------------------------------------------------------------------------- boots that do not last


def boots_into_2(last_boot: LastBoot) -> HostView:
    """The host, having come up in 2 once more."""
    return host("2", entries=("2", "1"), last_boot=last_boot)


def cut_boots(count: int, healthy_secs: float = 0.0) -> Records:
    """The records after as many boots into 2, less one, that did not last."""
    watch = Verification(EARLIER_BOOT, 50.0, boots=count, cut_boots=count - 1, healthy_secs=healthy_secs)
    return Records(intent(), verification=watch)


@pytest.mark.parametrize(
    ("count", "last_boot", "given_up"),
    [
        (4, CRASHED, False),
        (5, CRASHED, True),
        (5, replace(CUT, reset_by_watchdog=True), True),
        (19, CUT, False),
        (20, CUT, True),
    ],
)
def test_a_release_on_which_the_host_does_not_stay_up_is_given_up(
    count: int, last_boot: LastBoot, given_up: bool
) -> None:
    walk = Walk(cut_boots(count), ROLLING).answer(boots_into_2(last_boot))
    assert isinstance(walk.state.phase, RollbackPending if given_up else Verifying)
    assert [one.release for one in walk.state.records.denied] == [plain("2")] * given_up


def test_a_boot_that_was_shut_down_does_not_count() -> None:
    walk = Walk(cut_boots(5), ROLLING).answer(boots_into_2(replace(CRASHED, shut_down=EARLIER_BOOT)))
    assert isinstance(walk.state.phase, Verifying)


def test_a_crash_from_before_the_attempt_is_no_evidence() -> None:
    old = replace(CUT, crashed_at=START - timedelta(days=1))
    assert isinstance(Walk(cut_boots(5), ROLLING).answer(boots_into_2(old)).state.phase, Verifying)


def test_power_cuts_alone_deny_nothing_that_was_healthy() -> None:
    walk = Walk(cut_boots(20, healthy_secs=40.0), ROLLING).answer(boots_into_2(CUT))
    assert isinstance(walk.state.phase, RollbackPending)
    assert walk.state.records.denied == ()
    texts = [effect.text for effect in walk.effects if isinstance(effect, Announce)]
    assert "2 is left, and not denied: 20 boots into it ended within the watch, without a shutdown" in texts


def test_with_pause_a_person_is_asked() -> None:
    walk = Walk(cut_boots(5), replace(ROLLING, failure_action=FailureAction.PAUSE)).answer(boots_into_2(CRASHED))
    assert isinstance(walk.state.phase, Paused)
    assert walk.state.phase.reason.startswith("5 boots into it ended within the watch, without a shutdown: the kernel")


def test_what_was_watched_before_counts_for_half_of_the_watch_at_most() -> None:
    walk = Walk(cut_boots(3, healthy_secs=290.0), ROLLING).answer(boots_into_2(CUT))
    looks = 0
    while walk.answer(WELL).none(MarkGood):
        looks += 1
        walk.wake()
    assert walk.secs == 150.0
    assert looks == 15


def test_the_progress_of_a_watch_is_saved_from_time_to_time_and_only_while_all_is_well() -> None:
    walk = Walk(Records(intent()), ROLLING).answer(IN_2)
    saved: list[float] = []
    for _ in range(20):
        walk.answer(WELL)
        assert walk.state.records.verification is not None
        saved.append(walk.state.records.verification.healthy_now_secs)
        walk.wake()
    before = walk.state.records.verification
    assert sorted(set(saved)) == [1.0, 10 + SAVE_SECS, 10 + 2 * SAVE_SECS, 10 + 3 * SAVE_SECS]
    assert walk.answer(unhealthy()).state.records.verification == before


def test_an_agent_that_is_restarted_amid_the_watch_counts_no_boot() -> None:
    known = Verification(BOOT, 50.0, boots=2, cut_boots=1, healthy_secs=100.0)
    walk = Walk(Records(intent(), verification=known), ROLLING).answer(boots_into_2(CUT))
    assert walk.state.records.verification == known
    assert isinstance(walk.state.phase, Verifying)
    assert walk.state.phase.healthy_before_secs == 100.0
