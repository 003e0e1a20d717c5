"""Checks of addresses with real workers and a server that misbehaves."""

from __future__ import annotations

import asyncio

import pytest

from tests.fakes.http_misbehaving import Behaviour, answers, drips, resets, serving, silent
from tidegate.health.base import Weight
from tidegate.health.check import CheckResult
from tidegate.health.checks.http import HttpCheck
from tidegate.health.http import HttpAnswers
from tidegate.net.client import NetClient


def ask(check: HttpCheck) -> CheckResult:
    return asyncio.run(HttpAnswers(check, NetClient(), asyncio.Semaphore(1)).run())


def asked(behaviour: Behaviour, *, contains: str | None = None, timeout_secs: int = 20) -> CheckResult:
    with serving(behaviour) as server:
        return ask(HttpCheck("a", server.url("/"), contains=contains, timeout_secs=timeout_secs))


def test_a_server_that_answers() -> None:
    with serving(answers(b"all is well")) as server:
        seen = ask(HttpCheck("a", server.url("/well"), contains="is well", timeout_secs=20))
        assert seen == CheckResult(passed=True, detail=f"{server.url('/well')} answers 200 OK")
        assert "accept: */*" in server.requests[0].lower()


@pytest.mark.parametrize(
    ("behaviour", "timeout_secs", "detail"),
    [
        (answers(b"overloaded", "503 Service Unavailable"), 20, "answers 503 Service Unavailable: overloaded"),
        (resets(), 20, "http://127.0.0.1:"),
        (silent, 1, "no "),
        (drips(b"x" * 1000), 1, "no whole answer within 1 s"),
    ],
)
def test_one_that_does_not(behaviour: Behaviour, timeout_secs: int, detail: str) -> None:
    seen = asked(behaviour, timeout_secs=timeout_secs)
    assert not seen.passed
    assert detail in seen.detail


def test_what_it_counts_for() -> None:
    check = HttpAnswers(HttpCheck("a", "http://h/"), NetClient(), asyncio.Semaphore(1))
    assert (check.name, check.weight) == ("http/a", Weight.ADVISORY)
