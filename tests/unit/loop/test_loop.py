"""Events in order, tasks beside them, people answered, deadlines kept; nobody sleeps."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from tests.fakes.alarm import FakeAlarm
from tests.fakes.asyncs import SCENARIO_SECS
from tests.fakes.builders import BOOT, BROKEN, host, offers
from tests.fakes.clock import FakeClock
from tidegate.clock import Now
from tidegate.errors import ErrorKind, TidegateError
from tidegate.loop import Keeper, Loop
from tidegate.machine.effects import WARNING, Announce, FindOffers, ReadHost, Stage, Task
from tidegate.machine.events import ApplyAsked, CheckAsked, Completed, Errored, ShutdownSignal
from tidegate.machine.phases.steady import Steady
from tidegate.machine.state import Policy, State
from tidegate.records.model import Records
from tidegate.runner import Report

MANUAL = Policy(enabled=False)


class Nowhere:
    """A store for records that nobody looks at."""

    def load(self) -> Records:
        return Records()

    def save(self, records: Records) -> None:
        pass


class Script:
    """Answers reading the host and asking discovery; any other task waits for ever. Notes what was run."""

    def __init__(self, fails: bool = False) -> None:
        self.run_tasks: list[type[Task]] = []
        self.cancelled: list[type[Task]] = []
        self.fails = fails
        self.found = offers()

    async def run(self, task: Task, report: Report) -> None:
        self.run_tasks.append(type(task))
        match task:
            case ReadHost():
                report(Completed(task.id, host()))
            case FindOffers() if self.fails:
                report(Errored(task.id, BROKEN))
            case FindOffers():
                report(Completed(task.id, self.found))
            case _:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    self.cancelled.append(type(task))
                    raise


class Bench:
    """A loop on a fake clock. ``seen`` has the states in order."""

    def __init__(self, policy: Policy, script: Script) -> None:
        self.clock = FakeClock()
        self.alarm = FakeAlarm(self.clock)
        self.seen: list[State] = []
        self.keeper = Keeper(self.clock, Nowhere(), BOOT, policy, Records())
        self.script = script
        self.loop = Loop(self.clock, self.alarm, self.keeper, script, self.observe)

    def observe(self, state: State, _: Now) -> None:
        self.seen.append(state)

    async def settle(self) -> None:
        """Let everything happen that is to happen now."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def until(self, holds: Callable[[], bool]) -> None:
        for _ in range(10_000):
            if holds():
                return
            await asyncio.sleep(0)
        raise AssertionError(f"it never came to that; last: {self.loop.state}")


def play(bench: Bench, story: Callable[[], Awaitable[None]]) -> None:
    """Run the loop, and ``story`` beside it; then stop the loop as the agent does."""

    async def both() -> None:
        running = asyncio.create_task(bench.loop.run())
        try:
            async with asyncio.timeout(SCENARIO_SECS):
                await story()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        assert running.cancelled()

    asyncio.run(both())


def test_the_loop_starts_by_reading_the_host_and_shows_every_state() -> None:
    bench = Bench(MANUAL, script := Script())

    async def story() -> None:
        await bench.until(lambda: isinstance(bench.loop.state.phase, Steady))

    play(bench, story)
    assert script.run_tasks == [ReadHost]
    assert [type(state.phase).__name__ for state in bench.seen] == ["Starting", "Steady"]


def test_a_person_gets_the_answer_of_the_machine() -> None:
    bench = Bench(MANUAL, script := Script())

    async def story() -> None:
        await bench.until(lambda: isinstance(bench.loop.state.phase, Steady))
        assert await bench.loop.ask(CheckAsked) == "no newer release is offered"

    play(bench, story)
    assert script.run_tasks == [ReadHost, FindOffers]


def test_a_person_gets_the_failure_of_the_machine_as_an_error() -> None:
    bench = Bench(MANUAL, Script(fails=True))

    async def story() -> None:
        await bench.until(lambda: isinstance(bench.loop.state.phase, Steady))
        with pytest.raises(TidegateError) as caught:
            await bench.loop.ask(CheckAsked)
        assert caught.value.failure == BROKEN

    play(bench, story)


def test_several_people_are_told_apart() -> None:
    bench = Bench(MANUAL, Script())

    async def story() -> None:
        await bench.until(lambda: isinstance(bench.loop.state.phase, Steady))
        answers = await asyncio.gather(
            bench.loop.ask(CheckAsked),
            bench.loop.ask(lambda number: ApplyAsked(number, "now")),
            bench.loop.ask(CheckAsked),
            return_exceptions=True,
        )
        assert answers[0] == answers[2] == "no newer release is offered"
        assert isinstance(answers[1], TidegateError)
        assert answers[1].kind is ErrorKind.AGENT_NOTHING_TO_APPLY

    play(bench, story)


def test_a_person_who_gives_up_is_forgotten_and_nobody_else_suffers() -> None:
    bench = Bench(MANUAL, Script())

    async def story() -> None:
        await bench.until(lambda: isinstance(bench.loop.state.phase, Steady))
        gone = asyncio.create_task(bench.loop.ask(CheckAsked))
        await asyncio.sleep(0)
        gone.cancel()
        assert await bench.loop.ask(CheckAsked) == "no newer release is offered"
        assert gone.cancelled()

    play(bench, story)


def test_the_loop_wakes_at_the_deadline_of_the_boot_clock_and_not_before() -> None:
    bench = Bench(Policy(steady_interval_secs=300), script := Script())

    async def story() -> None:
        await bench.until(lambda: script.run_tasks.count(FindOffers) == 1 and bench.alarm.deadline is not None)
        due_secs = (bench.alarm.deadline or 0.0) - 100.0
        assert 300.0 <= due_secs <= 330.0
        for wait_secs, checks in ((due_secs - 0.002, 1), (0.002, 2)):
            bench.alarm.advance(wait_secs)
            await bench.settle()
            assert script.run_tasks.count(FindOffers) == checks

    play(bench, story)


def test_a_deadline_that_passed_in_suspend_is_kept_on_resume() -> None:
    bench = Bench(Policy(steady_interval_secs=300), script := Script())

    async def story() -> None:
        await bench.until(lambda: script.run_tasks.count(FindOffers) == 1 and bench.alarm.deadline is not None)
        bench.alarm.advance(8 * 3600)
        await bench.until(lambda: script.run_tasks.count(FindOffers) == 2)
        await bench.until(lambda: bench.alarm.deadline == pytest.approx(100.0 + 8 * 3600 + 315, abs=15))

    play(bench, story)


def test_the_machine_hears_of_a_clock_that_is_set() -> None:
    script = Script()
    script.found = offers("2")
    bench = Bench(Policy(), script)

    async def story() -> None:
        await bench.until(lambda: Stage in script.run_tasks)
        states = len(bench.seen)
        bench.alarm.step_wall(-3600)
        await bench.until(lambda: len(bench.seen) == states + 1)

    play(bench, story)


def test_without_a_deadline_the_loop_does_not_wake() -> None:
    bench = Bench(MANUAL, Script())

    async def story() -> None:
        await bench.until(lambda: isinstance(bench.loop.state.phase, Steady))
        states = len(bench.seen)
        assert bench.alarm.deadline is None
        bench.alarm.advance(1e6)
        await bench.settle()
        assert len(bench.seen) == states

    play(bench, story)
    assert not bench.alarm.listening


def test_events_from_outside_are_taken_in_their_order() -> None:
    bench = Bench(MANUAL, Script())

    async def story() -> None:
        await bench.until(lambda: isinstance(bench.loop.state.phase, Steady))
        for active in (True, False, True):
            bench.loop.post(ShutdownSignal(active=active))
        await bench.until(lambda: len(bench.seen) == 5)
        assert [state.shutting_down for state in bench.seen[-3:]] == [True, False, True]

    play(bench, story)


def test_tasks_under_way_are_cancelled_when_the_loop_stops() -> None:
    script = Script()
    script.found = offers("2")
    bench = Bench(Policy(), script)

    async def story() -> None:
        await bench.until(lambda: Stage in script.run_tasks)

    play(bench, story)
    assert script.cancelled == [Stage]


def test_what_is_announced_goes_to_the_journal_with_its_level(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(Policy(), Script(fails=True))

    async def story() -> None:
        await bench.until(lambda: bench.loop.state.poll.failures == 1)

    with caplog.at_level(logging.INFO, "tidegate.loop"):
        play(bench, story)
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.WARNING, "check failed: the engine broke")
    ]


def test_a_herald_hears_of_each_decision_with_the_state_that_was_shown_before() -> None:
    bench = Bench(Policy(), Script(fails=True))
    heard: list[tuple[str, int, bool]] = []

    def herald(said: Announce, state: State) -> None:
        heard.append((said.text, said.level, state is bench.seen[-1]))

    bench.loop = Loop(bench.clock, bench.alarm, bench.keeper, bench.script, bench.observe, herald)

    async def story() -> None:
        await bench.until(lambda: bench.loop.state.poll.failures == 1)

    play(bench, story)
    assert heard == [("check failed: the engine broke", WARNING, True)]
