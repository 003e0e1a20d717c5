"""The watch over a boot, and each arrow of the diagram in ``machine/watch.py``."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fakes.builders import (
    AT_ONCE,
    BAD_CONFIG,
    BOOT,
    BROKEN,
    EARLIER_BOOT,
    LOCKED,
    WELL,
    Walk,
    at,
    attempt,
    denial,
    host,
    intent,
    lock_record,
    offers,
    plain,
    quick,
    step_of,
    unhealthy,
    verifying,
)
from tidegate.errors import ErrorKind, Failure
from tidegate.health.judgement import CheckStage, HealthTerms
from tidegate.machine.effects import (
    Announce,
    FindOffers,
    MarkGood,
    ReadHealth,
    ReleaseLock,
    Reply,
    Rollback,
    Stage,
)
from tidegate.machine.events import PolicyChanged, ResumeAsked
from tidegate.machine.phases.paused import PROBE_SECS as PAUSED_LOOK_SECS
from tidegate.machine.phases.paused import Paused
from tidegate.machine.phases.starting import Starting
from tidegate.machine.phases.steady import Steady
from tidegate.machine.phases.verifying import RETRY_SECS, Verifying
from tidegate.machine.phases.waiting import RollbackPending
from tidegate.machine.plan import PlanStep
from tidegate.machine.state import FailureAction, Policy
from tidegate.machine.step import next_wakeup
from tidegate.machine.topics import Topic
from tidegate.records.model import DenialCause, LockState, Outcome, Records, Verification
from tidegate.release import Purpose
from tidegate.system.boot import BootInstance

IN_2 = host("2", entries=("2", "1"))
ROLLING = quick(Policy(failure_action=FailureAction.ROLLBACK))
KEEPING = quick(Policy(failure_action=FailureAction.CONTINUE))
PATIENT = Policy(health=HealthTerms(monitor_secs=300, interval_secs=10, start_delay_secs=60, retries=3))


def watched(policy: Policy, records: Records | None = None) -> Walk:
    """The host has come up in 2, and is looked at."""
    return Walk(records or Records(intent()), policy).answer(IN_2)


def topics(walk: Walk) -> list[Topic]:
    return [effect.topic for effect in walk.effects if isinstance(effect, Announce)]


# --------------------------------------------------------------------------- well


def test_a_boot_that_is_well_is_marked_good_and_then_counts() -> None:
    walk = verifying()
    assert walk.one(ReadHealth)
    assert walk.answer(WELL).task == MarkGood(3, plain("2"))
    assert walk.state.records.history == ()
    applied = walk.answer(IN_2).state
    (closed,) = applied.records.history
    assert (closed.outcome, closed.detail, applied.records.intent) == (Outcome.APPLIED, "verified", None)
    assert (applied.phase, applied.records.verification, applied.records.settled) == (Steady(), None, plain("2"))


def test_the_watch_goes_on_to_its_end() -> None:
    walk = watched(PATIENT)
    for look in range(30):
        walk.answer(WELL)
        assert isinstance(walk.state.phase, Verifying)
        assert next_wakeup(walk.state) == at(10 * look + 10).boot_secs
        walk.wake()
    assert walk.secs == 300
    assert walk.answer(WELL).one(MarkGood)


def test_the_last_look_is_at_the_end_of_the_watch_and_not_an_interval_later() -> None:
    odd = Policy(health=replace(PATIENT.health, monitor_secs=25))
    walk = watched(odd)
    for _ in range(3):
        walk.answer(WELL).wake()
    assert walk.secs == 25


def test_one_bad_look_proves_nothing_and_three_in_a_row_do() -> None:
    walk = watched(PATIENT).answer(WELL).wake().answer(unhealthy()).wake().answer(WELL)
    walk.secs = 60
    for _ in range(2):
        walk.wake().answer(unhealthy())
        assert isinstance(walk.state.phase, Verifying)
    assert isinstance(walk.wake().answer(unhealthy()).state.phase, Paused)


def test_units_that_had_failed_before_are_no_news() -> None:
    opened = replace(intent(), failed_units=("old.service",))
    walk = Walk(Records(opened)).answer(IN_2)
    assert walk.one(ReadHealth).failed_before == frozenset({"old.service"})


def test_a_confirmation_that_fails_is_tried_again_without_looking_again() -> None:
    walk = verifying().answer(WELL).fail()
    assert walk.state.trouble is not None
    assert next_wakeup(walk.state) == at(RETRY_SECS).boot_secs
    assert walk.wake().one(MarkGood)
    assert walk.answer(IN_2).state.trouble is None


@pytest.mark.parametrize("blocked", [False, True])
def test_verifying_goes_on_whatever_the_settings_say_and_stages_nothing(blocked: bool) -> None:
    policy = quick(Policy(enabled=False, blocked=BAD_CONFIG if blocked else None))
    walk = watched(policy)
    health = walk.task
    walk.feed(PolicyChanged(policy))
    assert (walk.none(Stage), walk.none(FindOffers)) == (True, True)
    walk.effects = (health,)
    walk.answer(WELL).answer(IN_2)
    assert [closed.outcome for closed in walk.state.records.history] == [Outcome.APPLIED]


def test_no_check_is_due_while_a_boot_is_verified_or_paused() -> None:
    walk = verifying()
    assert next_wakeup(walk.state) is None
    walk.answer(unhealthy())
    assert next_wakeup(walk.state) == at(PAUSED_LOOK_SECS).boot_secs


def test_an_answer_of_discovery_cannot_end_verifying() -> None:
    walk = verifying()
    before = walk.state
    walk.effects = (ReadHealth(99),)
    assert walk.answer(offers("3")).state == before


# --------------------------------------------------------------------------- restarts and power cuts


def test_an_agent_that_is_restarted_goes_on_with_the_watch() -> None:
    began = Verification(BOOT, began_secs=90.0)
    walk = watched(PATIENT, Records(intent(), verification=began)).answer(WELL)
    assert walk.state.records.verification == replace(began, healthy_now_secs=10.0)
    walk.secs = 289
    assert walk.wake().answer(WELL).none(MarkGood)
    assert walk.wake().answer(WELL).one(MarkGood)
    assert walk.secs == 290


def test_a_power_cut_in_the_watch_begins_it_anew_and_is_no_evidence() -> None:
    before = Verification(EARLIER_BOOT, began_secs=90.0, boots=2)
    walk = watched(PATIENT, Records(intent(), verification=before))
    assert walk.state.records.verification == Verification(BOOT, 100.0, boots=3, cut_boots=1)
    assert walk.one(Announce).text == "booted into 2, verifying, for the 3. time: the boots before did not last"
    assert walk.state.records.denied == ()


def test_a_host_that_was_paused_is_so_after_a_restart_of_the_agent_and_looks_at_once() -> None:
    bad = Verification(BOOT, 90.0, bad="sshd: is failed")
    walk = watched(quick(), Records(intent(), verification=bad))
    assert walk.state.phase == Paused("sshd: is failed", look_at=100.0)
    assert walk.wake().one(ReadHealth)


def test_a_paused_host_that_was_rebooted_is_watched_anew() -> None:
    bad = Verification(BootInstance("22222222-0000-4000-8000-000000000000"), 90.0, bad="sshd: is failed")
    assert isinstance(watched(quick(), Records(intent(), verification=bad)).state.phase, Verifying)


# --------------------------------------------------------------------------- pause


def test_a_boot_that_is_not_well_pauses_updates_and_keeps_the_attempt_and_the_lock() -> None:
    walk = Walk(Records(intent(), lock=lock_record()), LOCKED).answer(IN_2).answer(unhealthy())
    phase = walk.state.phase
    assert isinstance(phase, Paused)
    assert (phase.reason, phase.look_at) == ("sshd: sshd.service is failed", at(PAUSED_LOOK_SECS).boot_secs)
    assert [check.stage for check in phase.checks] == [CheckStage.PASSED, CheckStage.FAILED]
    records = walk.state.records
    assert (records.intent, records.denied, records.lock) == (intent(), (), lock_record())
    assert topics(walk) == [Topic.PAUSED]
    assert walk.wake().one(ReadHealth), "the lock is not given back meanwhile"


def test_a_paused_host_that_is_mended_is_watched_anew_and_then_counts() -> None:
    walk = verifying().answer(unhealthy())
    walk.wake().answer(unhealthy()).wake().fail().wake().answer(WELL)
    assert walk.secs == 3 * PAUSED_LOOK_SECS
    assert isinstance(walk.state.phase, Verifying)
    assert walk.answer(WELL).one(MarkGood)
    assert walk.answer(IN_2).state.phase == Steady()


def test_resume_takes_the_release_as_it_is_and_gives_the_lock_back() -> None:
    walk = Walk(Records(intent(), lock=lock_record()), LOCKED).answer(IN_2).answer(unhealthy())
    walk.feed(ResumeAsked(1, "sshd is not wanted here"))
    assert walk.one(Reply).answer == "updates go on, with 2 as it is"
    assert walk.answer_of(MarkGood, IN_2).state.phase == Steady()
    (closed,) = walk.state.records.history
    assert (closed.outcome, closed.detail) == (
        Outcome.APPLIED,
        "unhealthy (sshd: sshd.service is failed), and accepted: sshd is not wanted here",
    )
    assert walk.state.records.lock == lock_record(LockState.RELEASE_OWED)
    assert walk.wake().one(ReleaseLock)


def test_there_is_nothing_to_resume_on_a_host_that_is_not_paused() -> None:
    answer = verifying().feed(ResumeAsked(1, "go on")).one(Reply).answer
    assert isinstance(answer, Failure)
    assert (answer.kind, answer.message) == (
        ErrorKind.AGENT_BAD_REQUEST,
        "nothing is paused (the agent is verifying this boot)",
    )


def test_not_being_able_to_look_is_no_verdict_however_long_it_lasts() -> None:
    rolling = replace(PATIENT, failure_action=FailureAction.ROLLBACK)
    walk = watched(rolling).fail()
    assert topics(walk) == [Topic.VERIFYING]
    for _ in range(50):
        assert isinstance(walk.state.phase, Verifying)
        walk.wake().fail()
        assert topics(walk) == []
    assert isinstance(walk.state.phase, Verifying)
    assert walk.state.phase.pending == f"the health of 2 is not known: {BROKEN.message}"


def test_what_is_found_once_somebody_can_look_counts() -> None:
    unreadable = Failure(ErrorKind.HEALTH_UNREADABLE, "systemd does not answer")
    assert verifying().fail(unreadable).wake().answer(WELL).one(MarkGood)
    rolled = watched(ROLLING).fail(unreadable).wake().answer(unhealthy())
    assert (rolled.state.records.rollback is not None, rolled.state.trouble) == (True, None)


# --------------------------------------------------------------------------- continue


def test_continue_keeps_the_release_on_record_and_goes_on() -> None:
    walk = Walk(Records(intent(), lock=lock_record()), replace(KEEPING, fleet_lock=LOCKED.fleet_lock))
    walk.answer(IN_2).answer(unhealthy())
    assert topics(walk) == [Topic.UNHEALTHY]
    walk.answer(IN_2)
    (closed,) = walk.state.records.history
    assert (closed.outcome, closed.detail) == (
        Outcome.APPLIED,
        "kept though unhealthy: sshd: sshd.service is failed",
    )
    assert (walk.state.phase, walk.state.records.denied) == (Steady(), ())
    assert walk.state.trouble is not None
    assert walk.state.trouble.failure.kind is ErrorKind.HEALTH_BAD
    assert walk.wake().one(ReleaseLock)


# --------------------------------------------------------------------------- rollback


def test_a_release_that_is_not_well_is_denied_closed_and_due_to_be_left_in_one_write() -> None:
    walk = Walk(Records(intent(), lock=lock_record()), ROLLING).answer(IN_2).answer(unhealthy())
    records = walk.state.records
    (denied,) = records.denied
    (closed,) = records.history
    assert (denied.release, denied.cause) == (plain("2"), DenialCause.UNHEALTHY)
    assert (denied.evidence, denied.boot_id, denied.journal_cursor) == (
        "sshd: sshd.service is failed",
        BOOT.boot_id,
        "s=1",
    )
    assert (closed.target, closed.outcome) == (plain("2"), Outcome.REJECTED)
    due = records.rollback
    assert due is not None
    assert (due.origin, due.target, due.reason) == (plain("2"), plain("1"), "2 is unhealthy")
    assert (records.intent, records.verification, records.lock) == (None, None, lock_record())
    assert topics(walk) == [Topic.UNHEALTHY, Topic.ROLLING_BACK]
    assert isinstance(walk.state.phase, RollbackPending)
    assert step_of(walk.wake().state.phase) is PlanStep.ASK_GATES


def test_what_failed_before_the_update_is_no_news_after_the_way_back_either() -> None:
    opened = replace(intent(), failed_units=("old.service",))
    walk = watched(ROLLING, Records(opened)).answer(unhealthy())
    assert walk.state.records.rollback is not None
    assert walk.state.records.rollback.failed_units == ("old.service",)


OBJECTIONS = {
    "no earlier release": (Records(intent()), host("2"), "there is no release before it on this host"),
    "the earlier one is denied": (
        Records(intent(), denied=(denial("1"),)),
        IN_2,
        "1, the release before it, is denied (fell_back)",
    ),
    "its data has moved on": (
        Records(replace(intent(), rollback_floor="2")),
        IN_2,
        "it allows no way back below 2, and the release before it is 1",
    ),
    "once already": (
        Records(intent(), history=(replace(attempt("1"), origin=plain("2"), purpose=Purpose.ROLLBACK),)),
        IN_2,
        "it was rolled back once already",
    ),
}


@pytest.mark.parametrize("case", OBJECTIONS)
def test_where_there_is_no_way_back_the_host_stays_up_and_says_so(case: str) -> None:
    records, view, objection = OBJECTIONS[case]
    walk = Walk(records, ROLLING).answer(view).answer(unhealthy())
    assert isinstance(walk.state.phase, Paused)
    assert walk.state.phase.reason == f"sshd: sshd.service is failed; it is not rolled back: {objection}"
    assert walk.state.records.denied == records.denied


def test_the_release_that_was_gone_back_to_is_watched_and_then_the_lock_is_given_back() -> None:
    back = intent("1", "2", purpose=Purpose.ROLLBACK)
    policy = replace(ROLLING, fleet_lock=LOCKED.fleet_lock)
    records = Records(back, lock=lock_record(), denied=(denial("2"),))
    walk = Walk(records, policy).answer(host("1", entries=("1", "2")))
    assert isinstance(walk.state.phase, Verifying)
    walk.answer(WELL).answer(host("1", entries=("1", "2")))
    (closed,) = walk.state.records.history
    assert (closed.purpose, closed.outcome) == (Purpose.ROLLBACK, Outcome.APPLIED)
    assert walk.wake().one(ReleaseLock)


def test_where_the_release_that_was_gone_back_to_is_not_well_either_nothing_more_is_tried() -> None:
    back = intent("1", "2", purpose=Purpose.ROLLBACK)
    walk = Walk(Records(back, lock=lock_record(), denied=(denial("2"),)), ROLLING)
    walk.answer(host("1", entries=("1", "2"))).answer(unhealthy())
    assert isinstance(walk.state.phase, Paused)
    assert walk.state.phase.reason.startswith("it and the release before it are both unhealthy: sshd")
    assert walk.none(Rollback)
    assert walk.state.records.denied == (denial("2"),)


# --------------------------------------------------------------------------- records that cannot be saved


def test_a_watch_that_cannot_be_recorded_is_kept_all_the_same() -> None:
    walk = Walk(Records(intent())).answer_unsaved(IN_2)
    assert isinstance(walk.state.phase, Verifying)
    assert walk.one(ReadHealth)
    assert walk.state.records == Records(intent())


@pytest.mark.parametrize("policy", [quick(), ROLLING], ids=["pause", "rollback"])
def test_a_verdict_that_cannot_be_saved_is_none(policy: Policy) -> None:
    walk = watched(policy)
    before = walk.state.records
    walk.answer_unsaved(unhealthy())
    assert isinstance(walk.state.phase, Verifying)
    assert walk.state.records == before
    assert not isinstance(walk.wake().answer(unhealthy()).state.phase, Verifying | Starting)


def test_a_good_boot_is_good_though_that_cannot_be_saved() -> None:
    """With what the disk has, another start would watch the boot once more."""
    walk = verifying().answer(WELL).answer_unsaved(IN_2)
    assert walk.state.records.intent is None
    assert isinstance(walk.state.phase, Steady)


def test_at_once_is_what_its_name_says() -> None:
    """The other tests of the machine stand on it."""
    assert (AT_ONCE.monitor_secs, AT_ONCE.retries) == (0.0, 1)
