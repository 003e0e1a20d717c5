"""After a boot: the outcome of the attempt, and each arrow of the diagram in ``machine/verify.py``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.fakes.builders import (
    BAD_CONFIG,
    BOOT,
    BROKEN,
    Walk,
    at,
    attempt,
    denial,
    host,
    intent,
    offers,
    plain,
    verifying,
)
from tests.fakes.engine import payload_of
from tidegate.boot import BootInstance
from tidegate.machine.effects import Announce, Disarm, FindOffers, MarkGood, ReadHealth, ReadHost, Stage
from tidegate.machine.events import (
    HealthPending,
    Healthy,
    PolicyChanged,
    ShutdownSignal,
    Unhealthy,
)
from tidegate.machine.finalize import REBOOT_GRACE_SECS
from tidegate.machine.phases import Disarming, Paused, Rebooting, Starting, Steady, Verifying
from tidegate.machine.state import Policy
from tidegate.machine.verify import (
    HEALTH_DEADLINE_SECS,
    HEALTH_INTERVAL_SECS,
    PAUSED_LOOK_SECS,
    START_RETRY_SECS,
    decide_outcome,
)
from tidegate.machine.wakeups import next_wakeup
from tidegate.records import Outcome, Records

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
    assert denied.evidence == f"1 booted instead of 2, which has a boot entry; boot id {BOOT.boot_id}"
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


# --------------------------------------------------------------------------- verifying


def test_a_boot_that_is_well_is_marked_good_and_then_counts() -> None:
    walk = verifying()
    assert walk.one(ReadHealth)
    assert walk.answer(Healthy()).task == MarkGood(3, plain("2"))
    assert walk.state.records.history == ()
    applied = walk.answer(host("2", entries=("2", "1"))).state
    (closed,) = applied.records.history
    assert (closed.outcome, closed.detail, applied.records.intent) == (Outcome.APPLIED, "verified", None)
    assert applied.phase == Steady()


def test_a_boot_that_is_not_known_to_be_well_is_looked_at_until_the_deadline_and_then_paused() -> None:
    walk = verifying()
    pending = HealthPending("boot-complete.target is activating")
    for look in range(int(HEALTH_DEADLINE_SECS / HEALTH_INTERVAL_SECS)):
        walk.answer(pending)
        assert next_wakeup(walk.state) == at((look + 1) * HEALTH_INTERVAL_SECS).boot_secs
        assert walk.wake().one(ReadHealth)
    walk.answer(pending)
    assert walk.secs == HEALTH_DEADLINE_SECS
    assert isinstance(walk.state.phase, Paused)
    assert walk.state.phase.reason == "not known to be well after 300 s: boot-complete.target is activating"


def test_a_look_that_fails_is_a_reason_to_look_again() -> None:
    walk = verifying().fail()
    assert isinstance(walk.state.phase, Verifying)
    assert walk.state.phase.pending == BROKEN.message
    assert walk.wake().one(ReadHealth)


def test_a_boot_that_is_not_well_pauses_updates_and_keeps_the_attempt_open() -> None:
    walk = verifying().answer(Unhealthy("sshd.service failed"))
    assert walk.state.phase == Paused("sshd.service failed", at(PAUSED_LOOK_SECS).boot_secs)
    assert (walk.state.records.intent, walk.state.records.denied) == (intent(), ())


def test_a_paused_host_that_is_mended_is_confirmed() -> None:
    walk = verifying().answer(Unhealthy("sshd.service failed"))
    walk.wake().answer(Unhealthy("sshd.service failed")).wake().fail().wake().answer(Healthy())
    assert walk.secs == 3 * PAUSED_LOOK_SECS
    assert walk.one(MarkGood)
    assert walk.answer(host("2", entries=("2", "1"))).state.phase == Steady()


def test_a_confirmation_that_fails_is_tried_again_without_looking_again() -> None:
    walk = verifying().answer(Healthy()).fail()
    assert walk.state.trouble is not None
    assert next_wakeup(walk.state) == at(START_RETRY_SECS).boot_secs
    assert walk.wake().one(MarkGood)
    assert walk.answer(host("2", entries=("2", "1"))).state.trouble is None


@pytest.mark.parametrize("blocked", [False, True])
def test_verifying_goes_on_whatever_the_settings_say_and_stages_nothing(blocked: bool) -> None:
    policy = Policy(enabled=False, blocked=BAD_CONFIG if blocked else None)
    walk = Walk(Records(intent()), policy).answer(host("2", entries=("2", "1")))
    health = walk.task
    walk.feed(PolicyChanged(policy))
    assert (walk.none(Stage), walk.none(FindOffers)) == (True, True)
    walk.effects = (health,)
    walk.answer(Healthy()).answer(host("2", entries=("2", "1")))
    assert [closed.outcome for closed in walk.state.records.history] == [Outcome.APPLIED]


def test_no_check_is_due_while_a_boot_is_verified_or_paused() -> None:
    walk = verifying()
    assert next_wakeup(walk.state) is None
    walk.answer(Unhealthy("sshd.service failed"))
    assert next_wakeup(walk.state) == at(PAUSED_LOOK_SECS).boot_secs


# --------------------------------------------------------------------------- records that cannot be saved


def _fell_back() -> Walk:
    return Walk(Records(intent()))


@pytest.mark.parametrize("phase", [_fell_back])
def test_an_outcome_that_cannot_be_saved_is_found_again(phase: Callable[[], Walk]) -> None:
    walk = phase().answer_unsaved(host("1", entries=("2", "1")))
    assert isinstance(walk.state.phase, Starting)
    assert walk.state.records == Records(intent())
    assert next_wakeup(walk.state) == at(START_RETRY_SECS).boot_secs
    walk.wake().answer(host("1", entries=("2", "1")))
    assert isinstance(walk.state.phase, Disarming)
    assert walk.state.records.denial_of(payload_of("2")) is not None


def test_a_good_boot_that_cannot_be_saved_is_confirmed_again() -> None:
    walk = verifying().answer(Healthy()).answer_unsaved(host("2", entries=("2", "1")))
    assert walk.state.records.intent is not None
    assert walk.wake().one(MarkGood)
    applied = walk.answer(host("2", entries=("2", "1"))).state
    assert (applied.records.intent, applied.trouble) == (None, None)


def test_history_keeps_what_was_there() -> None:
    walk = Walk(Records(intent(), history=(attempt("3"),))).answer(host("1"))
    assert [closed.target.version for closed in walk.state.records.history] == ["3", "2"]


def test_an_answer_of_discovery_cannot_end_verifying() -> None:
    walk = verifying()
    before = walk.state
    walk.effects = (ReadHealth(99),)
    assert walk.answer(offers("3")).state == before
