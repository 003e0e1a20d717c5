"""The plan of every order for every kind of engine, literally, and what holds for all of them."""

from __future__ import annotations

from itertools import product

import pytest

from tidegate.engines.base import EngineTraits, RebootOwner
from tidegate.machine.phases import gating, locking, switching, working
from tidegate.machine.phases.executing import rule_of
from tidegate.machine.plan import ORDERS, UNDO, Order, PlanStep, Undo, arming_step, plan_for, rollback_plan, undos_of

PLAIN = EngineTraits()
STAGING_ARMS = EngineTraits(stages_locked=False)
ARMED_FOR_GOOD = EngineTraits(can_disarm=False)
ENGINE_REBOOTS = EngineTraits(can_disarm=False, reboots=RebootOwner.ENGINE)
STAGES_AND_REBOOTS = EngineTraits(stages_locked=False, can_disarm=False, reboots=RebootOwner.ENGINE)
EVERY_KIND = tuple(
    EngineTraits(stages_locked=locked, can_disarm=disarms, reboots=owner)
    for locked, disarms, owner in product((True, False), (True, False), RebootOwner)
)
FIRST_LETTERS = {
    "G": PlanStep.ASK_GATES,
    "L": PlanStep.TAKE_LOCK,
    "S": PlanStep.STAGE,
    "P": PlanStep.PRUNE,
    "H": PlanStep.HAND_OVER,
    "W": PlanStep.STOP_WORKLOAD,
    "I": PlanStep.WRITE_INTENT,
    "A": PlanStep.ARM,
    "l": PlanStep.CONFIRM_LOCK,
    "g": PlanStep.RECHECK_GATES,
    "o": PlanStep.RECHECK_AFTER_STOP,
    "R": PlanStep.REQUEST_REBOOT,
}


def plan(letters: str) -> tuple[PlanStep, ...]:
    """The plan that ``letters`` stand for: capitals act, small ones ask again."""
    return tuple(FIRST_LETTERS[letter] for letter in letters)


@pytest.mark.parametrize(
    ("order", "traits", "letters"),
    [
        (Order.DOWNLOAD_THEN_KILL, PLAIN, "SGLIAlgWoR"),
        (Order.DOWNLOAD_THEN_KILL, STAGING_ARMS, "GLISlgWoR"),
        (Order.DOWNLOAD_THEN_KILL, ARMED_FOR_GOOD, "SGLlgIAlgWoR"),
        (Order.DOWNLOAD_THEN_KILL, ENGINE_REBOOTS, "SGLlgWoIA"),
        (Order.DOWNLOAD_THEN_KILL, STAGES_AND_REBOOTS, "GLlgWoIS"),
        (Order.KILL_THEN_DOWNLOAD, PLAIN, "GLWSIAlgR"),
        (Order.KILL_THEN_DOWNLOAD, STAGING_ARMS, "GLWISlgR"),
        (Order.KILL_THEN_DOWNLOAD, ENGINE_REBOOTS, "GLWSlgIA"),
        (Order.KILL_THEN_DOWNLOAD, STAGES_AND_REBOOTS, "GLWlgIS"),
        (Order.DELETE_THEN_DOWNLOAD, PLAIN, "GLWPSIAlgR"),
        (Order.DELETE_THEN_DOWNLOAD, STAGING_ARMS, "GLWPISlgR"),
        (Order.DELETE_THEN_DOWNLOAD, ENGINE_REBOOTS, "GLWPSlgIA"),
        (Order.HAND_OVER, PLAIN, "SGLHIAlgWoR"),
        (Order.HAND_OVER, STAGING_ARMS, "GLHISlgWoR"),
        (Order.HAND_OVER, ENGINE_REBOOTS, "SGLHlgWoIA"),
    ],
)
def test_the_plan_of_an_order(order: Order, traits: EngineTraits, letters: str) -> None:
    assert plan_for(order, traits, locking=True, workload=True) == plan(letters)


@pytest.mark.parametrize(
    ("traits", "letters"), [(PLAIN, "GLlgWIAgR"), (STAGING_ARMS, "GLlgWIAgR"), (ENGINE_REBOOTS, "GLlgWoIA")]
)
def test_the_way_back_fetches_nothing(traits: EngineTraits, letters: str) -> None:
    assert rollback_plan(traits, locking=True, workload=True) == plan(letters)


def test_without_a_lock_and_a_workload_their_steps_are_left_out() -> None:
    assert plan_for(Order.HAND_OVER, PLAIN, locking=False, workload=False) == plan("SGIAgR")


@pytest.mark.parametrize("traits", EVERY_KIND, ids=str)
@pytest.mark.parametrize("order", Order)
def test_what_holds_for_every_plan(order: Order, traits: EngineTraits) -> None:
    steps = plan_for(order, traits, locking=True, workload=True)
    at = {step: steps.index(step) for step in steps}
    arm = at[arming_step(steps)]
    assert at[PlanStep.ASK_GATES] < at[PlanStep.TAKE_LOCK] < at[PlanStep.WRITE_INTENT], "asked and locked first"
    assert at[PlanStep.WRITE_INTENT] == arm - 1, "nothing comes between the intent and what it is about"
    assert at[PlanStep.STOP_WORKLOAD] > at[PlanStep.TAKE_LOCK], "no outage without the lock"
    assert at[PlanStep.RECHECK_GATES] > at[PlanStep.TAKE_LOCK]
    engine_reboots = traits.reboots is RebootOwner.ENGINE
    assert (PlanStep.REQUEST_REBOOT in steps) is not engine_reboots
    assert steps[-1] is (arming_step(steps) if engine_reboots else PlanStep.REQUEST_REBOOT)
    if not traits.can_disarm:
        assert PlanStep.RECHECK_GATES in steps[:arm], "a no is heard while it still counts"
    if traits.can_disarm and not engine_reboots:
        assert PlanStep.RECHECK_GATES in steps[arm:], "the last look is right before the reboot"
        assert len(set(steps)) == len(steps)


@pytest.mark.parametrize("step", PlanStep)
def test_every_step_has_an_undo_or_says_that_it_needs_none_and_one_rule(step: PlanStep) -> None:
    assert step in UNDO
    tables = (gating.RULES, locking.RULES, switching.RULES, working.RULES)
    assert [step in table for table in tables].count(True) == 1
    assert rule_of(step).sentence.format("42")


def test_every_undo_takes_something_back() -> None:
    assert {undo for undo in UNDO.values() if undo is not None} == set(Undo)


def test_every_step_of_every_order_is_in_the_table() -> None:
    assert {step for steps in ORDERS.values() for step in steps} == set(PlanStep)


def test_the_undos_of_an_attempt_are_each_named_once_and_a_newer_agents_steps_are_left_to_it() -> None:
    begun = ("take_lock", "stop_workload", "a_step_of_tomorrow", "write_intent", "arm")
    assert undos_of(begun) == (Undo.RELEASE_LOCK, Undo.START_WORKLOAD, Undo.DISARM)
