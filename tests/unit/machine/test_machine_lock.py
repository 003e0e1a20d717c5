"""The fleet's lock: taken after every local yes, asked for again after arming, given back whatever happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from tests.fakes.builders import (
    ALLOW,
    BAD_CONFIG,
    BOOT,
    DISK_FULL,
    LOCKED,
    WAIT,
    WELL,
    Walk,
    at,
    greeted,
    host,
    intent,
    lock_record,
    locking,
    offers,
    quick,
    release,
    relocking,
    steady,
    step_of,
    unhealthy,
)
from tests.fakes.clock import START
from tests.fakes.lock_server import ACCOUNT, ELSEWHERE, GONE, NONSENSE, REFUSED, UNCERTAIN, UNREACHABLE
from tidegate.errors import ErrorKind, Failure
from tidegate.fleetlock.account import FLEET_LOCK, FleetLocking, LockBusy, LockGranted, LockRelease, LockReleased
from tidegate.fleetlock.protocol import ReleaseTag
from tidegate.gates.base import Allow, Notice, Wait
from tidegate.machine.effects import (
    AcquireLock,
    Announce,
    Arm,
    AskGates,
    Disarm,
    FindOffers,
    GiveNotice,
    MarkGood,
    ReadHealth,
    Reboot,
    ReleaseLock,
    Reply,
    Stage,
)
from tidegate.machine.events import (
    ApplyAsked,
    ClockSet,
    Completed,
    Errored,
    ForgetLockAsked,
    HostView,
    NoticeGiven,
    PolicyChanged,
    Result,
    ShutdownSignal,
)
from tidegate.machine.lock_duty import REQUEST_MARGIN_SECS, RETRY_MAX_SECS, owed
from tidegate.machine.parts import MAX_RETRY_AFTER_SECS, MIN_RETRY_AFTER_SECS
from tidegate.machine.phases.rebooting import Rebooting
from tidegate.machine.phases.steady import Steady
from tidegate.machine.phases.undoing import Undoing
from tidegate.machine.phases.verifying import Verifying
from tidegate.machine.phases.waiting import Staged
from tidegate.machine.plan import PlanStep
from tidegate.machine.state import Policy
from tidegate.machine.step import next_wakeup
from tidegate.records.model import LockState, Outcome, Records
from tidegate.release import Purpose
from tidegate.system.reboot import RebootAccepted

BUSY = LockBusy("all 1 semaphore slots currently locked")
ARMED = host(staged="2", locked=False)
STAGED = host(staged="2")
ELSEWHERE_LOCKED = quick(Policy(fleet_lock=FleetLocking(ELSEWHERE)))
BLOCKED = quick(Policy(blocked=BAD_CONFIG))


def lock_state(walk: Walk) -> str | None:
    """What the record says."""
    return None if walk.state.records.lock is None else walk.state.records.lock.state


def staged_wait(walk: Walk, gate: str = FLEET_LOCK) -> Wait:
    """What ``gate`` says of the staged release."""
    assert isinstance(walk.state.phase, Staged)
    (wait,) = [one for one in walk.state.phase.verdicts if isinstance(one, Wait) and one.gate == gate]
    return wait


def rebooting() -> Walk:
    """Logind has accepted."""
    return relocking().answer(LockGranted()).answer(ALLOW).answer(RebootAccepted())


# --------------------------------------------------------------------------- the way to the reboot


def test_the_record_is_written_in_the_step_that_asks_and_says_all_that_giving_back_takes() -> None:
    walk = locking()
    assert isinstance(walk.task, AcquireLock)
    assert (walk.task.account, walk.task.update) == (ACCOUNT, None)
    record = walk.state.records.lock
    assert record is not None
    assert (record.account, record.boot, record.state, record.since) == (ACCOUNT, BOOT, "maybe_held", START)
    assert walk.state.records.intent is None, "the intent comes with the grant"


def test_a_grant_is_noted_and_the_intent_written_in_the_step_that_arms() -> None:
    walk = locking().answer(LockGranted())
    assert walk.one(Arm).target == release("2", 2)
    assert lock_state(walk) == "held"
    assert walk.state.records.intent is not None


def test_after_arming_the_server_is_asked_again_then_every_gate_then_logind() -> None:
    walk = relocking()
    assert step_of(walk.state.phase) is PlanStep.CONFIRM_LOCK
    assert isinstance(walk.task, AcquireLock)
    assert isinstance(walk.answer(LockGranted()).task, AskGates)
    assert step_of(walk.state.phase) is PlanStep.RECHECK_GATES
    assert isinstance(walk.answer(ALLOW).task, Reboot)
    assert isinstance(walk.answer(RebootAccepted()).state.phase, Rebooting)
    assert lock_state(walk) == "held"


def test_the_server_is_told_the_releases_where_it_is_to_be_told_anything() -> None:
    walk = locking(quick(Policy(fleet_lock=FleetLocking(ACCOUNT, tells=True))))
    assert isinstance(walk.task, AcquireLock)
    assert walk.task.update is not None
    booted = walk.state.host.booted if walk.state.host else None
    assert booted is not None
    assert walk.task.update.current == ReleaseTag("1", booted.payload)
    assert walk.task.update.target == ReleaseTag("2", release("2").payload)
    assert walk.task.update.boot_id == BOOT.boot_id.replace("-", "")
    gave_back = walk.answer(LockGranted()).fail().answer(STAGED).wake().one(ReleaseLock)
    assert gave_back.update is not None
    assert gave_back.update.target is None


def test_without_the_strategy_no_lock_server_is_asked() -> None:
    walk = steady().wake().answer(offers("2")).answer(STAGED).wake().answer(ALLOW)
    assert walk.one(Arm)
    assert walk.state.records.lock is None


def test_nothing_is_asked_of_the_server_while_a_gate_waits() -> None:
    walk = greeted().wake().answer(offers("2")).answer(STAGED).wake().answer(WAIT)
    assert (walk.none(AcquireLock), walk.state.records.lock) == (True, None)


# --------------------------------------------------------------------------- what the server may say


def test_a_busy_server_leaves_nothing_owed_and_is_asked_at_the_steady_interval() -> None:
    walk = locking().answer(BUSY)
    assert lock_state(walk) is None
    assert staged_wait(walk).reason == f"no slot is free at {ACCOUNT.base_url}: {BUSY.reason}"
    assert "--override fleet_lock" in staged_wait(walk).remedy
    assert at(300).boot_secs <= (next_wakeup(walk.state) or 0) <= at(330).boot_secs
    asked_again = walk.wake()
    while not isinstance(asked_again.task, AskGates):
        asked_again = asked_again.answer(offers("2")).wake()
    assert step_of(asked_again.answer(ALLOW).answer(LockGranted()).state.phase) is PlanStep.ARM


@pytest.mark.parametrize(
    ("said_secs", "asked_secs"),
    [(7.0, 7.0), (0.0, MIN_RETRY_AFTER_SECS), (900.0, 900.0), (86_400.0, MAX_RETRY_AFTER_SECS)],
)
def test_a_busy_server_is_asked_when_it_wants_to_be_within_reason(said_secs: float, asked_secs: float) -> None:
    walk = locking().answer(LockBusy("busy", said_secs))
    assert isinstance(walk.state.phase, Staged)
    assert walk.state.phase.evaluate_at == at(asked_secs).boot_secs
    assert staged_wait(walk).until == START + timedelta(seconds=asked_secs)


def test_a_busy_server_is_not_asked_sooner_because_an_attempt_came_to_nothing_before() -> None:
    walk = rebooting().wake().answer(STAGED)
    walk.wake().answer(LockReleased())
    while step_of(walk.state.phase) is not PlanStep.ASK_GATES:
        walk.wake()
        if not walk.none(FindOffers):
            walk.answer(offers("2"))
    began = walk.secs
    walk.answer(ALLOW).answer(LockBusy("busy", 1800.0))
    assert isinstance(walk.state.phase, Staged)
    assert walk.state.phase.evaluate_at == at(began + 1800).boot_secs


def test_a_wait_for_the_lock_is_not_a_wait_for_checks() -> None:
    walk = locking().answer(LockBusy("busy", 3600.0))
    assert walk.wake().one(FindOffers)


@pytest.mark.parametrize("failure", [UNREACHABLE, REFUSED, NONSENSE], ids=lambda failure: failure.kind)
def test_a_request_that_took_nothing_leaves_nothing_owed(failure: Failure) -> None:
    walk = locking().fail(failure)
    assert lock_state(walk) is None
    assert (staged_wait(walk).reason, staged_wait(walk).remedy) == (failure.message, failure.remedy)


@pytest.mark.parametrize("failure", [UNCERTAIN, GONE], ids=lambda failure: failure.kind)
def test_a_request_that_may_have_taken_a_slot_is_taken_back_when_the_server_has_had_its_time(failure: Failure) -> None:
    """A server that is slow must not carry out the request after it was told that the slot is free."""
    walk = locking().fail(failure)
    assert lock_state(walk) == "release_owed"
    assert walk.state.lock.why == failure.message
    assert walk.wake().one(ReleaseLock).account == ACCOUNT
    assert walk.secs == ACCOUNT.timeout_secs
    assert lock_state(walk.answer(LockReleased())) is None


def test_a_window_that_shut_after_the_grant_gives_the_lock_back_when_it_has_disarmed() -> None:
    walk = relocking().answer(LockGranted()).answer(WAIT)
    assert walk.one(Disarm)
    assert (lock_state(walk), next_wakeup(walk.state)) == ("held", None), "not before it is disarmed"
    walk.answer(STAGED)
    assert walk.wake().one(ReleaseLock)
    walk.answer(LockReleased())
    assert (lock_state(walk), walk.state.records.history) == (None, ())
    assert staged_wait(walk, "window").reason == "the window is closed"


def test_a_lock_that_is_lost_between_grant_and_last_look_calls_the_reboot_off() -> None:
    walk = relocking().answer(LockBusy("all 1 semaphore slots currently locked", 120.0))
    assert walk.one(Disarm)
    walk.answer(STAGED)
    assert isinstance(walk.state.phase, Staged)
    assert walk.state.phase.evaluate_at == at(120).boot_secs
    assert walk.wake().one(ReleaseLock), "a server that says busy may have been restored since"


@pytest.mark.parametrize("failure", [UNREACHABLE, REFUSED, NONSENSE, UNCERTAIN, GONE], ids=lambda failure: failure.kind)
def test_a_server_that_does_not_confirm_the_lock_calls_the_reboot_off(failure: Failure) -> None:
    walk = relocking().fail(failure)
    assert walk.one(Disarm)
    assert lock_state(walk) == "held", "what it granted before may still stand"
    walk.answer(STAGED)
    assert staged_wait(walk).reason == failure.message
    assert walk.wake().one(ReleaseLock)


@pytest.mark.parametrize(("failure", "secs"), [(UNCERTAIN, 30.0), (GONE, 30.0), (UNREACHABLE, 0.0)])
def test_a_confirmation_without_an_answer_may_come_late_and_the_release_waits_for_it(
    failure: Failure, secs: float
) -> None:
    walk = relocking().fail(failure).answer(STAGED)
    assert walk.wake().one(ReleaseLock)
    assert walk.secs == secs, "the request may be carried out within its time, after a release that came before"


def test_a_lock_is_not_asked_for_twice_at_once_and_not_before_it_was_given_back() -> None:
    walk = locking().fail(UNCERTAIN).wake().fail(UNREACHABLE)
    assert isinstance(walk.state.phase, Staged)
    walk.feed(ClockSet())
    for _ in range(20):
        walk.wake()
        assert walk.none(AskGates)
        assert walk.none(AcquireLock)
        if not walk.none(FindOffers):
            walk.answer(offers("2"))
        else:
            walk.fail(UNREACHABLE)
    held = owed(walk.state)
    assert held is not None
    assert held.reason.endswith("has not been released yet: https://lock.example/: connection refused")


# --------------------------------------------------------------------------- settings, shutdowns


@pytest.mark.parametrize(
    ("policy", "gate"),
    [(BLOCKED, "config"), (quick(Policy(enabled=False, fleet_lock=LOCKED.fleet_lock)), "updates")],
    ids=["blocked", "disabled"],
)
def test_settings_that_forbid_it_while_the_server_is_asked_keep_it_from_being_armed(policy: Policy, gate: str) -> None:
    walk = locking()
    task = walk.task.id
    walk.feed(PolicyChanged(policy)).feed(Completed(task, LockGranted()))
    assert walk.none(Arm)
    assert staged_wait(walk, gate)
    assert lock_state(walk) == "held"
    assert walk.wake().one(ReleaseLock)


@pytest.mark.parametrize(
    "policy",
    [ELSEWHERE_LOCKED, quick(), quick(Policy(fleet_lock=FleetLocking(replace(ACCOUNT, id="f" * 32))))],
    ids=["another server", "no lock", "another id"],
)
def test_a_lock_is_given_back_to_the_server_that_gave_it_whatever_is_configured_by_then(policy: Policy) -> None:
    walk = relocking().fail(UNREACHABLE).answer(STAGED)
    walk.feed(PolicyChanged(policy))
    assert walk.wake().one(ReleaseLock).account == ACCOUNT


@pytest.mark.parametrize("depth", [0, 1, 2, 3], ids=["locking", "arming", "relocking", "confirming"])
def test_another_lock_that_is_asked_for_by_now_calls_the_reboot_off(depth: int) -> None:
    """What was granted is not what the new settings want."""
    walk = locking()
    answers: tuple[Result, ...] = (LockGranted(), ARMED, LockGranted(), ALLOW)
    for answer in answers[:depth]:
        walk.answer(answer)
    task = walk.task
    walk.feed(PolicyChanged(ELSEWHERE_LOCKED))
    walk.effects = (task,)
    for answer in answers[depth:]:
        walk.answer(answer)
    assert walk.one(Disarm)
    walk.answer(STAGED)
    assert staged_wait(walk).reason == f"the configuration asks for another lock now, at {ELSEWHERE.base_url}"
    assert walk.wake().one(ReleaseLock).account == ACCOUNT


def test_a_strategy_that_is_taken_up_after_arming_needs_its_lock_all_the_same() -> None:
    walk = steady().wake().answer(offers("2")).answer(STAGED).wake().answer(ALLOW)
    task = walk.task.id
    walk.feed(PolicyChanged(LOCKED)).feed(Completed(task, ARMED)).answer(ALLOW)
    assert walk.none(Reboot)
    assert walk.one(Disarm)


def test_a_strategy_that_is_given_up_after_the_grant_lets_the_reboot_go_on_and_the_lock_is_still_owed() -> None:
    walk = locking().answer(LockGranted())
    task = walk.task.id
    walk.feed(PolicyChanged(quick())).feed(Completed(task, ARMED)).answer(ALLOW)
    assert walk.one(Reboot)
    assert lock_state(walk) == "held"


def test_a_grant_for_a_host_that_goes_down_already_is_kept_for_the_next_boot() -> None:
    walk = locking()
    task = walk.task.id
    walk.feed(ShutdownSignal(active=True)).feed(Completed(task, LockGranted()))
    assert walk.none(Arm)
    assert (lock_state(walk), next_wakeup(walk.state)) == ("held", None)
    assert walk.feed(ShutdownSignal(active=False)).wake().one(ReleaseLock)


@pytest.mark.parametrize("answer", [LockGranted(), BUSY])
def test_a_shutdown_by_somebody_else_after_arming_is_not_raced_whatever_the_server_says(
    answer: LockGranted | LockBusy,
) -> None:
    walk = relocking()
    task = walk.task.id
    walk.feed(ShutdownSignal(active=True)).feed(Completed(task, answer))
    assert walk.none(Disarm)
    assert isinstance(walk.state.phase, Rebooting)


def test_the_lock_stays_while_logind_takes_the_host_down_and_is_given_back_when_it_does_not() -> None:
    walk = rebooting()
    walk.secs = 599.0
    assert walk.feed(ClockSet()).none(ReleaseLock)
    assert walk.wake().one(Disarm)
    walk.answer(STAGED)
    assert walk.wake().one(ReleaseLock)


# --------------------------------------------------------------------------- overriding


def overriding(walk: Walk) -> Walk:
    """A person passes over the lock, and the gates allow."""
    return walk.feed(ApplyAsked(7, "security fix (uid 0)", Purpose.MANUAL, frozenset({FLEET_LOCK}))).answer(ALLOW)


def test_an_override_of_the_lock_neither_asks_for_it_nor_writes_a_record() -> None:
    walk = overriding(locking().answer(BUSY))
    assert walk.one(Arm)
    assert walk.state.records.lock is None
    assert walk.answer(ARMED).one(AskGates).overrides == frozenset({FLEET_LOCK})
    assert walk.answer(ALLOW).one(Reboot)


def test_an_override_is_good_for_one_attempt() -> None:
    walk = overriding(locking().answer(BUSY)).answer(ARMED).answer(WAIT)
    assert isinstance(walk.one(Reply).answer, Failure)
    walk.answer(STAGED)
    while walk.wake().none(AskGates):
        walk.answer(offers("2"))
    assert walk.one(AskGates).overrides == frozenset()
    assert walk.answer(ALLOW).one(AcquireLock)


def test_an_override_of_something_else_still_needs_the_lock() -> None:
    walk = locking().answer(BUSY)
    walk.feed(ApplyAsked(7, "now", overrides=frozenset({"sessions"})))
    assert walk.one(AskGates).overrides == frozenset({"sessions"})
    assert walk.answer(ALLOW).one(AcquireLock)


@pytest.mark.parametrize("apply", [ApplyAsked(7, "now"), ApplyAsked(7, "now", Purpose.UPDATE)], ids=["now", "sooner"])
def test_a_person_waits_for_an_owed_unlock_as_well_unless_overriding_it(apply: ApplyAsked) -> None:
    walk = locking().fail(UNCERTAIN).wake().fail(UNREACHABLE)
    answer = walk.feed(apply).one(Reply).answer
    assert isinstance(answer, Failure)
    assert answer.kind is ErrorKind.REBOOT_REFUSED
    assert "has not been released yet" in answer.message
    assert overriding(walk).one(Arm)


def test_a_reboot_that_passed_over_the_lock_does_not_race_the_unlock_of_the_last_one() -> None:
    """The look at the boot's health was under way when the person asked."""
    walk = Walk(Records(lock=lock_record()), LOCKED).answer(host()).wake()
    look = walk.task
    walk.secs = 1.0
    walk.wake().answer(offers("2")).answer(STAGED)
    overriding(walk)
    assert step_of(walk.state.phase) is PlanStep.ARM
    walk.feed(Completed(look.id, WELL))
    assert walk.none(ReleaseLock)
    assert (lock_state(walk), next_wakeup(walk.state)) == ("release_owed", None)


def test_who_asked_is_told_what_the_server_said() -> None:
    walk = locking().answer(BUSY).feed(ApplyAsked(7, "now")).answer(ALLOW).answer(BUSY)
    answer = walk.one(Reply).answer
    assert isinstance(answer, Failure)
    assert answer.message == f"fleet_lock: no slot is free at {ACCOUNT.base_url}: {BUSY.reason}"


# --------------------------------------------------------------------------- people are told first


def test_people_are_told_once_where_nothing_else_holds_and_the_lock_is_asked_for_after_their_grace() -> None:
    until = START + timedelta(seconds=60)
    people = Wait("sessions", "kai is logged in", until, notice=Notice("a reboot is to come", until))
    walk = greeted().wake().answer(offers("2")).answer(STAGED).wake().answer((*WAIT, people))
    assert walk.none(GiveNotice), "what may not come for days is not announced"
    walk.feed(ClockSet()).wake().answer((Allow("window"), people))
    notice = walk.one(GiveNotice)
    assert notice.notice == people.notice
    assert next_wakeup(walk.state) == at(60).boot_secs
    walk.feed(Completed(notice.id, NoticeGiven()))
    assert walk.wake().one(AskGates).noticed == {"sessions": at(0)}
    assert walk.answer((Allow("window"), Allow("sessions"))).one(AcquireLock)


# --------------------------------------------------------------------------- at the agent's start


def test_a_server_is_greeted_once_at_each_start_even_without_a_record() -> None:
    walk = Walk(policy=LOCKED)
    assert next_wakeup(walk.state) is None, "not before the host was read: a reboot may be under way"
    walk.answer(host())
    assert walk.wake().one(ReleaseLock) == ReleaseLock(2, ACCOUNT, None)
    assert walk.answer(LockReleased("423: another host has it")).effects == ()
    assert walk.state.records.obligations == Records()
    assert walk.wake().one(FindOffers)


def _live(walk: Walk, unlock: Callable[[Walk], object]) -> None:
    """One wake-up; discovery offers 2, the engine stages it, and ``unlock`` answers for the lock server."""
    walk.wake()
    if not walk.none(ReleaseLock):
        unlock(walk)
    elif not walk.none(FindOffers):
        walk.answer(offers("2"))
    if not walk.none(Stage):
        walk.answer(STAGED)


def test_a_server_that_is_down_at_the_start_holds_reboots_back_and_nothing_else() -> None:
    """Checks and staging go on for the hour, and the server is asked ever more seldom."""
    walk = steady(LOCKED)
    asked: list[float] = []
    staged_at: list[float] = []

    def down(walk: Walk) -> None:
        asked.append(walk.secs)
        walk.fail(UNREACHABLE)

    while walk.secs < 3600:
        _live(walk, down)
        assert isinstance(walk.state.phase, Steady | Staged)
        staged_at += [walk.secs] if isinstance(walk.state.phase, Staged) else []
    assert staged_at[0] == 0.0
    gaps = [later - earlier for earlier, later in pairwise(asked)]
    assert gaps[:6] == sorted(gaps[:6])
    assert gaps[0] == pytest.approx(5.25, abs=0.25)
    assert RETRY_MAX_SECS <= max(gaps) <= RETRY_MAX_SECS * 1.1
    while step_of(walk.state.phase) is not PlanStep.ASK_GATES:
        _live(walk, lambda walk: walk.answer(LockReleased()))
    assert walk.answer(ALLOW).one(AcquireLock)


def test_without_a_record_a_server_that_cannot_be_greeted_is_said_in_the_gates_own_words() -> None:
    walk = steady(LOCKED).wake().fail(UNREACHABLE)
    held = owed(walk.state)
    assert held is not None
    assert held.gate == FLEET_LOCK
    assert held.reason.startswith(f"the lock server {ACCOUNT.base_url} was not reached since the agent's start: ")


def test_an_unlock_that_fails_is_announced_once_and_its_success_as_well() -> None:
    walk = Walk(Records(lock=lock_record(LockState.RELEASE_OWED))).answer(host())
    said: list[str] = []
    for _ in range(4):
        walk.wake()
        if walk.none(ReleaseLock):
            walk.answer(offers())
            continue
        walk.fail(UNREACHABLE)
        said += [effect.text for effect in walk.effects if isinstance(effect, Announce)]
    assert said == [f"a lock has not been released yet: {UNREACHABLE.message}"]
    while walk.none(ReleaseLock):
        walk.wake()
        if not walk.none(FindOffers):
            walk.answer(offers())
    assert walk.answer(LockReleased("423: no")).one(Announce).text.startswith("gave the lock back: ")


# --------------------------------------------------------------------------- forgetting it

FORGET = ForgetLockAsked(7, "the server is gone (uid 0)")


@pytest.mark.parametrize("records", [Records(lock=lock_record(LockState.RELEASE_OWED)), Records()])
def test_a_person_may_have_what_is_owed_forgotten(records: Records) -> None:
    walk = Walk(records, LOCKED).answer(host()).wake().fail(UNREACHABLE).feed(FORGET)
    answer = walk.one(Reply).answer
    assert isinstance(answer, str)
    assert answer.endswith("is forgotten")
    assert "the server is gone (uid 0)" in walk.one(Announce).text
    assert (walk.state.records.lock, owed(walk.state)) == (None, None)


@pytest.mark.parametrize("reached", [locking, relocking, rebooting])
def test_a_lock_that_is_being_used_is_not_forgotten(reached: Callable[[], Walk]) -> None:
    walk = reached()
    before = walk.state
    answer = walk.feed(FORGET).one(Reply).answer
    assert isinstance(answer, Failure)
    assert (answer.kind, walk.state) == (ErrorKind.AGENT_BUSY, before)


def test_a_lock_that_is_just_being_given_back_is_not_forgotten() -> None:
    """The answer to that request would come amid the next one for the same slot."""
    walk = Walk(Records(lock=lock_record(LockState.RELEASE_OWED)), LOCKED).answer(host()).wake()
    assert walk.one(ReleaseLock)
    before = walk.state
    answer = walk.feed(FORGET).one(Reply).answer
    assert isinstance(answer, Failure)
    assert (answer.kind, walk.state) == (ErrorKind.AGENT_BUSY, before)


def test_who_wants_it_forgotten_is_told_when_that_cannot_be_noted() -> None:
    walk = Walk(Records(lock=lock_record(LockState.RELEASE_OWED)), LOCKED).answer(host()).wake().fail(UNREACHABLE)
    walk.unsaved(FORGET)
    assert walk.effects == (Reply(7, DISK_FULL),)
    assert lock_state(walk) == "release_owed"


def test_where_nothing_is_owed_there_is_nothing_to_forget() -> None:
    answer = greeted().feed(FORGET).one(Reply).answer
    assert isinstance(answer, Failure)
    assert answer.kind is ErrorKind.AGENT_BAD_REQUEST


# --------------------------------------------------------------------------- after the boot


def verified(record_release: str = LockRelease.AFTER_HEALTH, policy: Policy = LOCKED) -> Walk:
    """The host has come up in 2, whose lock was taken in the boot before."""
    records = Records(intent(), lock_record(release=record_release))
    return Walk(records, policy).answer(host("2", entries=("2", "1")))


@pytest.mark.parametrize(
    "policy", [LOCKED, quick(), BLOCKED, ELSEWHERE_LOCKED], ids=["same", "none", "bad config", "elsewhere"]
)
def test_the_lock_is_given_back_when_the_boot_is_verified_and_not_before(policy: Policy) -> None:
    walk = verified(policy=policy)
    assert isinstance(walk.state.phase, Verifying)
    assert next_wakeup(walk.state) is None
    assert walk.answer(WELL).one(MarkGood)
    assert next_wakeup(walk.state) is None
    walk.answer(host("2", entries=("2", "1")))
    assert (lock_state(walk), walk.state.records.intent) == ("release_owed", None)
    assert walk.wake().one(ReleaseLock).account == ACCOUNT
    assert walk.answer(LockReleased()).state.records.lock is None
    if policy is BLOCKED:
        assert next_wakeup(walk.state) is None, "nothing else is ever done with a bad configuration"


def test_a_lock_for_the_boot_alone_is_given_back_while_the_boot_is_verified() -> None:
    walk = verified(LockRelease.AFTER_BOOT)
    look = walk.task
    assert walk.wake().one(ReleaseLock).account == ACCOUNT
    unlock = walk.task
    walk.feed(Completed(look.id, WELL)).feed(Completed(unlock.id, LockReleased()))
    assert (lock_state(walk), walk.state.records.intent) == (None, intent())


@pytest.mark.parametrize("word", ["maybe_held", "held", "word of a newer agent"])
def test_a_boot_that_is_not_well_keeps_the_lock(word: str) -> None:
    walk = Walk(Records(intent(), lock_record(word)), LOCKED).answer(host("2", entries=("2", "1")))
    walk.answer(unhealthy("sshd failed"))
    for _ in range(3):
        assert walk.wake().one(ReadHealth)
        walk.answer(unhealthy("sshd failed"))
    assert lock_state(walk) == word
    walk.wake().answer(WELL).answer(WELL).answer(host("2", entries=("2", "1")))
    assert walk.wake().one(ReleaseLock)


@pytest.mark.parametrize(
    ("after", "outcome"),
    [
        (host("1", entries=("2", "1")), Outcome.FELL_BACK),
        (host("1", finalize_failure="no room in /boot"), Outcome.FINALIZE_FAILED),
        (host("1"), Outcome.NOT_ATTEMPTED),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_boot_into_the_old_release_is_looked_at_before_the_lock_is_given_back(after: HostView, outcome: str) -> None:
    walk = Walk(Records(intent(), lock_record()), LOCKED).answer(after)
    assert walk.state.records.history[-1].outcome == outcome
    if outcome is Outcome.FELL_BACK:
        walk.answer(host("1", entries=("1", "2")))
    walk.wake().answer(unhealthy("boot-complete.target is activating", "boot-complete"))
    assert lock_state(walk) == "held"
    _look_again(walk).answer(unhealthy("sshd failed"))
    _look_again(walk).fail()
    _look_again(walk).answer(WELL)
    assert lock_state(walk) == "release_owed"
    assert walk.wake().one(ReleaseLock)


def _look_again(walk: Walk) -> Walk:
    """Let time pass to the next look at the boot; checks come between."""
    while walk.wake().none(ReadHealth):
        walk.answer(offers())
    return walk


@pytest.mark.parametrize("word", ["maybe_held", "held", "word of a newer agent"])
def test_a_power_cut_between_record_and_intent_is_found_by_the_record(word: str) -> None:
    walk = Walk(Records(lock=lock_record(word)), LOCKED).answer(host())
    assert walk.wake().one(ReadHealth)
    walk.answer(WELL)
    assert walk.wake().one(ReleaseLock)


@pytest.mark.parametrize("word", [*LockState, "word of a newer agent"])
def test_a_record_of_this_boot_without_an_attempt_is_given_back_without_a_look(word: str) -> None:
    """kill -9 while the server was asked, or right after it granted."""
    walk = Walk(Records(lock=lock_record(word, BOOT)), LOCKED).answer(host(staged="2"))
    assert walk.wake().one(ReleaseLock)


def test_a_word_for_the_release_that_this_agent_does_not_have_means_after_health() -> None:
    walk = verified("after-rollout")
    assert next_wakeup(walk.state) is None


# --------------------------------------------------------------------------- the agent dies and is started again

STEPS: list[tuple[Callable[[], Walk], type[object]]] = [
    (locking, ReleaseLock),
    (lambda: locking().answer(LockGranted()), Disarm),
    (relocking, Disarm),
    (lambda: relocking().answer(LockGranted()), Disarm),
    (lambda: relocking().answer(LockGranted()).answer(ALLOW), Rebooting),
    (rebooting, Rebooting),
    (lambda: relocking().answer(BUSY), Disarm),
]


def secs_until_release(walk: Walk) -> float:
    """How long it takes until the lock is given back, whatever else is to be done."""
    begun_secs = walk.secs
    while walk.wake().none(ReleaseLock):
        assert walk.secs < begun_secs + 600, "it never is"
    assert walk.one(ReleaseLock).account == ACCOUNT
    return walk.secs - begun_secs


@pytest.mark.parametrize(
    ("reached", "does"),
    STEPS,
    ids=["locking", "arming", "relocking", "confirming", "requesting", "rebooting", "disarming"],
)
def test_an_agent_that_is_started_again_in_the_same_boot_never_unlocks_amid_a_reboot(
    reached: Callable[[], Walk], does: type[object]
) -> None:
    records = reached().state.records
    staged_as = ARMED if records.intent is not None else STAGED
    walk = Walk(records, LOCKED).answer(staged_as)
    in_doubt_secs = ACCOUNT.timeout_secs + REQUEST_MARGIN_SECS if reached in (locking, relocking) else 0.0
    if does is ReleaseLock:
        assert secs_until_release(walk) == in_doubt_secs
        return
    assert walk.none(ReleaseLock)
    if does is Rebooting:
        assert isinstance(walk.state.phase, Rebooting)
        walk.wake()
    assert walk.one(Disarm)
    assert walk.feed(ClockSet()).none(ReleaseLock)
    begun_secs = walk.secs
    walk.feed(Completed(_disarm_task(walk), STAGED))
    assert secs_until_release(walk) == max(0.0, in_doubt_secs - begun_secs)


def _disarm_task(walk: Walk) -> int:
    assert isinstance(walk.state.phase, Undoing)
    (part,) = walk.state.phase.parts
    assert part.task is not None
    return part.task


def test_an_unlock_that_was_under_way_is_done_again_after_a_restart() -> None:
    records = Records(lock=lock_record(LockState.RELEASE_OWED))
    walk = Walk(records).answer(host()).wake()
    assert Walk(walk.state.records).answer(host()).wake().one(ReleaseLock) == ReleaseLock(2, ACCOUNT, None)


# --------------------------------------------------------------------------- records that cannot be saved


def test_no_lock_is_asked_for_without_a_record() -> None:
    walk = greeted().wake().answer(offers("2")).answer(STAGED).wake().answer_unsaved(ALLOW)
    assert walk.none(AcquireLock)
    assert walk.state.records.lock is None
    assert staged_wait(walk, "gates").reason == DISK_FULL.message


def test_a_grant_that_cannot_be_noted_leaves_the_lock_owed() -> None:
    walk = locking().answer_unsaved(LockGranted())
    assert walk.none(Arm)
    assert (lock_state(walk), walk.state.records.intent) == ("maybe_held", None)
    assert walk.wake().one(ReleaseLock)


@pytest.mark.parametrize("known_by_disk", [True, False])
def test_a_lock_is_given_back_while_the_disk_is_full(known_by_disk: bool) -> None:
    """From between grant and arming on: the slot must not be held for as long as nobody frees some space."""
    walk = locking().answer(LockGranted())
    assert walk.one(Arm)
    walk.answer_unsaved(STAGED)  # the step after arming cannot be put on record: the attempt is undone
    assert walk.one(Disarm)
    walk.answer_unsaved(STAGED)
    assert (walk.state.records.intent, walk.state.records.attempt) == (None, None)
    assert walk.wake().one(ReleaseLock)
    walk.answer(LockReleased()) if known_by_disk else walk.answer_unsaved(LockReleased())
    assert lock_state(walk) is None
    assert walk.state.trouble is not None
    assert walk.state.trouble.failure == DISK_FULL


def test_a_lock_is_given_back_after_the_boot_while_the_disk_is_full() -> None:
    walk = Walk(Records(lock=lock_record())).answer(host()).wake().answer_unsaved(WELL)
    assert lock_state(walk) == "release_owed"
    assert walk.wake().one(ReleaseLock)
    assert lock_state(walk.answer_unsaved(LockReleased())) is None


def test_an_agent_that_ends_while_the_disk_is_full_gives_the_lock_back_once_more() -> None:
    """The disk has the records of before; to a server, the second unlock changes nothing."""
    on_disk = locking().answer(LockGranted()).state.records
    again = Walk(on_disk, LOCKED).answer(STAGED)
    assert again.one(Disarm)
    assert again.answer(STAGED).wake().one(ReleaseLock)


def test_a_refusal_that_cannot_be_noted_counts() -> None:
    assert lock_state(locking().answer_unsaved(BUSY)) is None
    walk = locking()
    assert lock_state(walk.unsaved(Errored(walk.task.id, UNREACHABLE))) is None


def test_an_answer_that_did_not_come_is_waited_for_though_that_cannot_be_noted() -> None:
    walk = locking()
    walk.unsaved(Errored(walk.task.id, UNCERTAIN))
    assert lock_state(walk) == "release_owed"
    assert walk.wake().one(ReleaseLock)
    assert walk.secs == pytest.approx(ACCOUNT.timeout_secs, abs=0.5)


def test_a_request_for_the_reboot_that_cannot_be_noted_keeps_the_lock_until_it_is_disarmed() -> None:
    walk = relocking().answer(LockGranted()).answer_unsaved(ALLOW)
    assert walk.one(Disarm)
    assert lock_state(walk) == "held"
    assert walk.answer(STAGED).wake().one(ReleaseLock)


def test_who_asked_is_told_when_the_record_cannot_be_written() -> None:
    walk = locking().answer(BUSY).feed(ApplyAsked(7, "now")).answer_unsaved(ALLOW)
    answer = walk.one(Reply).answer
    assert isinstance(answer, Failure)
    assert DISK_FULL.message in answer.message


# --------------------------------------------------------------------------- what does not belong


@pytest.mark.parametrize("reached", [locking, relocking])
def test_an_answer_of_another_kind_to_the_lock_is_a_defect_that_shows(reached: Callable[[], Walk]) -> None:
    with pytest.raises(TypeError, match="was answered with RebootAccepted"):
        reached().answer(RebootAccepted())
    with pytest.raises(TypeError, match="release of the lock was answered with LockGranted"):
        steady(LOCKED).wake().answer(LockGranted())


def test_stale_answers_of_the_lock_server_are_dropped() -> None:
    walk = relocking().answer(LockGranted())
    before = walk.state
    for stale in (Completed(99, LockGranted()), Completed(99, BUSY), Errored(99, UNCERTAIN)):
        assert (walk.feed(stale).state, walk.effects) == (before, ())


def test_a_refusal_of_logind_gives_the_lock_back_and_a_silence_keeps_it_for_a_minute() -> None:
    silent = relocking().answer(LockGranted()).answer(ALLOW).fail()
    assert isinstance(silent.state.phase, Rebooting)
    assert lock_state(silent) == "held"
    assert silent.wake().answer(STAGED).wake().one(ReleaseLock)


def test_requesting_knows_the_lock_as_held_on_disk() -> None:
    walk = relocking().answer(LockGranted()).answer(ALLOW)
    assert step_of(walk.state.phase) is PlanStep.REQUEST_REBOOT
    record = walk.state.records.lock
    assert record == replace(lock_record(LockState.HELD, BOOT), since=START)
