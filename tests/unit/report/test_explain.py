"""Why a host has not rebooted: every rule has its row, asking has no consequence, and none can be had from here."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import cast

import pytest

from tests.fakes import agent_walks as walks
from tests.fakes.alarm import FakeAlarm
from tests.fakes.asyncs import run, until
from tests.fakes.builders import (
    ALLOW,
    BAD_CONFIG,
    BOOT,
    WAIT,
    Walk,
    arming,
    host,
    offers,
    requesting,
    staged,
    steady,
)
from tests.fakes.clock import START, FakeClock
from tests.fakes.engine import payload_of
from tidegate.clock import Now
from tidegate.errors import ErrorKind, TidegateError
from tidegate.fleetlock.account import LockReleased
from tidegate.gates.base import Allow, Gate, Notice, Question, Verdict, Wait
from tidegate.gates.registry import all_specs
from tidegate.loop import Keeper, Loop
from tidegate.machine.effects import FindOffers, ReadHost, ReleaseLock, Stage, Task
from tidegate.machine.events import Completed, PolicyChanged, StageAsked
from tidegate.machine.phases.executing import Executing
from tidegate.machine.phases.waiting import Staged
from tidegate.machine.plan import PlanStep
from tidegate.machine.state import Policy, State
from tidegate.records.codec import decode, encode
from tidegate.records.model import Records
from tidegate.release import Purpose
from tidegate.report.explain import Explainer, Row, explanation, gate_rows, last_verdicts, waits_of
from tidegate.runner import Report
from tidegate.system.reboot import RebootRefused

DOCUMENT_KEYS = ["schema", "verdict", "purpose", "release", "staged", "since", "gates"]
ROW_KEYS = ["gate", "verdict", "reason", "since", "until", "remedy"]
TWO = {"version": "2", "payload": payload_of("2")}


@dataclass
class Asked:
    """A gate of which a test knows what it says and what it was asked."""

    name: str
    says: Callable[[Question], Verdict]
    guards: frozenset[Purpose] = frozenset(Purpose)
    overridable: bool = True
    questions: list[Question] = field(default_factory=list[Question])

    async def ask(self, question: Question) -> Verdict:
        self.questions.append(question)
        await asyncio.sleep(0)
        return self.says(question)


def allowing(name: str, until_secs: float | None = None) -> Asked:
    end = None if until_secs is None else START + timedelta(seconds=until_secs)
    return Asked(name, lambda _: Allow(name, until=end))


def explained(walk: Walk, *gates: Gate) -> dict[str, object]:
    """The document as people get it, through JSON."""
    explainer = Explainer(FakeClock(), lambda: gates, lambda: walk.state)
    told: dict[str, object] = json.loads(json.dumps(asyncio.run(explainer.explain())))
    return told


def rows_of(document: dict[str, object]) -> list[Row]:
    return cast("list[Row]", document["gates"])


def row(document: dict[str, object], gate: str) -> Row:
    (only,) = [found for found in rows_of(document) if found["gate"] == gate]
    return only


def names(document: dict[str, object]) -> list[tuple[object, object]]:
    return [(found["gate"], found["verdict"]) for found in rows_of(document)]


# --------------------------------------------------------------------------- the shape


@pytest.mark.parametrize("walk", walks.EVERY, ids=[made.__name__ for made in walks.EVERY])
def test_the_document_has_the_documented_shape_in_every_situation(walk: Callable[[], Walk]) -> None:
    told = explained(walk(), allowing("immediate"), Asked("window", lambda _: WAIT[0]))
    assert list(told) == DOCUMENT_KEYS
    assert (told["schema"], told["verdict"]) == (1, "wait")
    assert isinstance(told["staged"], bool)
    for found in rows_of(told):
        assert list(found) == ROW_KEYS
        assert found["verdict"] in {"allow", "wait", "not_asked"}
        assert all(isinstance(found[key], str) for key in ("gate", "reason", "remedy"))
        assert all(found[key] is None or isinstance(found[key], str) for key in ("since", "until"))


@pytest.mark.parametrize("walk", walks.EVERY, ids=[made.__name__ for made in walks.EVERY])
def test_no_gate_has_two_rows_and_what_waits_comes_first(walk: Callable[[], Walk]) -> None:
    state = walk().state
    for found in (gate_rows(state, last_verdicts(state)), rows_of(explanation(state, (*ALLOW, WAIT[0])))):
        waiting = [one["verdict"] == "wait" for one in found]
        assert waiting == sorted(waiting, reverse=True)
    gates = [one["gate"] for one in gate_rows(state, last_verdicts(state))]
    assert len(gates) == len(set(gates))


@pytest.mark.parametrize("walk", walks.EVERY, ids=[made.__name__ for made in walks.EVERY])
def test_the_verdict_is_wait_where_anything_holds_the_reboot(walk: Callable[[], Walk]) -> None:
    state = walk().state
    told = explanation(state, last_verdicts(state))
    assert (told["verdict"] == "wait") == bool(waits_of(state))
    assert [wait.gate for wait in waits_of(state)] == [gate for gate, said in names(told) if said == "wait"]


# --------------------------------------------------------------------------- the rows


def test_a_staged_release_that_nothing_holds() -> None:
    told = explained(walks.fleet_staged(), allowing("immediate"), allowing("periodic", 3600))
    assert told == {
        "schema": 1,
        "verdict": "allow",
        "purpose": "update",
        "release": TWO,
        "staged": True,
        "since": "2026-03-02T10:00:00Z",
        "gates": [
            {"gate": "immediate", "verdict": "allow", "reason": "", "since": None, "until": None, "remedy": ""},
            {
                "gate": "periodic",
                "verdict": "allow",
                "reason": "",
                "since": None,
                "until": "2026-03-02T11:00:00Z",
                "remedy": "",
            },
            {
                "gate": "fleet_lock",
                "verdict": "not_asked",
                "reason": "asked last, when every other gate allows",
                "since": None,
                "until": None,
                "remedy": "",
            },
        ],
    }


def test_a_gate_that_waits_has_all_that_is_known_of_it() -> None:
    """Since when is what the records have; the rest is what the gate says now, not what it said then."""
    opening = START + timedelta(hours=2)
    now = Asked("window", lambda _: Wait("window", "closed for longer", opening, "wait until noon"))
    assert row(explained(walks.waits(), now), "window") == {
        "gate": "window",
        "verdict": "wait",
        "reason": "closed for longer",
        "since": "2026-03-02T10:00:00Z",
        "until": "2026-03-02T12:00:00Z",
        "remedy": "wait until noon",
    }


def test_a_gate_that_waited_when_it_was_asked_last_and_allows_now_allows() -> None:
    told = explained(walks.waits(), allowing("window"))
    assert (told["verdict"], names(told)) == ("allow", [("window", "allow")])


def test_a_gate_that_cannot_answer_waits() -> None:
    def broken(_: Question) -> Verdict:
        raise TidegateError(ErrorKind.BUS_TIMEOUT, "logind does not answer", "see logind")

    assert names(explained(staged(), Asked("inhibitors", broken))) == [("inhibitors", "wait")]


def test_a_bad_configuration_is_a_row_with_or_without_a_staged_release() -> None:
    for walk in (walks.blocked(), walks.blocked_staged()):
        told = explained(walk, allowing("immediate"))
        assert names(told) == [("config", "wait"), ("immediate", "allow")]
        assert (row(told, "config")["reason"], row(told, "config")["remedy"]) == (BAD_CONFIG.message, BAD_CONFIG.remedy)


def test_unreadable_records_are_a_row() -> None:
    found = row(explained(walks.sealed()), "record")
    assert (found["verdict"], found["reason"]) == ("wait", "records.json: torn")


def test_every_reason_of_the_agent_and_of_its_phases_is_a_gate_with_a_specification() -> None:
    known = {spec.name for spec in all_specs()} | {"window"}  # the gate of the scenarios
    for made in walks.EVERY:
        assert {wait.gate for wait in waits_of(made().state)} <= known, made.__name__


def test_a_pin_and_disabled_updates_are_two_rows() -> None:
    walk = walks.disabled_staged()
    walk.state = replace(walk.state, policy=replace(walk.state.policy, pin="7"))
    assert [row(explained(walk), name)["verdict"] for name in ("updates", "version_policy")] == ["wait", "wait"]


def test_a_record_of_an_older_agent_may_name_a_gate_otherwise() -> None:
    """It called a pin ``updates``: the row is there, and since when it waits is not known."""
    walk = walks.disabled_staged()
    waiting = walk.state.records.waiting
    assert waiting is not None
    records = replace(walk.state.records, waiting=replace(waiting, gates={"updates": START}))
    walk.state = replace(walk.state, policy=replace(walk.state.policy, enabled=True, pin="7"), records=records)
    assert decode(encode(records)) == records
    assert row(explained(walk), "version_policy")["since"] is None


def test_updates_that_are_disabled_are_a_row_with_the_way_round() -> None:
    for walk in (walks.disabled(), walks.disabled_staged()):
        found = row(explained(walk), "updates")
        assert (found["verdict"], found["reason"]) == ("wait", "updates.enabled is false")
        assert found["remedy"] == "tidegate apply --now --reason TEXT"


def test_since_when_updates_are_disabled_is_known_where_a_release_waits() -> None:
    assert row(explained(walks.disabled_staged()), "updates")["since"] == "2026-03-02T10:00:00Z"


def test_attempts_that_came_to_nothing_are_a_row() -> None:
    found = row(explained(walks.exhausted(), allowing("immediate")), "attempts")
    assert found["reason"] == "3 consecutive attempts failed, the last one: power cut"
    assert "apply --now" in str(found["remedy"])


def test_a_lock_that_is_owed_is_a_row_with_the_reason_why_it_is_still_owed() -> None:
    told = explained(walks.owed(), allowing("immediate"))
    assert names(told) == [("fleet_lock", "wait"), ("immediate", "allow")]
    reason = str(row(told, "fleet_lock")["reason"])
    assert reason.startswith("the lock of group workers at https://lock.example/ has not been released yet")
    assert reason.endswith(": no answer within 30 s")


def test_a_lock_server_that_was_not_reached_since_the_start_is_a_row() -> None:
    found = row(explained(walks.startup_release()), "fleet_lock")
    assert found["verdict"] == "wait"
    assert "was not reached since the agent's start: no answer within 30 s" in str(found["reason"])


def test_a_lock_that_was_denied_is_told_as_it_was_denied() -> None:
    """Asking again would take it: the row has the server's last word, since when, and when it is asked again."""
    assert row(explained(walks.denied_lock(), allowing("immediate")), "fleet_lock") == {
        "gate": "fleet_lock",
        "verdict": "wait",
        "reason": "no slot is free at https://lock.example/: 2 of 2 slots are taken",
        "since": "2026-03-02T10:00:00Z",
        "until": "2026-03-02T10:10:00Z",
        "remedy": "wait for it, or: tidegate apply --now --override fleet_lock --reason TEXT",
    }


@pytest.mark.parametrize("walk", [walks.fleet_arming, walks.relocking])
def test_a_lock_that_is_in_use_is_neither_owed_nor_unasked(walk: Callable[[], Walk]) -> None:
    told = explained(walk(), allowing("immediate"))
    assert told["verdict"] == "allow"
    assert row(told, "fleet_lock")["verdict"] == "allow"
    assert row(told, "fleet_lock")["reason"] == f"held: {walks.PLACE}"


def test_a_lock_that_is_being_asked_for_holds_nothing_by_that() -> None:
    assert waits_of(walks.locking().state) == ()


def test_the_last_word_of_logind_and_of_the_engine_stands_until_they_are_tried_again() -> None:
    refused = (
        requesting().answer(RebootRefused("a backup holds shutdowns back", "wait for it")).answer(host(staged="2"))
    )
    found = row(explained(refused, allowing("window")), "logind")
    assert (found["verdict"], found["reason"]) == ("wait", "a backup holds shutdowns back")
    broken = arming().fail().answer(host(staged="2"))
    assert row(explained(broken, allowing("window")), "engine")["reason"] == "the engine broke"


def test_without_the_strategy_the_lock_has_no_row() -> None:
    assert names(explained(walks.waits(), allowing("window"))) == [("window", "allow")]


def test_nothing_staged_is_said_and_the_gates_are_asked_all_the_same() -> None:
    gate = allowing("immediate")
    told = explained(walks.checked(), gate)
    assert (told["release"], told["staged"], told["since"], told["verdict"]) == (None, False, None, "allow")
    assert [question.purpose for question in gate.questions] == [Purpose.UPDATE]


@pytest.mark.parametrize(
    ("walk", "gate", "reason"),
    [
        (walks.starting, "host", "the host has not been read yet"),
        (walks.unread, "host", "the host has not been read yet: the engine broke"),
        (walks.pending, "health", "this boot is being verified: boot-complete: boot-complete.target is activating"),
        (walks.paused, "health", "this boot is unhealthy: sshd: sshd.service failed"),
    ],
)
def test_what_has_to_be_over_first_is_a_row(walk: Callable[[], Walk], gate: str, reason: str) -> None:
    told = explained(walk(), allowing("immediate"))
    assert (told["verdict"], told["release"], told["staged"]) == ("wait", None, False)
    assert row(told, gate)["reason"] == reason


@pytest.mark.parametrize("walk", [walks.locking, walks.relocking, walks.rebooting])
def test_a_release_on_its_way_into_the_boot_is_staged(walk: Callable[[], Walk]) -> None:
    told = explained(walk())
    assert (told["release"], told["staged"], told["since"]) == (TWO, True, None)


def test_a_person_who_applies_is_not_held_by_what_holds_the_agent_alone() -> None:
    """The rows are those of the order that is being carried out."""
    walk = walks.fleet_arming()
    walk.state = replace(walk.state, policy=replace(walk.state.policy, enabled=False))
    assert "updates" in [wait.gate for wait in waits_of(walk.state)]
    phase = walk.state.phase
    assert isinstance(phase, Executing)
    assert phase.step is PlanStep.ARM
    mandate = replace(phase.mandate, request=7)
    walk.state = replace(walk.state, phase=replace(phase, mandate=mandate))
    assert waits_of(walk.state) == ()


def test_the_gates_in_force_now_are_asked_about_the_release_that_is_staged() -> None:
    walk, gate = walks.waits(), allowing("immediate")
    walk.state = replace(walk.state, noticed={"sessions": Now(START, 100.0)})
    explained(walk, gate)
    (question,) = gate.questions
    assert (question.target.version, question.purpose, question.now.wall) == ("2", Purpose.UPDATE, START)
    assert dict(question.noticed) == {"sessions": Now(START, 100.0)}


def test_the_rows_are_of_the_state_after_the_gates_have_answered() -> None:
    """A gate may take seconds; what has changed meanwhile is what counts."""
    walk = walks.waits()

    def meanwhile(_: Question) -> Verdict:
        walk.feed(PolicyChanged(walks.MANUAL))
        return Allow("slow")

    assert names(explained(walk, Asked("slow", meanwhile))) == [("updates", "wait"), ("slow", "allow")]


# --------------------------------------------------------------------------- without a consequence


class Script:
    """Leads an agent to a staged release. Nothing of a reboot can be asked of it: it has no answer to that."""

    def __init__(self) -> None:
        self.run_tasks: list[type[Task]] = []

    async def run(self, task: Task, report: Report) -> None:
        self.run_tasks.append(type(task))
        match task:
            case ReadHost():
                report(Completed(task.id, host()))
            case FindOffers():
                report(Completed(task.id, offers("2")))
            case Stage():
                report(Completed(task.id, host(staged="2")))
            case ReleaseLock():
                report(Completed(task.id, LockReleased()))
            case _:
                raise AssertionError(f"nobody asked for {task}")


class Memory:
    """A store that counts."""

    def __init__(self) -> None:
        self.saved: list[Records] = []

    def load(self) -> Records:
        return Records()

    def save(self, records: Records) -> None:
        self.saved.append(records)


@asynccontextmanager
async def resting(script: Script, store: Memory, seen: list[State]) -> AsyncGenerator[Loop]:
    """A whole agent, without automatic updates, that has nothing to do."""
    clock = FakeClock()
    policy = replace(walks.FLEET, enabled=False)
    keeper = Keeper(clock, store, BOOT, policy, Records())
    loop = Loop(clock, FakeAlarm(clock), keeper, script, lambda state, _: seen.append(state))
    running = asyncio.create_task(loop.run())
    try:
        await until(lambda: ReleaseLock in script.run_tasks)
        await loop.ask(StageAsked)
        yield loop
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def test_a_hundred_explanations_post_no_event_change_no_state_and_write_nothing() -> None:
    notice = Notice("the host goes down", START + timedelta(minutes=10))
    gates: Sequence[Asked] = (
        allowing("immediate"),
        Asked("sessions", lambda _: Wait("sessions", "root on tty1", notice.until, "loginctl", notice)),
    )

    async def scenario() -> None:
        script, store, seen = Script(), Memory(), list[State]()
        async with resting(script, store, seen) as loop:
            before = (loop.state, list(script.run_tasks), list(store.saved), len(seen))
            explainer = Explainer(FakeClock(), lambda: gates, lambda: loop.state)
            asking: list[Awaitable[dict[str, object]]] = [explainer.explain() for _ in range(100)]
            told = await asyncio.gather(*asking)
            for _ in range(20):  # an event that had been posted would be taken by now
                await asyncio.sleep(0)
            assert (loop.state, list(script.run_tasks), list(store.saved), len(seen)) == before
            assert loop.state is before[0]
        assert isinstance(before[0].phase, Staged)
        assert len(gates[0].questions) == 100
        assert {one["verdict"] for one in told} == {"wait"}

    run(scenario())


def test_no_explanation_asks_the_lock_server_whatever_the_gates_say() -> None:
    """The script has no answer to AcquireLock, and the row says that nobody asked."""
    told = explained(walks.fleet_staged(), allowing("immediate"))
    assert row(told, "fleet_lock")["verdict"] == "not_asked"


def test_an_explanation_of_an_idle_host_is_about_an_update_and_knows_no_release() -> None:
    gate = allowing("immediate")
    explained(steady(Policy()), gate)
    assert gate.questions[0].target.version == "?"
