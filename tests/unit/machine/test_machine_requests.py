"""What people ask for: one answer each, in every phase, and none that says nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes.builders import (
    ALLOW,
    BAD_CONFIG,
    BROKEN,
    DISK_FULL,
    WAIT,
    Walk,
    arming,
    at,
    confirming,
    deciding,
    disarming,
    host,
    offers,
    quick,
    release,
    requesting,
    staged,
    staging,
    steady,
    unhealthy,
    verifying,
)
from tidegate.discovery.base import Deferred
from tidegate.errors import ErrorKind, Failure
from tidegate.machine.effects import Announce, Arm, AskGates, FindOffers, Reboot, Reply, Stage
from tidegate.machine.events import (
    ApplyAsked,
    CheckAsked,
    Completed,
    Errored,
    Event,
    PolicyChanged,
    ShutdownSignal,
    StageAsked,
)
from tidegate.machine.mandate import AUTOMATIC
from tidegate.machine.parts import HOST_GOING_DOWN
from tidegate.machine.phases.staging import Staging
from tidegate.machine.phases.steady import Steady
from tidegate.machine.phases.waiting import Staged
from tidegate.machine.state import Policy
from tidegate.machine.state_gates import agent_waits
from tidegate.machine.step import next_wakeup
from tidegate.machine.topics import Topic
from tidegate.release import Purpose
from tidegate.system.reboot import RebootAccepted, RebootRefused

DISABLED = quick(Policy(enabled=False))
CLOSED = Failure(ErrorKind.REBOOT_REFUSED, "window: the window is closed", "wait")


def paused() -> Walk:
    return verifying().answer(unhealthy("sshd failed"))


def rebooting() -> Walk:
    return requesting().answer(RebootAccepted())


def starting() -> Walk:
    return Walk()


def manual() -> Walk:
    """A person's apply, on a host that does nothing by itself, with the gates being asked."""
    walk = Walk(policy=DISABLED).answer(host()).feed(StageAsked(1)).wake().answer(offers("2")).answer(host(staged="2"))
    assert walk.one(Reply) == Reply(1, "2 is staged")
    return walk.feed(ApplyAsked(7, "security fix (uid 0)"))


# --------------------------------------------------------------------------- check and stage


def test_a_check_is_made_at_once_and_its_answer_told() -> None:
    walk = steady(DISABLED).feed(CheckAsked(1))
    assert walk.effects == ()
    assert walk.wake().one(FindOffers)
    assert walk.secs == 0.0
    found = walk.answer(offers("2"))
    assert found.effects == (Reply(1, "2 is available"),)
    assert found.state.phase == Steady(wanted=release("2", 2))


def test_everybody_who_asked_is_told_what_the_check_found() -> None:
    walk = steady(DISABLED).feed(CheckAsked(1)).feed(StageAsked(2)).wake().feed(CheckAsked(3))
    walk.feed(Completed(2, offers()))
    assert walk.effects == tuple(Reply(number, "no newer release is offered") for number in (1, 2, 3))


def test_a_check_tells_of_a_release_whose_rollout_has_not_come_to_this_host() -> None:
    walk = steady(DISABLED).feed(CheckAsked(1)).wake()
    turn_at = at(walk.secs).wall + timedelta(hours=3, minutes=9, seconds=30)
    held = Deferred(release("2", 2), "is offered to 34 % of hosts now", turn_at)
    walk.answer(replace(offers(), deferred=(held,)))
    told = "no newer release is offered; 2 is offered to 34 % of hosts now, this host's turn is in 3 h 10 min"
    assert walk.effects == (Reply(1, told),)
    assert walk.state.deferred == (held,)


def test_a_check_that_fails_tells_why() -> None:
    walk = steady(DISABLED).feed(CheckAsked(1)).wake().fail()
    assert walk.one(Reply) == Reply(1, BROKEN)


def test_a_person_may_have_a_release_staged_although_updates_are_disabled() -> None:
    walk = steady(DISABLED).feed(StageAsked(1)).feed(CheckAsked(2)).wake().answer(offers("2"))
    assert walk.effects == (Reply(2, "2 is available"), Stage(3, release("2", 2)))
    walk.answer(host(staged="2"))
    assert walk.one(Reply) == Reply(1, "2 is staged")
    assert isinstance(walk.state.phase, Staged)
    assert [wait.gate for wait in agent_waits(walk.state, release("2", 2), AUTOMATIC)] == ["updates"]
    assert next_wakeup(walk.state) is None


def test_a_staging_that_fails_tells_why() -> None:
    walk = steady().feed(StageAsked(1)).wake().answer(offers("2")).fail()
    assert walk.one(Reply) == Reply(1, BROKEN)


def test_a_staging_asked_for_while_one_is_under_way_is_answered_by_its_end_and_a_check_at_once() -> None:
    walk = staging()
    task = walk.task.id
    walk.feed(CheckAsked(1))
    assert walk.effects == (Reply(1, "2 is being staged"),)
    walk.feed(StageAsked(2)).feed(Completed(task, host(staged="2")))
    assert walk.effects[:1] == (Reply(2, "2 is staged"),)


def test_staging_what_is_staged_already_says_so() -> None:
    walk = staged().wake().answer(WAIT).feed(StageAsked(1)).wake().answer(offers("2"))
    assert walk.effects == (Reply(1, "2 is staged already"),)


def test_a_check_with_a_release_staged_says_that_nothing_is_newer() -> None:
    walk = staged().wake().answer(WAIT).feed(CheckAsked(1)).wake().answer(offers("2"))
    assert walk.effects == (Reply(1, "2 is staged, and nothing newer is offered"),)


def test_a_staged_release_that_is_not_on_offer_any_more_waits_until_it_is_again() -> None:
    walk = staged().wake().answer(WAIT).feed(CheckAsked(1)).wake().answer(offers())
    assert walk.one(Announce).topic is Topic.WITHDRAWN
    assert walk.one(Reply).answer == "no newer release is offered"
    assert walk.state.phase == Steady()
    assert isinstance(walk.wake().answer(offers("2")).state.phase, Staging)


def test_a_graph_that_has_lost_the_booted_release_withdraws_nothing() -> None:
    walk = staged().wake().answer(WAIT).feed(CheckAsked(1)).wake().answer(offers(booted=None))
    assert isinstance(walk.state.phase, Staged)


@pytest.mark.parametrize(
    "phase", [starting, verifying, paused, deciding, arming, confirming, requesting, rebooting, disarming]
)
@pytest.mark.parametrize("request_event", [CheckAsked(1), StageAsked(1)], ids=["check", "stage"])
def test_a_busy_agent_says_so(phase: Callable[[], Walk], request_event: Event) -> None:
    walk = phase()
    before = walk.state
    walk.feed(request_event)
    answer = walk.one(Reply).answer
    assert isinstance(answer, Failure)
    assert (answer.kind, walk.state) == (ErrorKind.AGENT_BUSY, before)


@pytest.mark.parametrize("request_event", [CheckAsked(1), StageAsked(1), ApplyAsked(1, "x")])
@pytest.mark.parametrize("phase", [steady, staged])
def test_a_blocked_agent_says_what_blocks_it(phase: Callable[[], Walk], request_event: Event) -> None:
    walk = phase().feed(PolicyChanged(quick(Policy(blocked=BAD_CONFIG)))).feed(request_event)
    if phase is staged or not isinstance(request_event, ApplyAsked):
        assert walk.effects == (Reply(1, BAD_CONFIG),)
    else:
        assert walk.one(Reply)


@pytest.mark.parametrize("request_event", [CheckAsked(1), StageAsked(1), ApplyAsked(1, "x")])
def test_a_host_that_goes_down_takes_no_requests(request_event: Event) -> None:
    walk = staged().feed(ShutdownSignal(active=True)).feed(request_event)
    assert walk.effects == (Reply(1, HOST_GOING_DOWN),)


def test_nobody_waits_for_a_host_that_goes_down() -> None:
    walk = steady(DISABLED).feed(CheckAsked(1)).feed(StageAsked(2)).feed(ShutdownSignal(active=True))
    assert walk.effects == (Reply(1, HOST_GOING_DOWN), Reply(2, HOST_GOING_DOWN))
    assert walk.feed(ShutdownSignal(active=False)).effects == ()


def test_nobody_waits_for_an_agent_that_has_been_blocked() -> None:
    walk = steady(DISABLED).feed(CheckAsked(1)).feed(PolicyChanged(quick(Policy(blocked=BAD_CONFIG))))
    assert walk.effects == (Reply(1, BAD_CONFIG),)


# --------------------------------------------------------------------------- apply


@pytest.mark.parametrize("phase", [starting, steady, staging, verifying, paused])
def test_without_a_staged_release_there_is_nothing_to_apply(phase: Callable[[], Walk]) -> None:
    answer = phase().feed(ApplyAsked(1, "now")).one(Reply).answer
    assert isinstance(answer, Failure)
    assert (answer.kind, answer.remedy) == (ErrorKind.AGENT_NOTHING_TO_APPLY, "stage one first: tidegate stage")


@pytest.mark.parametrize("phase", [deciding, arming, confirming, requesting, rebooting, disarming])
def test_an_agent_that_is_at_it_already_does_not_claim_that_nothing_is_staged(phase: Callable[[], Walk]) -> None:
    walk = phase()
    before = walk.state
    answer = walk.feed(ApplyAsked(1, "now")).one(Reply).answer
    assert isinstance(answer, Failure)
    assert (answer.kind, walk.state) == (ErrorKind.AGENT_BUSY, before)


def test_a_persons_apply_asks_the_gates_that_guard_manual_reboots_and_keeps_the_reason() -> None:
    walk = manual()
    assert walk.one(AskGates).purpose is Purpose.MANUAL
    walk.answer(ALLOW)
    assert walk.one(Arm)
    assert walk.state.records.intent is not None
    assert (walk.state.records.intent.purpose, walk.state.records.intent.reason) == ("manual", "security fix (uid 0)")


@pytest.mark.parametrize("depth", [0, 2], ids=["gates", "last look"])
def test_not_even_a_person_gets_past_settings_that_block(depth: int) -> None:
    walk = _reach(depth)
    task = walk.task.id
    walk.feed(PolicyChanged(quick(Policy(blocked=BAD_CONFIG)))).feed(Completed(task, ALLOW))
    assert walk.none(Arm)
    assert walk.none(Reboot)
    assert walk.one(Reply) == Reply(
        7, Failure(ErrorKind.REBOOT_REFUSED, f"config: {BAD_CONFIG.message}", BAD_CONFIG.remedy)
    )


def test_an_apply_that_a_gate_refuses_says_which_and_why() -> None:
    assert manual().answer(WAIT).one(Reply) == Reply(7, CLOSED)


def test_an_apply_that_a_gate_refuses_at_the_last_look_says_so() -> None:
    walk = manual().answer(ALLOW).answer(host(staged="2", locked=False)).answer(WAIT)
    assert walk.one(Reply) == Reply(7, CLOSED)


def test_an_apply_is_answered_when_logind_has_accepted() -> None:
    walk = manual().answer(ALLOW).answer(host(staged="2", locked=False)).answer(ALLOW)
    assert walk.none(Reply)
    assert walk.answer(RebootAccepted()).one(Reply) == Reply(7, "rebooting into 2")


def _reach(depth: int) -> Walk:
    """A person's apply after ``depth`` answers."""
    walk = manual()
    for answer in (ALLOW, host(staged="2", locked=False), ALLOW)[:depth]:
        walk.answer(answer)
    return walk


@pytest.mark.parametrize("depth", range(4), ids=["gates", "arm", "last look", "logind"])
def test_an_apply_is_answered_wherever_it_breaks(depth: int) -> None:
    assert _reach(depth).fail().one(Reply)


@pytest.mark.parametrize("depth", [0, 2], ids=["intent", "request"])
def test_an_apply_that_cannot_be_recorded_says_so(depth: int) -> None:
    answer = _reach(depth).answer_unsaved(ALLOW).one(Reply).answer
    assert isinstance(answer, Failure)
    assert DISK_FULL.message in answer.message


def test_an_apply_that_logind_refuses_says_so() -> None:
    answer = _reach(3).answer(RebootRefused("a backup is running", "wait for it")).one(Reply).answer
    assert answer == Failure(ErrorKind.REBOOT_REFUSED, "logind: a backup is running", "wait for it")


@pytest.mark.parametrize(
    ("depth", "result"),
    [(0, ALLOW), (0, ()), (1, host(staged="2", locked=False)), (2, ALLOW), (3, RebootRefused("in progress"))],
)
def test_an_apply_that_a_shutdown_overtakes_is_answered_with_words(depth: int, result: object) -> None:
    walk = _reach(depth)
    task = walk.task.id
    walk.feed(ShutdownSignal(active=True)).feed(Completed(task, result))  # type: ignore[arg-type]  # one of each kind
    answer = walk.one(Reply).answer
    assert answer if isinstance(answer, str) else answer.message


@pytest.mark.parametrize("depth", range(4))
def test_no_request_is_answered_twice(depth: int) -> None:
    walk = _reach(depth)
    task = walk.task.id
    walk.fail()
    assert walk.feed(Errored(task, BROKEN)).none(Reply)


def test_an_apply_amid_a_check_is_not_disturbed_by_its_answer() -> None:
    """Offers that arrive while the release is being armed once pulled the machine into staging, armed."""
    walk = staged().wake().answer(WAIT).feed(CheckAsked(1)).wake()
    check = walk.task.id
    walk.feed(ApplyAsked(7, "now")).answer(ALLOW)
    assert walk.one(Arm)
    armed = walk.state.phase
    walk.feed(Completed(check, offers("2", "3")))
    assert (walk.state.phase, walk.effects) == (armed, (Reply(1, "3 is available"),))
