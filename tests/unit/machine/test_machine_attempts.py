"""Attempts with engines and workloads that fail, lie and cannot take back, over the orders that are not the default."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fakes.builders import (
    ALLOW,
    BOOT,
    BROKEN,
    EARLIER_BOOT,
    LOCKED,
    WAIT,
    Walk,
    arming,
    at,
    deciding,
    disarming,
    host,
    intent,
    locking,
    offers,
    plain,
    quick,
    release,
    steady,
    step_of,
)
from tests.fakes.clock import START
from tests.fakes.engine import payload_of
from tidegate.discovery.base import Offers
from tidegate.engines.base import EngineTraits, RebootOwner
from tidegate.fleetlock.account import LockGranted, LockReleased
from tidegate.machine.effects import (
    AcquireLock,
    Announce,
    Arm,
    AskGates,
    Disarm,
    EndHandOver,
    HandOver,
    Prune,
    ReadHost,
    Reboot,
    Stage,
    StartWorkload,
    StopWorkload,
)
from tidegate.machine.events import Completed, WorkloadDone
from tidegate.machine.phases.rebooting import Rebooting
from tidegate.machine.phases.steady import Steady
from tidegate.machine.phases.undoing import UNDO_RETRY_SECS, Undoing
from tidegate.machine.phases.waiting import Available, Staged
from tidegate.machine.plan import Order, PlanStep
from tidegate.machine.state import Policy
from tidegate.machine.state_gates import MAX_ATTEMPTS
from tidegate.machine.topics import Topic
from tidegate.records.model import AttemptRecord, Outcome, Records, RollbackDue
from tidegate.system.boot import BootInstance

WORKING = quick(Policy(workload=True))
STAGING_ARMS = EngineTraits(stages_locked=False)
ARMED_FOR_GOOD = EngineTraits(can_disarm=False)
ENGINE_REBOOTS = EngineTraits(can_disarm=False, reboots=RebootOwner.ENGINE)


def ordered(order: Order) -> Policy:
    return replace(WORKING, order=order)


# --------------------------------------------------------------------------- what discovery does not name


def test_a_source_that_names_only_the_newest_withdraws_nothing() -> None:
    walk = deciding().answer(WAIT)
    walk.state = replace(walk.state, poll=replace(walk.state.poll, due=at(0).boot_secs))
    walk.wake().answer(Offers((release("3", 3),), release("1", 1), None, complete=False)).answer(host(staged="3"))
    assert all(effect.topic is not Topic.WITHDRAWN for effect in walk.effects if isinstance(effect, Announce))


@pytest.mark.parametrize(("complete", "withdrawn"), [(True, True), (False, False)])
def test_only_a_complete_answer_says_that_the_staged_release_was_withdrawn(complete: bool, withdrawn: bool) -> None:
    walk = deciding().answer(WAIT)
    walk.state = replace(walk.state, poll=replace(walk.state.poll, due=at(0).boot_secs))
    walk.wake().answer(Offers((), release("1", 1), None, complete=complete))
    topics = [effect.topic for effect in walk.effects if isinstance(effect, Announce)]
    assert (Topic.WITHDRAWN in topics) is withdrawn


# --------------------------------------------------------------------------- an engine that cannot, or says so only


def test_an_engine_that_cannot_arm_is_tried_three_times_with_a_pause_and_then_the_lock_is_left_alone() -> None:
    walk = locking()
    for number in range(1, MAX_ATTEMPTS + 1):
        walk.answer(LockGranted()).fail()
        walk.answer(host(staged="2")).wake().answer(LockReleased())
        assert [closed.outcome for closed in walk.state.records.history] == [Outcome.NOT_ATTEMPTED] * number
        phase = walk.state.phase
        assert isinstance(phase, Staged)
        if number == MAX_ATTEMPTS:
            assert phase.evaluate_at is None, "only a person or a newer release starts another"
            return
        since = walk.secs
        walk.state = replace(walk.state, poll=replace(walk.state.poll, due=at(1e9).boot_secs))
        walk.wake()
        assert walk.secs > since, "a failed attempt puts the next one off"
        walk.answer(ALLOW)


def test_an_engine_that_reports_success_and_did_not_arm_has_failed() -> None:
    walk = arming().answer(host(staged="2"))
    assert walk.one(Disarm)
    assert walk.state.trouble is not None
    assert "the next boot does not lead to 2" in walk.state.trouble.failure.message


def test_an_engine_that_reports_success_and_did_not_disarm_is_asked_again_with_the_intent_on_disk() -> None:
    walk = disarming().answer(host(staged="2", locked=False))
    assert isinstance(walk.state.phase, Undoing)
    assert walk.state.records.intent is not None
    walk.wake()
    assert walk.secs == UNDO_RETRY_SECS
    assert walk.one(Disarm)
    walk.answer(host(staged="2"))
    assert walk.state.records.intent is None
    assert isinstance(walk.state.phase, Staged)


def test_a_rollback_that_the_engine_led_elsewhere_is_taken_back() -> None:
    due = RollbackDue(plain("2"), plain("1"), "2 is bad", START)
    three = host("2", entries=("2", "3", "1"))
    walk = Walk(Records(rollback=due)).answer(three).wake().answer(ALLOW)
    walk.answer(replace(three, engine=replace(three.engine, entries=(three.engine.entries[1], *three.engine.entries))))
    assert walk.one(Disarm).target.payload == payload_of("3")
    assert walk.state.records.intent is not None


def test_what_was_armed_for_good_keeps_its_intent_and_is_not_disarmed() -> None:
    armed = host(entries=("2", "1"), traits=ARMED_FOR_GOOD)
    walk = Walk().answer(host(traits=ARMED_FOR_GOOD)).wake().answer(offers("2"))
    walk.answer(host(staged="2", traits=ARMED_FOR_GOOD)).wake().answer(ALLOW).answer(ALLOW)
    walk.answer(armed).answer(WAIT)
    assert walk.one(ReadHost), "whether it is armed is looked at, since it cannot be changed"
    walk.answer(armed)
    assert walk.state.records.intent is not None
    assert walk.state.records.intent.requested is None
    assert isinstance(walk.state.phase, Staged | Available)


def test_where_the_engine_reboots_the_intent_says_so_before_it_is_asked_to() -> None:
    walk = Walk().answer(host(traits=ENGINE_REBOOTS)).wake().answer(offers("2"))
    walk.answer(host(staged="2", traits=ENGINE_REBOOTS)).wake().answer(ALLOW).answer(ALLOW)
    assert walk.one(Arm)
    assert walk.state.records.intent is not None
    assert walk.state.records.intent.requested is not None
    walk.answer(host(entries=("2", "1"), traits=ENGINE_REBOOTS))
    assert isinstance(walk.state.phase, Rebooting)


def test_where_staging_arms_gates_lock_and_intent_come_before_it() -> None:
    walk = Walk(policy=LOCKED).answer(host(traits=STAGING_ARMS)).wake().answer(LockReleased()).wake()
    walk.answer(offers("2"))
    assert isinstance(walk.state.phase, Available)
    assert walk.wake().one(AskGates)
    assert walk.answer(ALLOW).one(AcquireLock)
    assert walk.answer(LockGranted()).one(Stage)
    assert walk.state.records.intent is not None
    assert walk.state.phase.word == "finalizing", "to people it is the way to a reboot"


# --------------------------------------------------------------------------- the workload


def test_the_workload_stops_last_and_its_stop_is_on_record_before_it_is_asked_for() -> None:
    walk = deciding_with(WORKING).answer(ALLOW).answer(host(staged="2", locked=False)).answer(ALLOW)
    assert walk.one(StopWorkload)
    assert walk.state.records.attempt is not None
    assert PlanStep.STOP_WORKLOAD in walk.state.records.attempt.begun
    assert walk.answer(WorkloadDone()).one(AskGates)
    assert walk.answer(ALLOW).one(Reboot)


def test_a_no_after_the_workload_stopped_starts_it_again_whatever_the_engine_does() -> None:
    walk = deciding_with(WORKING).answer(ALLOW).answer(host(staged="2", locked=False)).answer(ALLOW)
    walk.answer(WorkloadDone()).answer(WAIT)
    start, disarm = walk.one(StartWorkload), walk.one(Disarm)
    walk.feed(Completed(start.id, WorkloadDone()))
    assert walk.state.records.attempt is not None
    assert PlanStep.STOP_WORKLOAD not in walk.state.records.attempt.begun
    assert walk.state.records.intent is not None, "still armed"
    walk.feed(Completed(disarm.id, host(staged="2")))
    assert walk.state.records.obligations == Records()


def test_a_workload_that_will_not_stop_counts_as_an_attempt() -> None:
    walk = deciding_with(WORKING).answer(ALLOW).answer(host(staged="2", locked=False)).answer(ALLOW).fail()
    walk.answer_of(StartWorkload, WorkloadDone()).feed(Completed(walk_disarm(walk), host(staged="2")))
    (closed,) = walk.state.records.history
    assert closed.outcome == Outcome.NOT_ATTEMPTED
    assert BROKEN.message in closed.detail


def test_kill_then_download_stops_before_it_stages_and_deletes_nothing() -> None:
    walk = deciding_with(ordered(Order.KILL_THEN_DOWNLOAD), stages_first=False).answer(ALLOW)
    assert walk.one(StopWorkload)
    assert walk.answer(WorkloadDone()).one(Stage)
    assert walk.answer(host(staged="2")).one(Arm)


def test_delete_then_download_deletes_between_the_stop_and_the_download() -> None:
    walk = deciding_with(ordered(Order.DELETE_THEN_DOWNLOAD), stages_first=False).answer(ALLOW)
    assert walk.answer(WorkloadDone()).one(Prune)
    assert walk.answer(host()).one(Stage)


def test_a_download_that_fails_after_the_workload_stopped_starts_it_again() -> None:
    walk = deciding_with(ordered(Order.KILL_THEN_DOWNLOAD), stages_first=False).answer(ALLOW)
    walk.answer(WorkloadDone()).fail()
    assert walk.one(StartWorkload)
    assert walk.none(Disarm), "nothing was armed"
    walk.answer(WorkloadDone())
    assert isinstance(walk.state.phase, Available | Steady)
    assert [closed.outcome for closed in walk.state.records.history] == [Outcome.NOT_ATTEMPTED]


def test_hand_over_hands_over_with_the_lock_and_before_arming() -> None:
    walk = deciding_with(ordered(Order.HAND_OVER)).answer(ALLOW)
    assert walk.one(HandOver)
    assert walk.answer(WorkloadDone()).one(Arm)
    walk.fail()
    assert walk.one(EndHandOver)
    assert walk.one(Disarm)


# --------------------------------------------------------------------------- an agent that is started again


def begun(*steps: PlanStep, boot: BootInstance = BOOT) -> Records:
    attempt = AttemptRecord(
        boot=boot,
        target=plain("2"),
        order=Order.KILL_THEN_DOWNLOAD,
        purpose="update",
        reason="automatic",
        since=START,
        begun=tuple(step.value for step in steps),
    )
    return Records(attempt=attempt)


def test_an_agent_that_is_started_again_starts_the_workload_that_it_had_stopped() -> None:
    walk = Walk(begun(PlanStep.STOP_WORKLOAD), WORKING).answer(host())
    assert walk.one(StartWorkload)
    walk.answer(WorkloadDone())
    assert walk.state.records.attempt is None


def test_a_boot_has_started_the_workload_itself() -> None:
    walk = Walk(begun(PlanStep.STOP_WORKLOAD, boot=EARLIER_BOOT), WORKING).answer(host())
    assert walk.none(StartWorkload)
    assert walk.state.records.attempt is None


def test_an_intent_of_an_agent_that_kept_no_attempts_is_undone_as_well() -> None:
    walk = Walk(Records(intent(boot=BOOT, requested=False))).answer(host(staged="2", locked=False))
    assert walk.one(Disarm)


def deciding_with(policy: Policy, *, stages_first: bool = True) -> Walk:
    """The gates are being asked under ``policy``."""
    walk = steady(policy).wake().answer(offers("2"))
    walk = walk.answer(host(staged="2")).wake() if stages_first else walk.wake()
    assert step_of(walk.state.phase) is PlanStep.ASK_GATES
    return walk


def walk_disarm(walk: Walk) -> int:
    """The task of the disarming that is under way."""
    phase = walk.state.phase
    assert isinstance(phase, Undoing)
    (task,) = [part.task for part in phase.parts if part.task is not None]
    return task
