"""The way back, what people deny and allow, and what was left behind the agent's back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.fakes.builders import (
    ALLOW,
    BAD_CONFIG,
    BOOT,
    LOCKED,
    WAIT,
    Walk,
    attempt,
    confirming,
    deciding,
    denial,
    greeted,
    host,
    intent,
    lock_record,
    locking,
    offers,
    plain,
    quick,
    release,
    staged,
    staging,
    steady,
    step_of,
    unhealthy,
    verifying,
)
from tests.fakes.clock import START
from tests.fakes.engine import payload_of
from tidegate.errors import ErrorKind, Failure
from tidegate.fleetlock.account import LockBusy, LockGranted
from tidegate.gates.base import Verdict, Wait
from tidegate.machine.effects import (
    AcquireLock,
    Announce,
    Arm,
    AskGates,
    Disarm,
    MarkGood,
    Reboot,
    ReleaseLock,
    Reply,
    Rollback,
)
from tidegate.machine.events import AllowAsked, DenyAsked, RollbackAsked, ShutdownSignal
from tidegate.machine.phases.paused import Paused
from tidegate.machine.phases.rebooting import Rebooting
from tidegate.machine.phases.staging import Staging
from tidegate.machine.phases.steady import Steady
from tidegate.machine.phases.waiting import RollbackPending, Staged
from tidegate.machine.plan import PlanStep
from tidegate.machine.state import FailureAction, Policy
from tidegate.machine.topics import Topic
from tidegate.records.model import DenialCause, LockState, Outcome, Records, RollbackDue
from tidegate.release import Purpose
from tidegate.system.reboot import RebootAccepted

IN_2 = host("2", entries=("2", "1"))
BACK = host("2", entries=("1", "2"))
ROLLING = quick(Policy(failure_action=FailureAction.ROLLBACK))
ROLLING_LOCKED = replace(ROLLING, fleet_lock=LOCKED.fleet_lock)
DUE = RollbackDue(plain("2"), plain("1"), "2 is unhealthy", START)


def leaving(policy: Policy = ROLLING, records: Records | None = None) -> Walk:
    """2 was found not well."""
    return Walk(records or Records(intent()), policy).answer(IN_2).answer(unhealthy())


def in_2(records: Records | None = None, policy: Policy | None = None) -> Walk:
    """A steady host in 2 that has 1 to go back to."""
    return Walk(records, policy).answer(IN_2)


def failed(walk: Walk) -> Failure:
    answer = walk.one(Reply).answer
    assert isinstance(answer, Failure)
    return answer


# --------------------------------------------------------------------------- the way back


def test_the_way_back_asks_the_gates_that_guard_it_opens_an_intent_and_makes_the_old_release_the_default() -> None:
    walk = leaving().wake()
    assert walk.one(AskGates).purpose is Purpose.ROLLBACK
    assert walk.answer(ALLOW).one(Rollback).target == plain("1")
    opened = walk.state.records.intent
    assert opened is not None
    assert (opened.origin, opened.target, opened.purpose, opened.had_entry) == (
        plain("2"),
        plain("1"),
        Purpose.ROLLBACK,
        True,
    )
    assert walk.answer(BACK).one(AskGates).purpose is Purpose.ROLLBACK
    assert walk.answer(ALLOW).one(Reboot)
    assert isinstance(walk.answer(RebootAccepted()).state.phase, Rebooting)


def test_an_engine_that_leads_elsewhere_is_not_followed() -> None:
    walk = leaving().wake().answer(ALLOW).answer(IN_2)
    assert walk.one(Disarm).target == plain("1")


def test_a_way_back_that_is_called_off_stays_due() -> None:
    walk = leaving().wake().answer(ALLOW).answer(BACK).answer(WAIT)
    assert walk.one(Disarm).target == plain("1")
    walk.answer(IN_2)
    assert isinstance(walk.state.phase, RollbackPending)
    assert (walk.state.phase.verdicts, walk.state.records.intent) == (WAIT, None)
    assert walk.state.records.rollback is not None


def test_a_way_back_is_due_after_a_restart_of_the_agent() -> None:
    walk = in_2(Records(rollback=DUE, denied=(denial("2"),)))
    assert isinstance(walk.state.phase, RollbackPending)
    assert step_of(walk.wake().state.phase) is PlanStep.ASK_GATES


def test_a_way_back_to_a_release_that_somebody_has_removed_is_not_due_any_more() -> None:
    gone = host("2", entries=("2",))
    assert in_2(Records(rollback=DUE, denied=(denial("2"),))).state.records.rollback == DUE
    assert Walk(Records(rollback=DUE, denied=(denial("2"),))).answer(gone).state.phase == Steady()
    walk = leaving().wake().answer(ALLOW).fail()
    assert walk.answer(gone).state.phase == Steady()
    assert walk.state.records.rollback is None


def test_a_way_back_is_not_due_in_another_release() -> None:
    walk = Walk(Records(rollback=DUE)).answer(host("1", entries=("1", "2")))
    assert (walk.state.phase, walk.state.records.rollback) == (Steady(), None)


def test_a_way_back_that_an_older_agent_went_without_knowing_is_not_due_when_the_release_is_tried_again() -> None:
    walk = verifying(Records(intent("2"), rollback=DUE))
    assert walk.state.records.rollback is None


def test_an_attempt_at_the_way_back_that_came_to_nothing_is_made_again_later() -> None:
    back = intent("1", "2", had_entry=True, purpose=Purpose.ROLLBACK)
    walk = in_2(Records(back, rollback=DUE, denied=(denial("2"),)))
    assert [closed.outcome for closed in walk.state.records.history] == [Outcome.NOT_ATTEMPTED]
    assert isinstance(walk.state.phase, RollbackPending)
    walk.wake()
    assert (walk.secs, step_of(walk.state.phase) is PlanStep.ASK_GATES) == (300.0, True)


def test_a_way_back_that_fell_back_to_the_release_that_was_left_stays_there() -> None:
    back = intent("1", "2", had_entry=True, purpose=Purpose.ROLLBACK)
    walk = Walk(Records(back, rollback=DUE, denied=(denial("2"),))).answer(BACK)
    assert walk.one(Disarm).target == plain("1")
    records = walk.state.records
    assert ([one.release for one in records.denied], records.rollback) == ([plain("2"), plain("1")], None)
    assert walk.answer(IN_2).state.phase == Steady()


def test_disabled_updates_do_not_keep_a_host_in_a_release_that_is_not_well() -> None:
    walk = leaving(replace(ROLLING, enabled=False))
    assert step_of(walk.wake().state.phase) is PlanStep.ASK_GATES


def test_a_bad_configuration_does() -> None:
    walk = leaving(replace(ROLLING, blocked=BAD_CONFIG))
    assert isinstance(walk.state.phase, RollbackPending)
    assert walk.state.phase.evaluate_at is None


# --------------------------------------------------------------------------- the lock


def kept() -> Walk:
    """2 was found not well, and the lock that was taken for it is held still."""
    return leaving(ROLLING_LOCKED, Records(intent(), lock=lock_record()))


def test_the_lock_of_the_update_serves_for_the_way_back() -> None:
    walk = kept().wake()
    assert walk.one(AskGates)
    assert walk.answer(ALLOW).one(AcquireLock).account == lock_record().account
    assert walk.answer(LockGranted()).one(AskGates)
    assert walk.answer(ALLOW).one(Rollback)
    assert walk.answer(BACK).one(AskGates)
    assert walk.answer(ALLOW).one(Reboot)
    assert walk.state.records.lock == lock_record()


def test_a_lock_server_that_is_down_does_not_keep_a_host_that_holds_its_lock_from_going_back() -> None:
    walk = kept().wake().answer(ALLOW).fail()
    assert walk.one(AskGates)
    assert walk.answer(ALLOW).answer(BACK).answer(ALLOW).one(Reboot)


def test_a_lock_that_the_server_gave_to_somebody_else_is_asked_for_like_any_other() -> None:
    walk = kept().wake().answer(ALLOW).answer(LockBusy("2 of 2 slots are taken"))
    assert walk.none(Rollback)
    assert isinstance(walk.state.phase, RollbackPending)
    assert walk.state.records.lock == lock_record(LockState.RELEASE_OWED)
    assert walk.wake().one(ReleaseLock)


def test_nothing_is_given_back_while_the_way_back_waits() -> None:
    walk = kept().wake().answer(WAIT)
    for _ in range(3):
        assert walk.wake().none(ReleaseLock)
        walk.answer(WAIT)


def test_without_a_lock_the_way_back_asks_for_one() -> None:
    walk = greeted(ROLLING_LOCKED)
    assert walk.state.host is not None
    walk = in_2(policy=ROLLING_LOCKED).wake()
    walk.feed(RollbackAsked(1, "it is slow"))
    assert step_of(walk.state.phase) is PlanStep.ASK_GATES


# --------------------------------------------------------------------------- a person asks


def test_a_person_gets_the_host_back_and_the_release_denied() -> None:
    walk = in_2().feed(RollbackAsked(1, "it is slow (asked for by root)"))
    (denied,) = walk.state.records.denied
    assert (denied.release, denied.cause, denied.evidence) == (
        plain("2"),
        DenialCause.PERSON,
        "it is slow (asked for by root)",
    )
    assert walk.one(AskGates).purpose is Purpose.ROLLBACK
    walk.answer(ALLOW).answer(BACK).answer(ALLOW).answer(RebootAccepted())
    assert walk.one(Reply).answer == "rebooting into 1"


def test_a_person_who_has_to_wait_is_told_why_and_it_stays_decided() -> None:
    walk = in_2().feed(RollbackAsked(1, "it is slow")).answer(WAIT)
    assert failed(walk).message == "window: the window is closed"
    assert isinstance(walk.state.phase, RollbackPending)
    walk.feed(RollbackAsked(2, "now", frozenset({"window"})))
    assert walk.one(AskGates).overrides == frozenset({"window"})
    assert len(walk.state.records.denied) == 1


@pytest.mark.parametrize(
    "made", [staged, verifying, lambda: verifying().answer(unhealthy())], ids=["staged", "verifying", "paused"]
)
def test_a_person_may_ask_whenever_nothing_is_under_way(made: Callable[[], Walk]) -> None:
    walk = made()
    walk.state = replace(walk.state, host=IN_2.engine)
    assert walk.feed(RollbackAsked(1, "it is slow")).one(AskGates)
    assert walk.state.records.intent is None
    assert walk.state.records.rollback is not None


def test_an_update_that_a_person_rejects_is_closed_as_that() -> None:
    walk = verifying().feed(RollbackAsked(1, "it is slow"))
    assert [closed.outcome for closed in walk.state.records.history] == [Outcome.REJECTED]


@pytest.mark.parametrize("made", [staging, confirming], ids=["staging", "confirming"])
def test_a_person_waits_for_what_is_under_way(made: Callable[[], Walk]) -> None:
    assert failed(made().feed(RollbackAsked(1, "it is slow"))).kind is ErrorKind.AGENT_BUSY


def test_there_is_no_way_back_without_a_release_to_go_back_to() -> None:
    assert failed(steady().feed(RollbackAsked(1, "it is slow"))).kind is ErrorKind.ROLLBACK_IMPOSSIBLE


def test_a_release_that_is_denied_is_gone_back_to_only_when_that_is_lifted() -> None:
    walk = in_2(Records(denied=(denial("1"),))).feed(RollbackAsked(1, "it is slow"))
    assert (failed(walk).kind, failed(walk).remedy) == (
        ErrorKind.ROLLBACK_IMPOSSIBLE,
        "tidegate allow 1 --reason TEXT",
    )
    walk.feed(AllowAsked(2, "1", "it was the network")).feed(RollbackAsked(3, "it is slow"))
    assert walk.one(AskGates)


def test_nobody_goes_back_while_the_host_goes_down_or_its_configuration_is_bad() -> None:
    walk = in_2().feed(ShutdownSignal(active=True)).feed(RollbackAsked(1, "it is slow"))
    assert failed(walk).kind is ErrorKind.AGENT_BUSY
    assert failed(in_2(policy=quick(Policy(blocked=BAD_CONFIG))).feed(RollbackAsked(1, "slow"))) == BAD_CONFIG


def test_a_decision_that_cannot_be_saved_was_never_taken() -> None:
    walk = in_2()
    before = walk.state
    walk.unsaved(RollbackAsked(1, "it is slow"))
    assert failed(walk).kind is ErrorKind.RECORD_UNWRITABLE
    assert (walk.state.records, walk.state.phase) == (before.records, before.phase)


# --------------------------------------------------------------------------- deny and allow


def test_a_release_that_waits_for_its_reboot_and_is_denied_waits_no_longer() -> None:
    walk = staged().feed(DenyAsked(1, "2", "it breaks the database"))
    assert walk.state.phase == Steady()
    assert walk.one(Reply).answer == "2 is denied"
    assert walk.wake().answer(offers("2")).state.phase == Steady()
    assert [one.cause for one in walk.state.passed_over] == ["denied"]


def test_a_release_that_is_denied_while_it_is_staged_is_not_kept_for_a_reboot() -> None:
    walk = staging()
    task = walk.task
    walk.feed(DenyAsked(1, payload_of("2"), "it breaks the database"))
    assert isinstance(walk.state.phase, Staging)
    walk.effects = (task,)
    assert walk.answer(host(staged="2")).state.phase == Steady()


@pytest.mark.parametrize("verdicts", [ALLOW, WAIT], ids=["allow", "wait"])
def test_a_release_that_is_denied_while_its_gates_are_asked_waits_no_longer(verdicts: tuple[Verdict, ...]) -> None:
    walk = deciding()
    task = walk.task
    walk.feed(DenyAsked(1, "2", "it breaks the database"))
    walk.effects = (task,)
    assert walk.answer(verdicts).state.phase == Steady()
    assert walk.wake().answer(offers("2")).state.phase == Steady()


@pytest.mark.parametrize("answer", [LockGranted(), LockBusy("all taken")], ids=["granted", "busy"])
def test_a_release_that_is_denied_while_its_lock_is_asked_for_waits_no_longer(answer: LockGranted | LockBusy) -> None:
    walk = locking()
    task = walk.task
    walk.feed(DenyAsked(1, "2", "it breaks the database"))
    walk.effects = (task,)
    assert walk.answer(answer).state.phase == Steady()
    assert walk.state.records.intent is None
    assert (walk.state.records.lock is not None) == isinstance(answer, LockGranted), "it is given back"


def test_a_release_that_is_denied_amid_its_attempt_is_taken_back_at_the_last_look() -> None:
    walk = confirming()
    task = walk.task
    walk.feed(DenyAsked(1, "2", "it breaks the database"))
    walk.effects = (task,)
    assert walk.answer(ALLOW).one(Disarm)
    assert walk.answer(host(staged="2")).state.phase == Steady()


def test_the_running_release_may_be_denied_and_is_not_left() -> None:
    walk = in_2().feed(DenyAsked(1, "2", "not again"))
    assert walk.one(Reply).answer == "2 is denied; the host runs it, and stays in it: see tidegate rollback"
    assert walk.state.phase == Steady()


@pytest.mark.parametrize("asked", [DenyAsked(1, "7", "no"), AllowAsked(1, "7", "yes"), AllowAsked(1, "1", "yes")])
def test_a_release_that_nobody_knows_or_denied_is_named(asked: DenyAsked | AllowAsked) -> None:
    failure = failed(steady().feed(asked))
    assert failure.kind is ErrorKind.AGENT_UNKNOWN_RELEASE
    assert asked.release in failure.message


def test_a_version_that_stands_for_two_releases_has_to_be_told_by_its_payload() -> None:
    walk = steady().wake().answer(offers())
    twins = (release("2"), replace(release("2"), payload="b" * 64))
    walk.state = replace(walk.state, offered=twins)
    failure = failed(walk.feed(DenyAsked(1, "2", "no")))
    assert (failure.kind, failure.remedy) == (ErrorKind.AGENT_BAD_REQUEST, "name it by its payload")
    assert "b" * 64 in failure.message
    assert walk.feed(DenyAsked(2, "b" * 64, "no")).one(Reply).answer == "2 is denied"


def test_what_is_allowed_again_is_looked_for_at_once() -> None:
    walk = steady(records=Records(denied=(denial("2"),))).wake().answer(offers("2"))
    assert walk.state.phase == Steady()
    walk.feed(AllowAsked(1, "2", "it was the network"))
    assert (walk.one(Reply).answer, walk.one(Announce).topic) == ("2 is allowed again", Topic.ALLOWED)
    assert isinstance(walk.wake().answer(offers("2")).state.phase, Staging)


def test_a_release_that_is_allowed_before_it_was_left_is_kept_and_counts_as_good() -> None:
    walk = kept().feed(AllowAsked(1, "2", "sshd is not wanted here"))
    assert walk.one(MarkGood).target == plain("2")
    walk.answer_of(MarkGood, IN_2)
    records = walk.state.records
    assert (walk.state.phase, records.denied, records.rollback) == (Steady(), (), None)
    assert records.lock == lock_record(LockState.RELEASE_OWED)


def test_a_release_cannot_be_allowed_while_it_is_being_left() -> None:
    walk = leaving().wake().feed(AllowAsked(1, "2", "no, wait"))
    assert failed(walk).kind is ErrorKind.AGENT_BUSY
    assert walk.state.records.rollback is not None


def test_a_release_to_go_back_to_that_is_denied_is_not_gone_back_to() -> None:
    walk = leaving().feed(DenyAsked(1, "1", "neither"))
    assert (walk.state.phase, walk.state.records.rollback) == (Steady(), None)
    assert failed(leaving().wake().feed(DenyAsked(1, "1", "neither"))).kind is ErrorKind.AGENT_BUSY


# --------------------------------------------------------------------------- what is wanted


@pytest.mark.parametrize(
    ("policy", "cause"),
    [
        (Policy(pin="3"), "pinned"),
        (Policy(max_version="1.9"), "above-max"),
        (Policy(min_release_age_secs=60.0), "young"),
    ],
)
def test_what_the_operator_does_not_want_yet_is_not_staged(policy: Policy, cause: str) -> None:
    walk = steady(policy).wake().answer(offers("2"))
    assert walk.state.phase == Steady()
    assert [one.cause for one in walk.state.passed_over] == [cause]


def test_a_release_is_taken_when_it_has_been_on_offer_for_long_enough() -> None:
    walk = steady(Policy(min_release_age_secs=400.0, steady_interval_secs=300)).wake().answer(offers("2"))
    first = walk.state.records.first_seen
    assert first == {payload_of("2"): START}
    walk.wake().answer(offers("2"))
    assert walk.state.phase == Steady()
    assert walk.wake().answer(offers("2")).state.records.first_seen == first
    assert isinstance(walk.state.phase, Staging)


def test_a_release_that_is_not_on_offer_any_more_begins_anew() -> None:
    walk = steady(Policy(min_release_age_secs=400.0)).wake().answer(offers("2")).wake().answer(offers())
    assert walk.state.records.first_seen == {}


def test_a_release_that_was_staged_before_the_operator_changed_their_mind_is_held() -> None:
    walk = staged()
    walk.state = replace(walk.state, policy=Policy(pin="1"))
    walk.wake().answer(ALLOW)
    assert isinstance(walk.state.phase, Staged)
    assert walk.none(Arm)
    (wait,) = [verdict for verdict in walk.state.phase.verdicts if isinstance(verdict, Wait)]
    assert wait.gate == "version_policy"
    assert wait.reason == "2 is not the release 1, to which updates.pin keeps this host"


# --------------------------------------------------------------------------- behind the agent's back

WAS_IN_2 = Records(settled=plain("2"), history=(attempt("2", Outcome.APPLIED),))


def test_a_release_that_somebody_else_left_is_denied() -> None:
    walk = Walk(WAS_IN_2).answer(host("1", entries=("1", "2")))
    (denied,) = walk.state.records.denied
    assert (denied.release, denied.cause) == (plain("2"), DenialCause.PERSON)
    assert denied.evidence == "2 was left for 1 outside of the agent"
    assert walk.one(Announce).topic is Topic.LEFT_OUTSIDE
    assert (walk.state.phase, walk.state.records.settled) == (Steady(), plain("1"))
    assert Walk(walk.state.records).answer(host("1", entries=("1", "2"))).none(Announce)


def test_a_choice_for_one_boot_is_none_against_the_release() -> None:
    walk = Walk(WAS_IN_2).answer(host("1", entries=("2", "1")))
    assert walk.one(Announce).topic is Topic.LEFT_OUTSIDE
    assert (walk.state.phase, walk.state.records.denied) == (Steady(), ())
    home = Walk(walk.state.records).answer(host("2", entries=("2", "1")))
    assert (home.none(Announce), home.state.records.denied) == (True, ()), "nor is the boot after it one against 1"
    stayed = Walk(walk.state.records).answer(host("1", entries=("1", "2")))
    assert [one.release for one in stayed.state.records.denied] == [plain("2")], "until it is made the default"


def test_going_on_by_hand_to_something_new_is_no_verdict() -> None:
    walk = Walk(WAS_IN_2).answer(host("3", entries=("3", "2")))
    assert (walk.none(Announce), walk.state.records.denied) == (True, ())
    assert walk.state.records.settled == plain("3")


def test_the_paused_host_of_a_release_that_is_left_by_hand_fell_back() -> None:
    walk = verifying().answer(unhealthy())
    assert isinstance(walk.state.phase, Paused)
    after = Walk(walk.state.records, boot=replace(BOOT, boot_id="3" * 32)).answer(host("1", entries=("1", "2")))
    assert [one.cause for one in after.state.records.denied] == [DenialCause.FELL_BACK]
