"""All gates of a host: the order, what each learns from those before it, and that they fail closed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from tests.fakes.builders import at, release
from tests.fakes.clock import START
from tidegate.errors import ErrorKind, TidegateError
from tidegate.gates import gate_set
from tidegate.gates.base import Allow, Question, Verdict, Wait
from tidegate.machine.effects import AskGates
from tidegate.release import Purpose
from tidegate.runner import DEADLINES_SECS

QUESTION = Question(release("2"), Purpose.UPDATE, at(0))


class Scripted:
    """Gives scripted answers, and records the questions."""

    def __init__(
        self,
        name: str,
        answer: Verdict | Exception | None,
        guards: frozenset[Purpose] = frozenset(Purpose),
        *,
        overridable: bool = True,
    ) -> None:
        self.name = name
        self.guards = guards
        self.overridable = overridable
        self.asked: list[Question] = []
        self._answer = answer

    async def ask(self, question: Question) -> Verdict:
        self.asked.append(question)
        match self._answer:
            case None:
                await asyncio.Event().wait()
                raise AssertionError
            case Exception() as error:
                raise error
            case verdict:
                return verdict


def ask(gates: Sequence[Scripted], *overrides: str) -> tuple[Verdict, ...]:
    return asyncio.run(gate_set.ask_all(gates, QUESTION, frozenset(overrides)))


def test_the_verdicts_come_in_the_order_of_the_gates() -> None:
    assert ask([Scripted("a", Allow("a")), Scripted("b", Allow("b"))]) == (Allow("a"), Allow("b"))


def test_every_reason_to_wait_is_reported() -> None:
    waits = Wait("b", "held"), Wait("c", "held, too")
    gates = [Scripted("a", Allow("a")), *(Scripted(wait.gate, wait) for wait in waits), Scripted("d", Allow("d"))]
    assert ask(gates) == (Allow("a"), *waits, Allow("d"))
    assert [gate.asked for gate in gates] == [[QUESTION]] * 4


def test_a_gate_learns_until_when_those_before_it_allow() -> None:
    """The earliest end counts, of those that allow; a wait ends nothing."""
    later, soon = START + timedelta(hours=2), START + timedelta(hours=1)
    gates = [
        Scripted("a", Allow("a", until=later)),
        Scripted("b", Allow("b", until=soon)),
        Scripted("c", Allow("c", until=later)),
        Scripted("d", Wait("d", "shut", START)),
        Scripted("e", Allow("e")),
    ]
    ask(gates)
    heard = [[question.allowed_until for question in gate.asked] for gate in gates]
    assert heard == [[None], [later], [soon], [soon], [soon]]


def test_an_operator_may_override_an_overridable_gate_by_name() -> None:
    soft = Scripted("soft", Wait("soft", "held"))
    hard = Scripted("hard", Wait("hard", "held"), overridable=False)
    other = Scripted("other", Wait("other", "held"))
    verdicts = ask([soft, hard, other], "soft", "hard", "no-such-gate")
    assert [verdict.gate for verdict in verdicts if isinstance(verdict, Wait)] == ["hard", "other"]
    assert soft.asked == []


def test_a_gate_is_asked_about_the_purposes_that_it_guards_and_no_other() -> None:
    other = Scripted("strategy", Wait("strategy", "closed"), frozenset({Purpose.MANUAL, Purpose.ROLLBACK}))
    assert ask([other, Scripted("b", Allow("b"))]) == (Allow("b"),)
    assert other.asked == []


@pytest.mark.parametrize(
    ("error", "wait"),
    [
        (
            TidegateError(ErrorKind.BUS_UNREACHABLE, "no bus", "start dbus"),
            Wait("a", "no answer: no bus", remedy="start dbus"),
        ),
        (ValueError("nonsense"), Wait("a", "internal error in the gate: ValueError: nonsense")),
    ],
)
def test_a_gate_that_fails_holds_the_reboot(error: Exception, wait: Wait) -> None:
    behind = Scripted("b", Allow("b"))
    assert ask([Scripted("a", error), behind]) == (wait, Allow("b"))


def test_a_gate_that_never_answers_holds_the_reboot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_set, "GATE_TIMEOUT_SECS", 0.001)
    (verdict,) = ask([Scripted("a", None)])
    assert verdict == Wait("a", "no answer within 0 s")


def test_one_gate_has_less_time_than_all_together() -> None:
    assert DEADLINES_SECS[AskGates] > gate_set.GATE_TIMEOUT_SECS


def test_without_gates_nothing_holds_the_reboot() -> None:
    assert ask([]) == ()
