"""A probe runs all checks concurrently, and fails closed for each of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import pytest

from tests.fakes.asyncs import run
from tidegate.errors import ErrorKind, TidegateError
from tidegate.health import check_set
from tidegate.health.base import Finding, ProbeResult, Weight
from tidegate.health.check import Check, CheckResult
from tidegate.health.check_set import CheckSet, CheckSources

REQUIRED, ADVISORY = Weight.REQUIRED, Weight.ADVISORY
CURSOR = "s=1;i=2"
FAILURE = TidegateError(ErrorKind.BUS_TIMEOUT, "no answer", "wait")


@dataclass
class Scripted:
    """A check with a scripted result."""

    name: str
    weight: Weight = REQUIRED
    act: Callable[[], Awaitable[CheckResult]] | None = None
    passes: bool = True

    async def run(self) -> CheckResult:
        return await self.act() if self.act else CheckResult(self.passes, "found")


async def broken() -> CheckResult:
    raise FAILURE


async def defective() -> CheckResult:
    raise ZeroDivisionError("x")


async def endless() -> CheckResult:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


def prober(
    *configured: Check,
    executables: Sequence[Check] | TidegateError = (),
    cursor: str | TidegateError = CURSOR,
    boot: Check | None = None,
) -> CheckSet:
    async def found() -> Sequence[Check]:
        if isinstance(executables, TidegateError):
            raise executables
        return executables

    async def journal_cursor() -> str:
        if isinstance(cursor, TidegateError):
            raise cursor
        return cursor

    def no_failed_units(failed_before: frozenset[str]) -> Check:
        return Scripted("failed-units:" + ",".join(sorted(failed_before)))

    return CheckSet(boot or Scripted("boot"), configured, CheckSources(found, no_failed_units, journal_cursor))


def probe(prober: CheckSet, failed_before: frozenset[str] = frozenset()) -> ProbeResult:
    async def scenario() -> None:
        results.append(await prober.probe(failed_before))

    results: list[ProbeResult] = []
    run(scenario())
    return results[0]


def names(prober: CheckSet) -> list[str]:
    return [finding.check for finding in probe(prober).findings]


def test_boot_complete_is_always_run_and_failed_units_where_no_other_check_is_required() -> None:
    assert names(prober()) == ["boot", "failed-units:"]
    assert names(prober(Scripted("a", ADVISORY))) == ["boot", "a", "failed-units:"]
    assert names(prober(Scripted("a"))) == ["boot", "a"]
    assert names(prober(executables=[Scripted("x", ADVISORY)])) == ["boot", "x", "failed-units:"]
    assert names(prober(Scripted("a", ADVISORY), executables=[Scripted("x")])) == ["boot", "a", "x"]


def test_units_that_had_failed_before_are_passed_on() -> None:
    assert probe(prober(), frozenset({"b", "a"})).findings[-1].check == "failed-units:a,b"


def test_an_error_in_one_check_is_its_finding() -> None:
    checks = [Scripted("broken", act=broken), Scripted("defect", ADVISORY, defective), Scripted("well")]
    found = {finding.check: finding for finding in probe(prober(*checks)).findings}
    assert found["broken"] == Finding("broken", REQUIRED, passed=False, detail="cannot be run: no answer (wait)")
    assert found["defect"].passed is False
    assert "ZeroDivisionError" in found["defect"].detail
    assert found["well"].passed


def test_a_check_that_hangs_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_set, "PROBE_TIMEOUT_SECS", 0.02)
    found = probe(prober(Scripted("hangs", act=endless), Scripted("well"))).findings
    assert [finding.passed for finding in found] == [True, False, True]
    assert "no answer within" in found[1].detail


def test_checks_run_concurrently() -> None:
    both = asyncio.Barrier(2)

    async def meet() -> CheckResult:
        async with both:
            return CheckResult(passed=True, detail="met")

    assert all(finding.passed for finding in probe(prober(Scripted("a", act=meet), Scripted("b", act=meet))).findings)


def test_programs_that_cannot_be_listed_count_as_a_failed_check() -> None:
    found = probe(prober(executables=FAILURE))
    assert found.findings == (
        Finding("boot", REQUIRED, passed=True, detail="found"),
        Finding("executables", REQUIRED, passed=False, detail="cannot be listed: no answer (wait)"),
    )
    assert found.journal_cursor == CURSOR


@pytest.mark.parametrize(
    ("check", "cursor"),
    [
        (Scripted("a"), ""),
        (Scripted("a", passes=False), CURSOR),
        (Scripted("a", ADVISORY, passes=False), ""),
        (Scripted("a", act=broken), CURSOR),
    ],
)
def test_the_journal_cursor_is_recorded_where_a_required_check_has_not_passed(check: Scripted, cursor: str) -> None:
    assert probe(prober(check)).journal_cursor == cursor


def test_an_unknown_journal_cursor_is_empty() -> None:
    found = probe(prober(Scripted("a", passes=False), cursor=FAILURE))
    assert found.journal_cursor == ""
    assert not found.findings[1].passed


def test_that_no_check_can_be_run_is_an_error() -> None:
    with pytest.raises(TidegateError) as caught:
        probe(prober(Scripted("a", act=broken), boot=Scripted("boot", act=defective)))
    assert caught.value.kind is ErrorKind.HEALTH_UNREADABLE
    assert "boot: internal error in the check" in caught.value.message


def test_one_check_that_can_be_run_is_enough_for_a_probe() -> None:
    found = probe(prober(Scripted("a", ADVISORY), boot=Scripted("boot", act=broken), executables=[Scripted("x")]))
    assert [finding.passed for finding in found.findings] == [False, True, True]
