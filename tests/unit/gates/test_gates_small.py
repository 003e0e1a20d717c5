"""The gates ``inhibitors``, ``clock`` and ``interval``, each against what it asks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import cast

import pytest

from tests.fakes.builders import at, release
from tests.fakes.clock import START
from tidegate.clock import BUILT_AFTER, Now, SystemClock
from tidegate.errors import ErrorKind, TidegateError
from tidegate.gates.base import Allow, Gate, Question, Verdict, Wait
from tidegate.gates.clock import SPEC as CLOCK
from tidegate.gates.clock import ClockGate, always, where_time_is_limited
from tidegate.gates.inhibitors import SPEC, Inhibitors
from tidegate.gates.interval import Interval, boot_began_secs
from tidegate.gates.select import GateSources
from tidegate.release import Purpose
from tidegate.services.inhibitors import Inhibitor
from tidegate.settings import Settings

UNREACHABLE = TidegateError(ErrorKind.BUS_TIMEOUT, "no answer within 25 s", "wait")


def question(secs: float = 0, allowed_until: datetime | None = None, now: Now | None = None) -> Question:
    return Question(release("2"), Purpose.UPDATE, now or at(secs), allowed_until)


# --------------------------------------------------------------------------- inhibitors


def inhibitor(
    mode: str = "block", who: str = "backup", why: str = "backup running", what: str = "shutdown"
) -> Inhibitor:
    return Inhibitor(frozenset(what.split(":")), who, why, mode)


def inhibited(*there: Inhibitor) -> Verdict:
    async def list_inhibitors() -> Sequence[Inhibitor]:
        return there

    return asyncio.run(Inhibitors(list_inhibitors).ask(question()))


@pytest.mark.parametrize(
    ("mode", "what", "waits"),
    [
        ("block", "shutdown", True),
        ("block", "sleep:shutdown:idle", True),
        ("block-weak", "shutdown", True),
        ("delay", "shutdown", False),
        ("delay-weak", "shutdown", False),
        ("block", "sleep", False),
        ("block", "handle-reboot-key", False),
    ],
)
def test_what_holds_shutdowns_back(mode: str, what: str, waits: bool) -> None:
    assert isinstance(inhibited(inhibitor(mode, what=what)), Wait) is waits


def test_who_holds_is_named_and_the_rest_counted() -> None:
    verdict = inhibited(inhibitor("delay"), inhibitor(), inhibitor(who="dpkg"), inhibitor("block-weak"))
    assert isinstance(verdict, Wait)
    assert verdict.reason == "backup holds shutdowns back: backup running (and 2 more)"
    assert "systemd-inhibit --list" in verdict.remedy


def test_what_an_inhibitor_says_of_itself_stays_in_its_line() -> None:
    verdict = inhibited(inhibitor(who="\x1b[31mx\n", why="y" * 999))
    assert isinstance(verdict, Wait)
    assert verdict.reason.startswith("[31mx holds shutdowns back: yyy")
    assert len(verdict.reason) < 300
    silent = inhibited(inhibitor(who="", why="\n"))
    assert isinstance(silent, Wait)
    assert silent.reason == "somebody holds shutdowns back: no reason given"


def test_inhibitors_hold_whatever_the_reboot_is_for_and_whoever_wants_it() -> None:
    assert SPEC.guards == frozenset(Purpose)
    assert not SPEC.overridable


# --------------------------------------------------------------------------- clock


class Kernel:
    """Says whether the clock is synchronised, and counts how often it was asked."""

    def __init__(self, answer: bool | TidegateError) -> None:
        self.asked = 0
        self._answer = answer

    async def __call__(self) -> bool:
        self.asked += 1
        if isinstance(self._answer, TidegateError):
            raise self._answer
        return self._answer


def clocked(kernel: Kernel, asked: Question, *, matters: bool = True) -> Verdict:
    gate = ClockGate(always if matters else where_time_is_limited, kernel)
    return asyncio.run(gate.ask(asked))


def test_a_synchronised_clock_is_trusted() -> None:
    assert clocked(Kernel(True), question()) == Allow("clock")


@pytest.mark.parametrize(
    ("kernel", "why"),
    [
        (Kernel(False), "not synchronised"),
        (Kernel(UNREACHABLE), "it is not known whether the clock is right: no answer within 25 s"),
    ],
)
def test_a_clock_that_nobody_vouches_for_is_not(kernel: Kernel, why: str) -> None:
    verdict = clocked(kernel, question())
    assert isinstance(verdict, Wait)
    assert why in verdict.reason
    assert "gates.clock.require" in verdict.remedy
    assert "--override clock" in verdict.remedy


def test_a_clock_older_than_the_build_is_wrong_whatever_is_said_of_it() -> None:
    kernel = Kernel(True)
    verdict = clocked(kernel, question(now=Now(BUILT_AFTER - timedelta(seconds=1), 100.0)))
    assert isinstance(verdict, Wait)
    assert verdict.reason.startswith("the clock is wrong: it shows 2025-12-31T23:59:59Z")
    assert kernel.asked == 0
    assert clocked(kernel, question(now=Now(BUILT_AFTER, 100.0))) == Allow("clock")


def test_the_build_is_not_from_the_future() -> None:
    assert SystemClock().now().wall > BUILT_AFTER


def test_where_nothing_depends_on_the_clock_it_is_not_checked() -> None:
    kernel = Kernel(False)
    assert clocked(kernel, question(), matters=False) == Allow("clock", "nothing depends on the clock")
    assert kernel.asked == 0


def test_a_reboot_that_is_allowed_only_until_some_instant_depends_on_the_clock() -> None:
    ends = question(allowed_until=START + timedelta(hours=1))
    assert isinstance(clocked(Kernel(False), ends, matters=False), Wait)


def test_auto_counts_the_age_that_a_release_has_to_have() -> None:
    plain = Settings()
    aged = replace(plain, updates=replace(plain.updates, min_release_age_secs=604800))
    sources = cast(GateSources, SimpleNamespace(timedate=SimpleNamespace(synchronized=Kernel(False))))
    verdicts = [asyncio.run(next(clock_gates(one, sources)).ask(question())) for one in (plain, aged)]
    assert [type(verdict) for verdict in verdicts] == [Allow, Wait]


def clock_gates(settings: Settings, sources: GateSources) -> Iterator[Gate]:
    assert CLOCK.build is not None
    return iter(tuple(CLOCK.build(settings, sources)))


# --------------------------------------------------------------------------- interval


def rested(min_secs: int, began_secs: float | None, secs: float = 0) -> Verdict:
    return asyncio.run(Interval(min_secs, began_secs).ask(question(secs)))


def test_a_host_that_has_just_been_rebooted_is_left_alone() -> None:
    """At 0 the boot clock shows 100 s, and process 1 started at 40 s of it."""
    verdict = rested(3600, 40.0)
    assert isinstance(verdict, Wait)
    assert verdict.reason == "up for 60 s of the 3600 s between two reboots"
    assert verdict.until == START + timedelta(seconds=3540)
    assert "--override interval" in verdict.remedy
    assert isinstance(rested(3600, 40.0, secs=3539.9), Wait)
    assert rested(3600, 40.0, secs=3540) == Allow("interval")


def test_a_clock_that_was_set_does_not_shorten_it() -> None:
    stepped = question(now=Now(START + timedelta(days=9), 100.0))
    verdict = asyncio.run(Interval(3600, 40.0).ask(stepped))
    assert isinstance(verdict, Wait)
    assert verdict.until == START + timedelta(days=9, seconds=3540)


def test_a_boot_of_which_nothing_is_known_has_just_begun() -> None:
    verdict = rested(3600, None, secs=1e9)
    assert isinstance(verdict, Wait)
    assert "process 1 cannot be read" in verdict.reason


def test_this_boot_began_in_the_past_of_the_boot_clock() -> None:
    began_secs = boot_began_secs()
    assert began_secs is not None
    assert 0 <= began_secs <= time.clock_gettime(time.CLOCK_BOOTTIME)
