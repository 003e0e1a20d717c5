"""Every task is answered exactly once, by the part of the world that it is for, whatever happens there."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.fakes.builders import WELL, at, offers, release
from tests.fakes.clock import START, FakeClock
from tests.fakes.engine import Call, FakeEngine, FakeHost, payload_of
from tests.fakes.lock_server import ACCOUNT
from tidegate import runner as runner_module
from tidegate.discovery.base import Offers
from tidegate.errors import ErrorKind, TidegateError
from tidegate.fleetlock.account import LockAccount, LockBusy, LockGranted, LockReleased
from tidegate.fleetlock.protocol import UpdateParams
from tidegate.gates.base import Allow, Notice, Question, Verdict, Wait
from tidegate.health.base import ProbeResult
from tidegate.machine import effects
from tidegate.machine.effects import (
    AcquireLock,
    Arm,
    AskGates,
    Disarm,
    EndHandOver,
    FindOffers,
    GiveNotice,
    HandOver,
    MarkGood,
    Prune,
    ReadHealth,
    ReadHost,
    Reboot,
    ReleaseLock,
    Rollback,
    Stage,
    StartWorkload,
    StopWorkload,
    Task,
)
from tidegate.machine.events import Completed, Errored, HostView, NoticeGiven, Progressed
from tidegate.release import Purpose
from tidegate.runner import DEADLINES_SECS, Host, Runner, World
from tidegate.system.reboot import RebootAccepted, RebootAnswer, RebootKind

SECOND = release("2", 2)
NOTICE = Notice("a reboot is to come", START, ("pts/3",))
UPDATE = UpdateParams("tidegate/1", "b001")
ONE_OF_EACH: tuple[Task, ...] = (
    ReadHost(7),
    FindOffers(7, release("1")),
    Stage(7, SECOND),
    AskGates(7, SECOND, Purpose.UPDATE),
    GiveNotice(7, NOTICE),
    AcquireLock(7, ACCOUNT, UPDATE),
    ReleaseLock(7, ACCOUNT, None),
    Arm(7, SECOND),
    Disarm(7, SECOND),
    Rollback(7, SECOND),
    Reboot(7, RebootKind.REBOOT, "going down"),
    ReadHealth(7),
    MarkGood(7, release("1")),
    Prune(7, SECOND),
    HandOver(7),
    EndHandOver(7),
    StopWorkload(7),
    StartWorkload(7),
)


class Parts:
    """All parts of the world but the engine; ``error`` is raised by each, ``hang`` makes each wait for ever."""

    name = "window"
    guards = frozenset({Purpose.UPDATE})
    overridable = True

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.hang = False
        self.asked: list[object] = []

    async def _met(self, *what: object) -> None:
        self.asked.append(what)
        if self.error is not None:
            raise self.error
        if self.hang:
            await asyncio.Event().wait()

    async def shutting_down(self) -> bool:
        await self._met("shutting_down")
        return True

    async def go_down(self, kind: RebootKind, announcement: str) -> RebootAnswer:
        await self._met("go_down", kind, announcement)
        return RebootAccepted()

    async def failed_units(self) -> frozenset[str]:
        await self._met("failed_units")
        return frozenset({"sshd.service"})

    async def probe(self, failed_before: frozenset[str]) -> ProbeResult:
        await self._met("probe", failed_before)
        return WELL

    async def find(self, booted_payload: str, booted_version: str, stream: str | None = None) -> Offers:
        await self._met("find", booted_payload, booted_version)
        return offers("2")

    async def acquire(self, account: LockAccount, update: UpdateParams | None) -> LockGranted | LockBusy:
        await self._met("acquire", account, update)
        return LockBusy("no slot", 60.0)

    async def release(self, account: LockAccount, update: UpdateParams | None) -> LockReleased:
        await self._met("release", account, update)
        return LockReleased("423")

    async def tell(self, notice: Notice) -> None:
        await self._met("tell", notice)

    async def hand_over(self) -> None:
        await self._met("hand_over")

    async def end_hand_over(self) -> None:
        await self._met("end_hand_over")

    async def stop(self) -> None:
        await self._met("stop")

    async def start(self) -> None:
        await self._met("start")

    async def ask(self, question: Question) -> Verdict:
        self.asked.append(question)
        return Allow("window")


class Rig:
    """A runner over the fake engine."""

    def __init__(self) -> None:
        self.host = FakeHost("1")
        self.host.publish("2")
        self.engine = FakeEngine(self.host)
        self.parts = Parts()
        host = Host(self.engine, self.parts, self.parts, self.parts, self.parts, self.parts)
        self.runner = Runner(FakeClock(), host, World(self.parts, (self.parts,), self.parts))
        self.reports: list[Completed | Errored | Progressed] = []

    def run(self, task: Task) -> Completed | Errored:
        """Run ``task``; its one answer, which has to be the last report."""
        self.reports.clear()
        asyncio.run(self.runner.run(task, self.reports.append))
        answers = [report for report in self.reports if not isinstance(report, Progressed)]
        (answer,) = answers
        assert self.reports[-1] is answer
        assert answer.task_id == task.id
        return answer


def test_every_kind_of_task_has_a_deadline_and_a_case_here() -> None:
    assert set(DEADLINES_SECS) == {type(task) for task in ONE_OF_EACH} == set(effects.Task.__args__)


@pytest.mark.parametrize("kind", list(DEADLINES_SECS))
def test_deadlines_are_for_defects_and_leave_room_for_honest_work(kind: type[Task]) -> None:
    assert 60 <= DEADLINES_SECS[kind] <= 12 * 3600


def test_reading_the_host_is_the_engine_and_logind() -> None:
    answer = Rig().run(ReadHost(7))
    assert isinstance(answer, Completed)
    assert isinstance(answer.result, HostView)
    assert (answer.result.engine.booted.version, answer.result.shutting_down) == ("1", True)


def test_discovery_is_asked_about_the_booted_release() -> None:
    rig = Rig()
    assert rig.run(FindOffers(7, release("1"))) == Completed(7, offers("2"))
    assert rig.parts.asked == [("find", payload_of("1"), "1")]


def test_staging_reports_its_progress_and_ends_with_the_host_as_it_is_then() -> None:
    rig = Rig()
    answer = rig.run(Stage(7, SECOND))
    progress = [report.progress.fraction for report in rig.reports if isinstance(report, Progressed)]
    assert progress == [0.25, 0.5, 0.75, 1.0]
    assert isinstance(answer, Completed)
    assert isinstance(answer.result, HostView)
    assert answer.result.engine.staged is not None
    assert answer.result.engine.staged.locked


def test_arming_and_disarming_are_the_engines() -> None:
    rig = Rig()
    rig.run(Stage(7, SECOND))
    armed = rig.run(Arm(8, SECOND))
    assert isinstance(armed, Completed)
    assert isinstance(armed.result, HostView)
    assert armed.result.engine.next_boot == SECOND.payload
    disarmed = rig.run(Disarm(9, SECOND))
    assert isinstance(disarmed, Completed)
    assert isinstance(disarmed.result, HostView)
    assert disarmed.result.engine.next_boot == payload_of("1")


def test_a_good_boot_is_the_engines_to_mark() -> None:
    rig = Rig()
    rig.run(MarkGood(7, release("1")))
    assert rig.engine.calls[0] == Call("mark_good", payload_of("1"))


def test_gates_are_asked_with_the_purpose_and_the_time_of_the_question() -> None:
    rig = Rig()
    assert rig.run(AskGates(7, SECOND, Purpose.UPDATE)) == Completed(7, (Allow("window"),))
    assert rig.parts.asked == [Question(SECOND, Purpose.UPDATE, at(0))]


def test_gates_hear_whom_was_told_of_the_reboot_and_those_overridden_nothing() -> None:
    rig = Rig()
    rig.run(AskGates(7, SECOND, Purpose.UPDATE, noticed={"window": at(-5)}))
    assert rig.parts.asked == [Question(SECOND, Purpose.UPDATE, at(0), noticed={"window": at(-5)})]
    answer = rig.run(AskGates(7, SECOND, Purpose.UPDATE, frozenset({"window"})))
    assert answer == Completed(7, (Allow("window", "overridden by an operator"),))
    assert len(rig.parts.asked) == 1


def test_the_lock_servers_answers_are_passed_on() -> None:
    rig = Rig()
    assert rig.run(AcquireLock(7, ACCOUNT, UPDATE)) == Completed(7, LockBusy("no slot", 60.0))
    assert rig.run(ReleaseLock(8, ACCOUNT, None)) == Completed(8, LockReleased("423"))
    assert rig.parts.asked == [("acquire", ACCOUNT, UPDATE), ("release", ACCOUNT, None)]


def test_a_notice_goes_to_whoever_tells_people() -> None:
    rig = Rig()
    assert rig.run(GiveNotice(7, NOTICE)) == Completed(7, NoticeGiven())
    assert rig.parts.asked == [("tell", NOTICE)]


def test_gates_of_a_new_configuration_are_the_ones_that_are_asked() -> None:
    class Closed(Parts):
        async def ask(self, question: Question) -> Verdict:
            return Wait("window", "closed")

    rig = Rig()
    rig.runner.world = World(rig.parts, (Closed(),), rig.parts)
    assert rig.run(AskGates(7, SECOND, Purpose.UPDATE)) == Completed(7, (Wait("window", "closed"),))


def test_a_reboot_is_logind_with_the_announcement() -> None:
    rig = Rig()
    assert rig.run(Reboot(7, RebootKind.REBOOT, "going down")) == Completed(7, RebootAccepted())
    assert rig.parts.asked == [("go_down", RebootKind.REBOOT, "going down")]


def test_health_is_probed() -> None:
    rig = Rig()
    assert rig.run(ReadHealth(7, frozenset({"sshd.service"}))) == Completed(7, WELL)
    assert rig.parts.asked == [("probe", frozenset({"sshd.service"}))]


FALLIBLE = [task for task in ONE_OF_EACH if not isinstance(task, AskGates)]
"""Gates that fail are verdicts (see the panel)."""


def _break(rig: Rig, task: Task, error: Exception) -> None:
    """Let whatever ``task`` needs fail with ``error``."""
    rig.parts.error = error
    for verb in ("stage", "arm", "disarm", "rollback", "mark_good"):
        rig.engine.fail(verb, error)
    if isinstance(task, ReadHost):
        rig.engine.fail("status", error)


@pytest.mark.parametrize("task", FALLIBLE, ids=lambda task: type(task).__name__)
def test_an_error_of_a_part_is_passed_on_as_it_is(task: Task) -> None:
    rig = Rig()
    error = TidegateError(ErrorKind.ENGINE_NO_SPACE, "4 bytes are missing", "free some")
    _break(rig, task, error)
    assert rig.run(task) == Errored(7, error.failure)


@pytest.mark.parametrize("task", FALLIBLE, ids=lambda task: type(task).__name__)
def test_a_defect_in_a_part_is_an_answer_without_a_traceback(task: Task, caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig()
    _break(rig, task, KeyError("no such thing"))
    with caplog.at_level(logging.CRITICAL):
        answer = rig.run(task)
    assert isinstance(answer, Errored)
    assert answer.failure.kind is ErrorKind.AGENT_INTERNAL
    assert answer.failure.message == f"{type(task).__name__} failed: KeyError: 'no such thing'"
    assert "Traceback" not in answer.failure.message + answer.failure.remedy


@pytest.mark.parametrize(
    "task",
    [
        FindOffers(7, release("1")),
        Reboot(7, RebootKind.REBOOT, ""),
        ReadHealth(7),
        ReadHost(7),
        GiveNotice(7, NOTICE),
        AcquireLock(7, ACCOUNT, None),
        ReleaseLock(7, ACCOUNT, None),
    ],
    ids=lambda task: type(task).__name__,
)
def test_a_part_that_never_answers_is_given_up_at_the_deadline(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    rig.parts.hang = True
    monkeypatch.setitem(runner_module.DEADLINES_SECS, type(task), 0.001)
    answer = rig.run(task)
    assert isinstance(answer, Errored)
    assert answer.failure.kind is ErrorKind.AGENT_INTERNAL
    assert answer.failure.message == f"{type(task).__name__} was not done within 0 s"


def test_a_task_that_is_cancelled_reports_nothing() -> None:
    rig = Rig()
    rig.parts.hang = True

    async def story() -> None:
        running = asyncio.create_task(rig.runner.run(ReadHealth(7), rig.reports.append))
        await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert running.cancelled()

    asyncio.run(story())
    assert rig.reports == []
