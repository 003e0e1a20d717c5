"""All gates together: in order, up to the first no, and closed where one cannot answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tests.fakes.builders import at, release
from tidegate.errors import ErrorKind, TidegateError
from tidegate.gates import panel
from tidegate.gates.base import Allow, Question, Verdict, Wait
from tidegate.machine.effects import AskGates
from tidegate.purpose import Purpose
from tidegate.runner import DEADLINES_SECS

QUESTION = Question(release("2"), Purpose.UPDATE, at(0))


class Scripted:
    """Answers as it is told; notes that it was asked."""

    def __init__(
        self, name: str, answer: Verdict | Exception | None, guards: frozenset[Purpose] = frozenset(Purpose)
    ) -> None:
        self.name = name
        self.guards = guards
        self.asked = 0
        self._answer = answer

    async def ask(self, question: Question) -> Verdict:
        assert question == QUESTION
        self.asked += 1
        match self._answer:
            case None:
                await asyncio.Event().wait()
                raise AssertionError
            case Exception() as error:
                raise error
            case verdict:
                return verdict


def ask(gates: Sequence[Scripted]) -> tuple[Verdict, ...]:
    return asyncio.run(panel.ask_all(gates, QUESTION))


def test_the_verdicts_come_in_the_order_of_the_gates() -> None:
    assert ask([Scripted("a", Allow("a")), Scripted("b", Allow("b"))]) == (Allow("a"), Allow("b"))


def test_a_gate_behind_one_that_waits_is_not_asked() -> None:
    """A fleet lock is taken by asking for it: it comes last, and not while something local says no."""
    last = Scripted("lock", Allow("lock"))
    assert ask([Scripted("a", Allow("a")), Scripted("b", Wait("b", "held")), last]) == (Allow("a"), Wait("b", "held"))
    assert last.asked == 0


def test_a_gate_is_asked_about_the_purposes_that_it_guards_and_no_other() -> None:
    other = Scripted("strategy", Wait("strategy", "closed"), frozenset({Purpose.MANUAL, Purpose.ROLLBACK}))
    assert ask([other, Scripted("b", Allow("b"))]) == (Allow("b"),)
    assert other.asked == 0


@pytest.mark.parametrize(
    ("error", "wait"),
    [
        (
            TidegateError(ErrorKind.BUS_UNREACHABLE, "no bus", "start dbus"),
            Wait("a", "no answer: no bus", remedy="start dbus"),
        ),
        (ValueError("nonsense"), Wait("a", "the gate failed: ValueError: nonsense")),
    ],
)
def test_a_gate_that_fails_holds_the_reboot(error: Exception, wait: Wait) -> None:
    behind = Scripted("b", Allow("b"))
    assert ask([Scripted("a", error), behind]) == (wait,)
    assert behind.asked == 0


def test_a_gate_that_never_answers_holds_the_reboot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panel, "ANSWER_DEADLINE_SECS", 0.001)
    (verdict,) = ask([Scripted("a", None)])
    assert verdict == Wait("a", "no answer within 0 s")


def test_one_gate_has_less_time_than_all_together() -> None:
    assert DEADLINES_SECS[AskGates] > panel.ANSWER_DEADLINE_SECS


def test_without_gates_nothing_holds_the_reboot() -> None:
    assert ask([]) == ()
