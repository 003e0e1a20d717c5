"""The verdict on a boot, from the results of its probes. Pure.

A check is *pending* until it first passes, or until the start delay is over and it has failed in ``retries``
consecutive probes. From then on it has passed or failed: one success makes it pass, and ``retries`` consecutive
failures make it fail. The boot is good when the watch is over and enough of the required checks pass.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

from tidegate.health.base import Finding, ProbeResult, Weight


class CheckStage(StrEnum):
    """The state of a check over all probes of a watch."""

    PENDING = "pending"
    PASSED = "passed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class CheckState:
    """The state of one check.

    ``failures`` counts consecutive failures, without those of a pending check in its start delay. ``detail`` is that of
    the last probe.
    """

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
    max_boots: int = 5

    @property
    def delay_secs(self) -> float:
        """The start delay; never longer than the watch itself."""
        return min(self.start_delay_secs, self.monitor_secs)


@dataclass(frozen=True, slots=True)
class Watching:
    """No verdict yet; ``reason`` says what is waited for."""

    reason: str


@dataclass(frozen=True, slots=True)
class Good:
    """The boot is healthy. ``remark`` names the checks that failed within the allowed ratio; empty if none did."""

    remark: str = ""


@dataclass(frozen=True, slots=True)
class Bad:
    """More required checks have failed than the ratio allows; ``evidence`` names each with its detail."""

    evidence: str


Judgement: TypeAlias = Watching | Good | Bad

NO_CHECKS: tuple[CheckState, ...] = ()
"""The states before the first probe of a watch."""


def updated(
    known: tuple[CheckState, ...], probe: ProbeResult, terms: HealthTerms, elapsed_secs: float
) -> tuple[CheckState, ...]:
    """The states after one more probe, made ``elapsed_secs`` into the watch.

    Checks that the probe no longer has, since they are not configured any more, are dropped.
    """
    before = {state.check: state for state in known}
    return tuple(_after(before.get(finding.check), finding, terms, elapsed_secs) for finding in probe.findings)


def _after(before: CheckState | None, finding: Finding, terms: HealthTerms, elapsed_secs: float) -> CheckState:
    state = before or CheckState(finding.check, finding.weight)
    state = replace(state, weight=finding.weight, detail=finding.detail)
    if finding.passed:
        return replace(state, stage=CheckStage.PASSED, failures=0)
    if state.stage is CheckStage.PENDING and elapsed_secs < terms.delay_secs:
        return state
    failures = state.failures + 1
    return replace(state, failures=failures, stage=CheckStage.FAILED if failures >= terms.retries else state.stage)


def judge(
    checks: tuple[CheckState, ...], terms: HealthTerms, elapsed_secs: float, healthy_before_secs: float = 0.0
) -> Judgement:
    """The verdict ``elapsed_secs`` into the watch. Advisory checks are not considered.

    ``healthy_before_secs``: for how long the release was found healthy in earlier boots, which a power cut ended. That
    counts for up to half of the watch, so that a release which does not last as long is never found good.
    """
    required = [check for check in checks if check.weight is Weight.REQUIRED]
    failed = [check for check in required if check.stage is CheckStage.FAILED]
    if failed and len(failed) / len(required) > terms.max_failed_ratio:
        return Bad(_described(failed))
    if waited_for := pending(required):
        return Watching(_described(waited_for))
    if elapsed_secs + min(healthy_before_secs, terms.monitor_secs / 2) < terms.monitor_secs:
        return Watching(f"healthy so far, watched for {terms.monitor_secs:.0f} s")
    return Good(_described(failed))


def pending(checks: Iterable[CheckState]) -> list[CheckState]:
    """The required checks that have neither passed nor failed yet."""
    return [check for check in checks if check.weight is Weight.REQUIRED and check.stage is CheckStage.PENDING]


def failing(probe: ProbeResult) -> str:
    """The required checks that fail in this one probe, each with its detail; empty where all pass."""
    return "; ".join(
        f"{finding.check}: {finding.detail}"
        for finding in probe.findings
        if finding.weight is Weight.REQUIRED and not finding.passed
    )


def _described(checks: list[CheckState]) -> str:
    return "; ".join(f"{check.check}: {check.detail}" for check in checks)
