"""All checks together: side by side, whatever one of them does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import pytest

from tests.fakes.asyncs import run
from tidegate.errors import ErrorKind, TidegateError
from tidegate.health import check_set
from tidegate.health.base import Finding, HealthLook, Weight
from tidegate.health.check import Check, Seen
from tidegate.health.check_set import CheckSet, Sources

REQUIRED, ADVISORY = Weight.REQUIRED, Weight.ADVISORY
CURSOR = "s=1;i=2"
FAILURE = TidegateError(ErrorKind.BUS_TIMEOUT, "no answer", "look")


@dataclass
class Scripted:
    """A check that does as it is told."""

    name: str
    weight: Weight = REQUIRED
    act: Callable[[], Awaitable[Seen]] | None = None
    passes: bool = True

    async def ask(self) -> Seen:
        return await self.act() if self.act else Seen(self.passes, "seen")


async def broken() -> Seen:
    raise FAILURE


async def defective() -> Seen:
    raise ZeroDivisionError("x")


async def endless() -> Seen:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


def probe(
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

    def none_failed(failed_before: frozenset[str]) -> Check:
        return Scripted("failed-units:" + ",".join(sorted(failed_before)))

    return CheckSet(boot or Scripted("boot"), configured, Sources(found, none_failed, journal_cursor))


def look(asked: CheckSet, failed_before: frozenset[str] = frozenset()) -> HealthLook:
    async def scenario() -> None:
        looks.append(await asked.look(failed_before))

    looks: list[HealthLook] = []
    run(scenario())
    return looks[0]


def names(asked: CheckSet) -> list[str]:
    return [finding.check for finding in look(asked).findings]


def test_a_boot_counts_always_and_failed_units_where_nothing_else_does() -> None:
    assert names(probe()) == ["boot", "failed-units:"]
    assert names(probe(Scripted("a", ADVISORY))) == ["boot", "a", "failed-units:"]
    assert names(probe(Scripted("a"))) == ["boot", "a"]
    assert names(probe(executables=[Scripted("x", ADVISORY)])) == ["boot", "x", "failed-units:"]
    assert names(probe(Scripted("a", ADVISORY), executables=[Scripted("x")])) == ["boot", "a", "x"]


def test_it_is_told_what_had_failed_before() -> None:
    assert look(probe(), frozenset({"b", "a"})).findings[-1].check == "failed-units:a,b"


def test_what_goes_wrong_with_one_check_is_its_finding() -> None:
    checks = [Scripted("broken", act=broken), Scripted("defect", ADVISORY, defective), Scripted("well")]
    found = {finding.check: finding for finding in look(probe(*checks)).findings}
    assert found["broken"] == Finding("broken", REQUIRED, passed=False, detail="cannot be asked: no answer (look)")
    assert found["defect"].passed is False
    assert "ZeroDivisionError" in found["defect"].detail
    assert found["well"].passed


def test_one_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_set, "LOOK_SECS", 0.02)
    found = look(probe(Scripted("hangs", act=endless), Scripted("well"))).findings
    assert [finding.passed for finding in found] == [True, False, True]
    assert "no answer within" in found[1].detail


def test_they_are_asked_side_by_side() -> None:
    both = asyncio.Barrier(2)

    async def meet() -> Seen:
        async with both:
            return Seen(passed=True, detail="met")

    assert all(finding.passed for finding in look(probe(Scripted("a", act=meet), Scripted("b", act=meet))).findings)


def test_programs_that_cannot_be_listed_count_as_one_that_has_not_passed() -> None:
    found = look(probe(executables=FAILURE))
    assert found.findings == (
        Finding("boot", REQUIRED, passed=True, detail="seen"),
        Finding("executables", REQUIRED, passed=False, detail="cannot be listed: no answer (look)"),
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
def test_the_journals_place_is_told_where_something_that_counts_has_not_passed(check: Scripted, cursor: str) -> None:
    assert look(probe(check)).journal_cursor == cursor


def test_a_place_that_is_not_known_is_none() -> None:
    found = look(probe(Scripted("a", passes=False), cursor=FAILURE))
    assert found.journal_cursor == ""
    assert not found.findings[1].passed


def test_where_nothing_can_be_asked_that_is_an_error() -> None:
    with pytest.raises(TidegateError) as caught:
        look(probe(Scripted("a", act=broken), boot=Scripted("boot", act=defective)))
    assert caught.value.kind is ErrorKind.HEALTH_UNREADABLE
    assert "boot: the check met a defect" in caught.value.message


def test_one_check_that_can_be_asked_is_enough_for_a_look() -> None:
    found = look(probe(Scripted("a", ADVISORY), boot=Scripted("boot", act=broken), executables=[Scripted("x")]))
    assert [finding.passed for finding in found.findings] == [False, True, True]
