"""From a newer release to the reboot: each arrow of the diagram in ``machine/update.py``, and each way back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes.builders import (
    ALLOW,
    BAD_CONFIG,
    BOOT,
    BROKEN,
    DISK_FULL,
    WAIT,
    Walk,
    arming,
    at,
    attempt,
    confirming,
    deciding,
    denial,
    disarming,
    host,
    intent,
    offers,
    plain,
    quick,
    release,
    requesting,
    staged,
    staging,
    steady,
    step_of,
)
from tests.fakes.clock import START
from tidegate.engines.base import Progress
from tidegate.errors import ErrorKind, Failure
from tidegate.gates.base import Wait
from tidegate.machine.effects import Announce, Arm, AskGates, Disarm, FindOffers, Reboot, Stage
from tidegate.machine.events import (
    ApplyAsked,
    Completed,
    Errored,
    HostView,
    PolicyChanged,
    Progressed,
    ShutdownSignal,
    Tick,
)
from tidegate.machine.mandate import AUTOMATIC
from tidegate.machine.phases.executing import Executing
from tidegate.machine.phases.rebooting import REBOOT_GRACE_SECS, UNCERTAIN_SECS, Rebooting
from tidegate.machine.phases.staging import Staging
from tidegate.machine.phases.steady import Steady
from tidegate.machine.phases.undoing import UNDO_RETRY_SECS
from tidegate.machine.phases.waiting import Staged
from tidegate.machine.plan import PlanStep
from tidegate.machine.state import Policy
from tidegate.machine.state_gates import MAX_ATTEMPTS, RETRY_BASE_SECS, agent_waits
from tidegate.machine.step import next_wakeup
from tidegate.records.model import Outcome, Records, Waiting
from tidegate.release import Purpose
from tidegate.system.reboot import RebootAccepted, RebootKind, RebootRefused

DISABLED = quick(Policy(enabled=False))
BLOCKED = quick(Policy(blocked=BAD_CONFIG))


# --------------------------------------------------------------------------- checking and staging


def test_a_steady_host_asks_discovery_at_once_and_then_at_the_steady_interval() -> None:
    walk = steady().wake()
    assert walk.task == FindOffers(2, plain("1"))
    walk.answer(offers())
    assert at(300).boot_secs <= (next_wakeup(walk.state) or 0) <= at(330).boot_secs, "a tenth apart, host by host"


def test_a_newer_release_is_staged() -> None:
    walk = steady().wake().answer(offers("2"))
    assert walk.task == Stage(3, release("2", 2))
    assert walk.state.phase == Staging(release("2", 2), START, 3)


def test_an_offer_that_is_denied_is_not_staged() -> None:
    walk = steady(records=Records(denied=(denial("2"),))).wake().answer(offers("2"))
    assert (walk.state.phase, walk.effects) == (Steady(), ())


def test_with_updates_disabled_a_newer_release_is_only_noted() -> None:
    walk = steady()
    walk.state = replace(walk.state, policy=quick())
    walk.wake().feed(PolicyChanged(DISABLED)).feed(Completed(2, offers("2")))
    assert walk.state.phase == Steady(wanted=release("2", 2))
    assert next_wakeup(walk.state) is None


@pytest.mark.parametrize("policy", [DISABLED, BLOCKED], ids=["disabled", "blocked"])
def test_an_agent_that_must_not_act_has_no_wakeups_in_steady(policy: Policy) -> None:
    walk = steady(policy)
    assert next_wakeup(walk.state) is None
    assert walk.feed(Tick()).effects == ()


def test_settings_that_block_while_discovery_is_asked_keep_its_answer_from_being_staged() -> None:
    walk = steady().wake().feed(PolicyChanged(BLOCKED)).feed(Completed(2, offers("2")))
    assert walk.none(Stage)
    assert walk.state.phase == Steady(wanted=release("2", 2))


def test_nothing_is_staged_once_the_host_goes_down() -> None:
    walk = steady().wake().feed(ShutdownSignal(active=True)).feed(Completed(2, offers("2")))
    assert walk.none(Stage)
    assert next_wakeup(walk.state) is None


def test_a_shutdown_that_was_called_off_lets_checking_go_on() -> None:
    walk = steady().feed(ShutdownSignal(active=True)).feed(ShutdownSignal(active=False))
    assert walk.wake().one(FindOffers)


def test_an_unknown_booted_release_is_a_trouble_that_keeps_its_beginning() -> None:
    walk = steady().wake().answer(offers(booted=None)).wake().answer(offers(booted=None))
    assert walk.state.trouble is not None
    assert walk.state.trouble.failure.kind is ErrorKind.DISCOVERY_UNKNOWN_BOOTED
    assert (walk.state.trouble.since, walk.state.trouble.count) == (START, 2)


@pytest.mark.parametrize(
    "kind",
    [
        ErrorKind.DISCOVERY_UNREACHABLE,
        ErrorKind.NET_WORKER_FAILED,
        ErrorKind.IDENTITY_UNKNOWN,
        ErrorKind.AGENT_INTERNAL,
    ],
)
def test_a_check_that_succeeds_ends_the_trouble_of_one_that_failed(kind: str) -> None:
    walk = steady().wake().fail(Failure(ErrorKind(kind), "no answer"))
    assert walk.state.trouble is not None
    assert walk.wake().answer(offers()).state.trouble is None


def test_failing_checks_back_off_to_32_intervals_and_are_announced_once() -> None:
    walk = steady()
    gaps: list[float] = []
    said = 0
    for _ in range(7):
        walk.wake()
        began = walk.secs
        walk.fail()
        said += not walk.none(Announce)
        gaps.append(walk.state.poll.due - 100 - began)
    assert _a_tenth_apart(gaps, [600, 1200, 2400, 4800, 9600, 9600, 9600])
    assert said == 1


def _a_tenth_apart(gaps: list[float], secs: list[float]) -> bool:
    """Each of ``secs``, or up to a tenth more: fleets do not march in step."""
    return all(least <= gap <= 1.1 * least for gap, least in zip(gaps, secs, strict=True))


def test_failing_stagings_back_off_although_the_checks_between_them_succeed() -> None:
    walk = steady()
    gaps: list[float] = []
    for _ in range(3):
        walk.wake().answer(offers("2"))
        began = walk.secs
        walk.fail()
        gaps.append(walk.state.poll.due - 100 - began)
    assert _a_tenth_apart(gaps, [600, 1200, 2400])
    assert walk.state.phase == Steady(wanted=release("2", 2))


def test_a_staging_that_succeeds_ends_backing_off_and_its_trouble() -> None:
    walk = steady().wake().answer(offers("2")).fail().wake().answer(offers("2")).answer(host(staged="2"))
    assert (walk.state.poll.staging_failures, walk.state.trouble) == (0, None)


def test_progress_is_kept_and_stale_progress_dropped() -> None:
    walk = staging()
    task, some = walk.task.id, Progress("fetching", 0.5, 10)
    assert walk.feed(Progressed(task + 1, some)).state.phase == Staging(release("2", 2), START, task)
    assert walk.feed(Progressed(task, some)).state.phase == Staging(release("2", 2), START, task, some)


def test_a_staged_release_waits_for_the_gates_at_once() -> None:
    walk = staged()
    assert walk.state.phase == Staged(release("2", 2), START, at(0).boot_secs)


def test_a_newer_release_takes_over_the_staged_one_and_its_waiting_time() -> None:
    walk = staged().wake().answer(WAIT)
    walk.secs = 299.0
    walk.state = replace(walk.state, poll=replace(walk.state.poll, due=at(10).boot_secs))
    walk.wake().answer(offers("2", "3"))
    assert walk.one(Stage).target == release("3", 3)
    assert isinstance(walk.state.phase, Staging)
    assert walk.state.phase.since == START


def test_the_same_release_offered_again_leaves_the_staged_one_alone() -> None:
    walk = staged().wake().answer(WAIT)
    walk.state = replace(walk.state, poll=replace(walk.state.poll, due=at(10).boot_secs))
    before = walk.wake().state.phase
    assert walk.answer(offers("2")).effects == ()
    assert walk.state.phase == before


def test_the_gates_come_before_a_check_that_is_due_as_well() -> None:
    walk = staged()
    walk.state = replace(walk.state, poll=replace(walk.state.poll, due=at(0).boot_secs))
    assert walk.wake().one(AskGates)


# --------------------------------------------------------------------------- deciding


def test_the_gates_are_asked_about_the_staged_release() -> None:
    walk = deciding()
    assert walk.task == AskGates(4, release("2", 2), Purpose.UPDATE)
    assert step_of(walk.state.phase) is PlanStep.ASK_GATES


def test_when_all_gates_allow_the_intent_is_opened_in_the_step_that_arms() -> None:
    walk = arming()
    assert walk.one(Arm) == Arm(5, release("2", 2))
    opened = walk.state.records.intent
    assert opened is not None
    assert (opened.boot, opened.origin, opened.target) == (BOOT, plain("1"), release("2", 2))
    assert (opened.purpose, opened.requested, opened.had_entry) == ("update", None, False)


def test_the_intent_says_when_the_target_had_a_boot_entry_before() -> None:
    walk = staging().answer(host(staged="2", entries=("1", "2"))).wake().answer(ALLOW)
    assert walk.state.records.intent is not None
    assert walk.state.records.intent.had_entry


def test_a_gate_that_waits_is_asked_again_at_the_steady_interval() -> None:
    walk = deciding().answer(WAIT)
    assert isinstance(walk.state.phase, Staged)
    assert walk.state.phase.verdicts == WAIT
    assert at(300).boot_secs <= (next_wakeup(walk.state) or 0) <= at(330).boot_secs, "a tenth apart, host by host"
    assert walk.effects == ()


def test_a_gate_that_names_its_opening_is_asked_then() -> None:
    opening = Wait("window", "closed", until=START + timedelta(seconds=42))
    assert next_wakeup(deciding().answer((opening,)).state) == at(42).boot_secs


@pytest.mark.parametrize("secs", [0, -3600])
def test_an_opening_that_has_passed_is_not_asked_for_in_a_busy_loop(secs: int) -> None:
    opening = Wait("window", "closed", until=START + timedelta(seconds=secs))
    assert next_wakeup(deciding().answer((opening,)).state) == at(1).boot_secs


def test_gates_that_cannot_be_asked_are_a_no() -> None:
    walk = deciding().fail()
    assert isinstance(walk.state.phase, Staged)
    assert walk.state.phase.verdicts == (Wait("gates", BROKEN.message, remedy=BROKEN.remedy),)


def test_nothing_is_armed_once_the_host_goes_down() -> None:
    walk = deciding().feed(ShutdownSignal(active=True))
    task = 4
    walk.feed(Completed(task, ALLOW))
    assert walk.none(Arm)
    assert isinstance(walk.state.phase, Staged)
    assert next_wakeup(walk.state) is None


@pytest.mark.parametrize(("policy", "gate"), [(DISABLED, "updates"), (BLOCKED, "config")], ids=["disabled", "blocked"])
def test_settings_that_forbid_it_while_the_gates_are_asked_keep_it_from_being_armed(policy: Policy, gate: str) -> None:
    walk = deciding().feed(PolicyChanged(policy)).feed(Completed(4, ALLOW))
    assert walk.none(Arm)
    assert isinstance(walk.state.phase, Staged)
    assert walk.state.phase.evaluate_at is None
    assert [wait.gate for wait in agent_waits(walk.state, release("2", 2), AUTOMATIC)] == [gate]


def test_new_settings_let_the_gates_be_asked_anew() -> None:
    walk = deciding().answer(WAIT)
    walk.secs = 10.0
    assert next_wakeup(walk.feed(PolicyChanged(quick(Policy(steady_interval_secs=60)))).state) == at(10).boot_secs


@pytest.mark.parametrize(("failures", "wait_secs"), [(1, RETRY_BASE_SECS), (2, 2 * RETRY_BASE_SECS)])
def test_an_attempt_that_came_to_nothing_puts_the_next_one_off(failures: int, wait_secs: float) -> None:
    vain = [replace(attempt(name=str(number)), ended_at=START) for number in range(failures)]
    walk = staged(records=Records(history=tuple(vain)))
    assert isinstance(walk.state.phase, Staged)
    assert walk.state.phase.evaluate_at == at(wait_secs).boot_secs
    (wait,) = walk.state.phase.verdicts
    assert wait == Wait(
        "attempts",
        "the last attempt failed: power cut",
        until=at(wait_secs).wall,
        remedy="wait, or: tidegate apply --now --reason TEXT",
    )


@pytest.mark.parametrize(("ended_secs", "wait_secs"), [(-100.0, 200.0), (-300.0, 0.0), (-3600.0, 0.0), (50.0, 300.0)])
def test_the_pause_counts_from_the_end_of_the_attempt_and_a_clock_set_back_does_not_stretch_it(
    ended_secs: float, wait_secs: float
) -> None:
    walk = staged(records=Records(history=(replace(attempt(), ended_at=at(ended_secs).wall),)))
    assert isinstance(walk.state.phase, Staged)
    assert walk.state.phase.evaluate_at == at(wait_secs).boot_secs
    assert bool(walk.state.phase.verdicts) == (wait_secs > 0)


def test_after_the_last_attempt_only_a_person_or_a_newer_release_starts_another() -> None:
    walk = staged(records=Records(history=tuple(attempt(name=str(number)) for number in range(MAX_ATTEMPTS))))
    assert isinstance(walk.state.phase, Staged)
    assert walk.state.phase.evaluate_at is None
    (held,) = agent_waits(walk.state, release("2", 2), AUTOMATIC)
    assert held == Wait(
        "attempts",
        "3 consecutive attempts failed, the last one: power cut",
        remedy="fix the cause, then: tidegate apply --now --reason TEXT",
    )
    walk.state = replace(walk.state, poll=replace(walk.state.poll, due=at(0).boot_secs))
    walk.wake().answer(offers("3")).answer(host(staged="3"))
    assert isinstance(walk.state.phase, Staged)
    assert walk.state.phase.evaluate_at == at(0).boot_secs


# --------------------------------------------------------------------------- arming, the last look, the reboot


def test_every_gate_is_asked_again_after_arming() -> None:
    walk = confirming()
    assert walk.task == AskGates(6, release("2", 2), Purpose.UPDATE)
    assert step_of(walk.state.phase) is PlanStep.RECHECK_GATES


def test_the_reboot_is_asked_for_after_the_last_look_and_on_disk_in_the_same_step() -> None:
    walk = requesting()
    assert walk.task == Reboot(7, RebootKind.REBOOT, "Tidegate reboots this host into 2 (automatic)")
    assert walk.state.records.intent is not None
    assert walk.state.records.intent.requested is not None
    assert walk.state.records.intent.requested.boot_secs == at(0).boot_secs


def test_a_no_at_the_last_look_takes_the_arming_back_and_keeps_the_intent_until_that_is_done() -> None:
    walk = disarming()
    assert walk.one(Disarm).target == release("2", 2)
    assert walk.state.records.intent is not None
    walk.answer(host(staged="2"))
    assert walk.state.records.obligations == Records()
    assert isinstance(walk.state.phase, Staged)
    assert walk.state.phase.verdicts == WAIT


@pytest.mark.parametrize("policy", [DISABLED, BLOCKED], ids=["disabled", "blocked"])
@pytest.mark.parametrize("phase", [arming, confirming])
def test_settings_that_forbid_it_after_arming_take_it_back(phase: Callable[[], Walk], policy: Policy) -> None:
    walk = phase()
    task = walk.task
    walk.feed(PolicyChanged(policy))
    if isinstance(task, Arm):
        walk.feed(Completed(task.id, host(staged="2", locked=False)))
        task = walk.task
    walk.feed(Completed(task.id, ALLOW))
    assert walk.one(Disarm)


@pytest.mark.parametrize("phase", [arming, confirming])
def test_a_step_after_the_intent_that_breaks_takes_everything_back(phase: Callable[[], Walk]) -> None:
    walk = phase().fail()
    assert walk.one(Disarm)
    assert walk.state.trouble is not None
    assert walk.state.records.intent is not None


def test_a_refusal_of_logind_takes_the_arming_back_and_is_a_verdict() -> None:
    walk = requesting().answer(RebootRefused("a backup is running", "systemd-inhibit --list")).answer(host(staged="2"))
    assert isinstance(walk.state.phase, Staged)
    assert walk.state.phase.verdicts == (Wait("logind", "a backup is running", remedy="systemd-inhibit --list"),)
    assert walk.state.records.obligations == Records(), "what logind refused does not count as an attempt"


def test_when_logind_accepts_the_host_has_the_grace_of_a_slow_shutdown() -> None:
    walk = requesting().answer(RebootAccepted())
    assert isinstance(walk.state.phase, Rebooting)
    assert next_wakeup(walk.state) == at(REBOOT_GRACE_SECS).boot_secs


def test_a_reboot_that_does_not_happen_is_taken_back_and_counts_as_an_attempt() -> None:
    walk = requesting().answer(RebootAccepted()).wake()
    assert walk.one(Disarm)
    assert walk.one(Announce).text.startswith("expected reboot did not happen")
    walk.answer(host(staged="2"))
    (closed,) = walk.state.records.history
    assert (closed.outcome, walk.state.records.intent) == (Outcome.NOT_ATTEMPTED, None)
    assert isinstance(walk.state.phase, Staged)
    assert walk.state.phase.evaluate_at == at(REBOOT_GRACE_SECS + RETRY_BASE_SECS).boot_secs


ADOPTED = Records(waiting=Waiting(plain("1").payload, START, target=plain("2").payload))


def test_what_was_staged_before_a_restart_waits_again_and_is_applied_though_the_source_is_down() -> None:
    walk = Walk(ADOPTED).answer(host(staged="2"))
    assert isinstance(walk.state.phase, Staged)
    assert (walk.state.phase.target, walk.state.phase.since) == (plain("2"), START)
    assert walk.wake().one(FindOffers), "the source has the first word"
    walk.fail()
    assert walk.feed(ApplyAsked(1, "now")).one(AskGates)


def test_the_gates_of_an_adopted_release_are_asked_as_soon_as_the_source_has_confirmed_it() -> None:
    walk = Walk(ADOPTED).answer(host(staged="2")).wake().answer(offers("2"))
    assert isinstance(walk.state.phase, Staged)
    assert walk.state.phase.target == release("2", 2), "with what the source says of it"
    assert walk.wake().one(AskGates)
    assert walk.secs == 0.0


def test_an_adopted_release_whose_source_is_down_does_not_wait_for_ever() -> None:
    walk = Walk(ADOPTED).answer(host(staged="2")).wake().fail().wake()
    assert walk.one(AskGates)
    assert 300.0 <= walk.secs <= 330.0


@pytest.mark.parametrize(
    ("records", "seen"),
    [
        (ADOPTED, host(staged="3")),
        (ADOPTED, host(staged="2", locked=False)),
        (ADOPTED, host("3", staged="2", entries=("3", "1"))),
        (replace(ADOPTED, denied=(denial("2"),)), host(staged="2")),
        (Records(waiting=Waiting(plain("1").payload, START)), host(staged="2")),
    ],
    ids=["another is staged", "by somebody else", "another is booted", "denied", "not known by which agent"],
)
def test_what_is_not_known_to_be_the_agents_own_is_not_adopted(records: Records, seen: HostView) -> None:
    assert Walk(records).answer(seen).state.phase == Steady()


def test_while_logind_says_that_the_host_goes_down_it_does_however_long_that_takes() -> None:
    walk = requesting().answer(RebootAccepted()).feed(ShutdownSignal(active=True))
    for _ in range(4):
        walk.wake()
        assert isinstance(walk.state.phase, Rebooting)
    assert walk.secs >= 4 * REBOOT_GRACE_SECS
    assert walk.feed(ShutdownSignal(active=False)).one(Disarm)


def test_a_shutdown_that_is_called_off_is_taken_back_at_once() -> None:
    walk = requesting().answer(RebootAccepted()).feed(ShutdownSignal(active=True)).feed(ShutdownSignal(active=False))
    assert walk.one(Disarm)


def test_when_logind_does_not_answer_the_arming_stays_while_it_may_have_heard() -> None:
    walk = requesting().fail()
    assert walk.none(Disarm)
    assert next_wakeup(walk.state) == at(UNCERTAIN_SECS).boot_secs
    assert walk.wake().one(Disarm)


def test_a_shutdown_announced_after_logind_did_not_answer_has_its_whole_grace() -> None:
    walk = requesting().fail()
    walk.secs = 2.0
    walk.feed(ShutdownSignal(active=True))
    assert next_wakeup(walk.state) == at(2 + REBOOT_GRACE_SECS).boot_secs


def test_a_shutdown_announced_before_logind_failed_to_answer_has_its_whole_grace() -> None:
    walk = requesting()
    task = walk.task.id
    walk.feed(ShutdownSignal(active=True)).feed(Errored(task, BROKEN))
    assert next_wakeup(walk.state) == at(REBOOT_GRACE_SECS).boot_secs


@pytest.mark.parametrize("phase", [arming, confirming, requesting])
def test_a_shutdown_by_somebody_else_after_arming_is_not_raced(phase: Callable[[], Walk]) -> None:
    walk = phase()
    task = walk.task
    walk.feed(ShutdownSignal(active=True))
    match task:
        case Arm():
            walk.feed(Completed(task.id, host(staged="2", locked=False)))
        case AskGates():
            walk.feed(Completed(task.id, ALLOW))
        case _:
            walk.feed(Completed(task.id, RebootRefused("there is an operation in progress")))
    assert walk.none(Disarm)
    assert isinstance(walk.state.phase, Rebooting)


@pytest.mark.parametrize("phase", [staging, staged, deciding, arming, confirming, requesting, disarming])
def test_a_shutdown_signal_alone_starts_nothing(phase: Callable[[], Walk]) -> None:
    walk = phase()
    kind = type(walk.state.phase)
    for active in (True, False):
        walk.feed(ShutdownSignal(active=active))
        assert (walk.effects, type(walk.state.phase)) == ((), kind)


# --------------------------------------------------------------------------- disarming


def test_disarming_is_tried_until_it_works_and_announced_once() -> None:
    walk = disarming()
    said = 0
    for _ in range(3):
        walk.fail()
        said += not walk.none(Announce)
        assert walk.state.records.intent is not None
        assert next_wakeup(walk.state) == at(walk.secs + UNDO_RETRY_SECS).boot_secs
        assert walk.wake().one(Disarm)
    walk.answer(host(staged="2"))
    assert (said, walk.state.trouble, walk.state.records.intent) == (1, None, None)


def test_a_staging_that_was_lost_meanwhile_leaves_the_host_steady() -> None:
    assert disarming().answer(host()).state.phase == Steady()


def test_a_denied_release_that_is_found_armed_is_disarmed_and_never_counts_as_staged() -> None:
    walk = Walk(Records(denied=(denial("2"),))).answer(host(staged="2", locked=False))
    assert walk.one(Disarm).target == plain("2")
    walk.answer(host(staged="2"))
    assert walk.state.phase == Steady()
    assert walk.wake().one(FindOffers)


# --------------------------------------------------------------------------- records that cannot be saved


def test_an_intent_that_cannot_be_saved_is_a_no() -> None:
    walk = deciding().answer_unsaved(ALLOW)
    assert walk.none(Arm)
    assert isinstance(walk.state.phase, Staged)
    assert walk.state.phase.verdicts == (Wait("gates", DISK_FULL.message, remedy=DISK_FULL.remedy),)


def test_a_reboot_that_cannot_be_noted_is_not_asked_for() -> None:
    walk = confirming().answer_unsaved(ALLOW)
    assert walk.none(Reboot)
    assert walk.one(Disarm)


def test_an_attempt_that_is_undone_ends_though_that_cannot_be_saved() -> None:
    """With what the disk has, another start would undo it once more, and begin nothing."""
    walk = disarming().answer_unsaved(host(staged="2"))
    assert isinstance(walk.state.phase, Staged)
    assert walk.state.records.intent is None
    assert walk.state.trouble is not None
    assert walk.state.trouble.failure == DISK_FULL


# --------------------------------------------------------------------------- what does not belong


@pytest.mark.parametrize("phase", [staging, deciding, arming, confirming, requesting, disarming])
def test_stale_answers_are_dropped(phase: Callable[[], Walk]) -> None:
    walk = phase()
    before = walk.state
    for stale in (Completed(99, host()), Completed(99, ALLOW), Completed(99, offers("3")), Errored(99, BROKEN)):
        assert (walk.feed(stale).state, walk.effects) == (before, ())


@pytest.mark.parametrize(
    ("phase", "kind"),
    [
        (staging, Staging),
        (deciding, Executing),
        (arming, Executing),
        (confirming, Executing),
        (requesting, Executing),
    ],
)
def test_a_tick_does_not_hurry_a_task(phase: Callable[[], Walk], kind: type) -> None:
    walk = phase()
    walk.secs = 1e6
    assert walk.feed(Tick()).effects == ()
    assert isinstance(walk.state.phase, kind)


def test_an_answer_of_another_kind_is_a_defect_that_shows() -> None:
    with pytest.raises(TypeError, match="ask_gates was answered with RebootAccepted"):
        deciding().answer(RebootAccepted())
    with pytest.raises(TypeError, match="discovery was answered with RebootAccepted"):
        steady().wake().answer(RebootAccepted())


def test_an_answer_of_discovery_after_a_person_applied_changes_nothing_but_the_next_check() -> None:
    """The check was under way when the person asked: its offers must not pull the machine out of an armed phase."""
    walk = arming()
    armed = walk.state.phase
    walk.state = replace(walk.state, poll=replace(walk.state.poll, task=77))
    for found in (offers("2", "3"), offers()):
        walk.state = replace(walk.state, poll=replace(walk.state.poll, task=77))
        walk.feed(Completed(77, found))
        assert (walk.state.phase, walk.effects) == (armed, ())
        assert walk.state.poll.task is None


def test_an_attempt_of_another_release_does_not_count() -> None:
    walk = staged(records=Records(history=(attempt("3"), attempt("3"), attempt("3"))))
    assert isinstance(walk.state.phase, Staged)
    assert walk.state.phase.evaluate_at == at(0).boot_secs


def test_the_intent_of_an_interrupted_attempt_is_taken_back_in_the_same_boot() -> None:
    walk = Walk(Records(intent(boot=BOOT, requested=False))).answer(host(staged="2", locked=False))
    assert walk.one(Disarm).target == plain("2")
    walk.answer(host(staged="2"))
    assert walk.state.records.obligations == Records()
