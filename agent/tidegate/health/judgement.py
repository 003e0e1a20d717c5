"""From looks to a verdict: which checks have failed, and whether the boot is well. Pure.

A check is *pending* until it first passes, or until its start delay is over and it has failed often enough; from then
on it has passed or failed by its latest looks. One look that fails proves little: a check fails when so many in a row
did.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

from tidegate.health.base import Finding, HealthLook, Weight


class CheckStage(StrEnum):
    """Where a check stands."""

    PENDING = "pending"
    PASSED = "passed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class CheckState:
    """What is known of a check. ``failures``: looks in a row that count and failed; ``detail``: what was seen last."""

    check: str
    weight: Weight
    stage: CheckStage = CheckStage.PENDING
    failures: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class HealthTerms:
    """The settings of the watch; see ``[health]`` in tidegate-config(5)."""

    monitor_secs: float = 300.0
    interval_secs: float = 10.0
    start_delay_secs: float = 120.0
    retries: int = 3
    max_failed_ratio: float = 0.0

    @property
    def delay_secs(self) -> float:
        """The start delay; never longer than the watch itself."""
        return min(self.start_delay_secs, self.monitor_secs)


@dataclass(frozen=True, slots=True)
class Watching:
    """Too early to tell; ``reason`` says what is waited for."""

    reason: str


@dataclass(frozen=True, slots=True)
class Good:
    """The boot is well. ``remark``: what failed all the same, within what is allowed; empty where nothing did."""

    remark: str = ""


@dataclass(frozen=True, slots=True)
class Bad:
    """More of the required checks have failed than may; ``evidence`` has each, with what it saw."""

    evidence: str


Judgement: TypeAlias = Watching | Good | Bad

NOTHING_SEEN: tuple[CheckState, ...] = ()


def seen(
    known: tuple[CheckState, ...], look: HealthLook, terms: HealthTerms, elapsed_secs: float
) -> tuple[CheckState, ...]:
    """What is known after one more look; checks that are configured no longer are forgotten."""
    before = {state.check: state for state in known}
    return tuple(_after(before.get(finding.check), finding, terms, elapsed_secs) for finding in look.findings)


def _after(before: CheckState | None, finding: Finding, terms: HealthTerms, elapsed_secs: float) -> CheckState:
    state = before or CheckState(finding.check, finding.weight)
    state = replace(state, weight=finding.weight, detail=finding.detail)
    if finding.passed:
        return replace(state, stage=CheckStage.PASSED, failures=0)
    if state.stage is CheckStage.PENDING and elapsed_secs < terms.delay_secs:
        return state
    failures = state.failures + 1
    return replace(state, failures=failures, stage=CheckStage.FAILED if failures >= terms.retries else state.stage)


def judge(checks: tuple[CheckState, ...], terms: HealthTerms, elapsed_secs: float) -> Judgement:
    """The verdict on the boot after ``elapsed_secs`` of the watch; of the required checks alone."""
    required = [check for check in checks if check.weight is Weight.REQUIRED]
    failed = [check for check in required if check.stage is CheckStage.FAILED]
    if failed and len(failed) / len(required) > terms.max_failed_ratio:
        return Bad(_told(failed))
    pending = [check for check in required if check.stage is CheckStage.PENDING]
    if pending:
        return Watching(_told(pending))
    if elapsed_secs < terms.monitor_secs:
        return Watching(f"all is well so far, watched for {terms.monitor_secs:.0f} s")
    return Good(_told(failed))


def failing(look: HealthLook) -> str:
    """What does not pass at this one look and counts; empty where all is well."""
    return "; ".join(
        f"{finding.check}: {finding.detail}"
        for finding in look.findings
        if finding.weight is Weight.REQUIRED and not finding.passed
    )


def _told(checks: list[CheckState]) -> str:
    return "; ".join(f"{check.check}: {check.detail}" for check in checks)
