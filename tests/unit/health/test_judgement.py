"""When a check has failed, and when a boot is healthy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.health.base import Finding, ProbeResult, Weight
from tidegate.health.judgement import (
    NO_CHECKS,
    Bad,
    CheckStage,
    CheckState,
    Good,
    HealthTerms,
    Watching,
    failing,
    judge,
    updated,
)

TERMS = HealthTerms(monitor_secs=300, interval_secs=10, start_delay_secs=60, retries=3)


def finding(check: str, passed: bool, weight: Weight = Weight.REQUIRED) -> Finding:
    return Finding(check, weight, passed, "reached" if passed else "is failed")


def probe(**checks: bool) -> ProbeResult:
    return ProbeResult(tuple(finding(check, passed) for check, passed in checks.items()))


def after(*probes: tuple[float, bool], terms: HealthTerms = TERMS) -> CheckState:
    """The check ``web`` after probes at these times."""
    known = NO_CHECKS
    for elapsed_secs, passed in probes:
        known = updated(known, probe(web=passed), terms, elapsed_secs)
    (state,) = known
    return state


def test_a_check_is_pending_until_it_passes() -> None:
    assert after((0, False), (10, False), (59, False)).stage is CheckStage.PENDING
    assert after((0, False), (10, True)).stage is CheckStage.PASSED


def test_probes_within_the_start_delay_do_not_count_against_a_check_that_has_not_passed() -> None:
    assert after((0, False), (50, False), (60, False), (70, False)).stage is CheckStage.PENDING
    assert after((0, False), (50, False), (60, False), (70, False), (80, False)).stage is CheckStage.FAILED


def test_a_check_that_has_passed_may_fail_within_the_start_delay() -> None:
    assert after((0, True), (10, False), (20, False)).stage is CheckStage.PASSED
    assert after((0, True), (10, False), (20, False), (30, False)).stage is CheckStage.FAILED


def test_one_success_resets_the_failures() -> None:
    state = after((60, False), (70, False), (80, True), (90, False), (100, False))
    assert (state.stage, state.failures) == (CheckStage.PASSED, 2)
    assert after((60, False), (70, False), (80, False), (90, True)).stage is CheckStage.PASSED


def test_the_start_delay_is_never_longer_than_the_watch() -> None:
    short = HealthTerms(monitor_secs=5, start_delay_secs=120, retries=1)
    assert after((4, False), terms=short).stage is CheckStage.PENDING
    assert after((5, False), terms=short).stage is CheckStage.FAILED


def test_a_check_that_is_no_longer_configured_is_dropped() -> None:
    known = updated(NO_CHECKS, probe(web=False, ssh=True), TERMS, 0)
    assert [state.check for state in updated(known, probe(ssh=True), TERMS, 10)] == ["ssh"]


def state(stage: CheckStage, check: str = "web", weight: Weight = Weight.REQUIRED) -> CheckState:
    return CheckState(check, weight, stage, detail="is what it is")


FAILED, PASSED, PENDING = CheckStage.FAILED, CheckStage.PASSED, CheckStage.PENDING


def test_a_boot_is_good_when_the_watch_is_over_and_everything_passes() -> None:
    checks = (state(PASSED), state(PASSED, "ssh"))
    assert isinstance(judge(checks, TERMS, 299), Watching)
    assert judge(checks, TERMS, 300) == Good()


def test_a_boot_is_bad_as_soon_as_too_many_checks_have_failed() -> None:
    assert judge((state(FAILED), state(PENDING, "ssh")), TERMS, 0) == Bad("web: is what it is")


def test_a_pending_check_extends_the_watch() -> None:
    assert judge((state(PENDING), state(PASSED, "ssh")), TERMS, 1000) == Watching("web: is what it is")


@pytest.mark.parametrize(("failed", "bad"), [(0, False), (1, False), (2, False), (3, True), (4, True)])
def test_only_a_share_strictly_above_the_ratio_is_bad(failed: int, bad: bool) -> None:
    half = HealthTerms(monitor_secs=0, max_failed_ratio=0.5)
    checks = tuple(state(FAILED if number < failed else PASSED, str(number)) for number in range(4))
    assert isinstance(judge(checks, half, 0), Bad) is bad


def test_failures_within_the_ratio_are_remarked() -> None:
    half = HealthTerms(monitor_secs=0, max_failed_ratio=0.5)
    assert judge((state(FAILED), state(PASSED, "ssh")), half, 0) == Good("web: is what it is")


@given(st.sampled_from(CheckStage))
def test_advisory_checks_never_decide(stage: CheckStage) -> None:
    advisory = state(stage, "ping", Weight.ADVISORY)
    assert judge((state(PASSED), advisory), TERMS, 300) == Good()
    assert isinstance(judge((state(FAILED), advisory), TERMS, 0), Bad)
    assert failing(ProbeResult((finding("ping", False, Weight.ADVISORY),))) == ""


@given(st.lists(st.booleans(), max_size=40), st.integers(1, 5), st.floats(0, 100))
def test_a_check_fails_exactly_when_its_last_probes_that_count_did(
    probes: list[bool], retries: int, delay_secs: float
) -> None:
    terms = HealthTerms(monitor_secs=1000, interval_secs=10, start_delay_secs=delay_secs, retries=retries)
    known = NO_CHECKS
    passed_before, in_a_row = False, 0
    for number, passed in enumerate(probes):
        known = updated(known, probe(web=passed), terms, number * 10)
        counts = passed_before or number * 10 >= delay_secs
        in_a_row = 0 if passed else in_a_row + counts
        passed_before |= passed
        failed = known[0].stage is FAILED
        assert failed == (in_a_row >= retries)
