"""Woken at deadlines and when the clock is set: by the kernel's timers, without them, and by the fake that the loop's
tests use. Nobody sleeps: what is waited for is past already, or time is the test's own."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import selectors
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import timedelta

import pytest

from tests.fakes.alarm import FakeAlarm
from tests.fakes.asyncs import run
from tests.fakes.clock import FakeClock
from tidegate.clock import Clock, SystemClock
from tidegate.system.alarm import POLL_SECS, SLEWED_SECS, Alarm, SystemAlarm

YEAR_9999_SECS = 2.5e11


class Heard:
    """What an alarm has told, and when."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.due_at: list[float] = []
        self.sets = 0

    def due(self) -> None:
        self.due_at.append(self._clock.now().boot_secs)

    def clock_set(self) -> None:
        self.sets += 1


async def turns() -> None:
    """Let the event loop look at its descriptors a few times."""
    for _ in range(5):
        await asyncio.sleep(0)


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - the folder's own descriptor is counted alike both times


@contextmanager
def no_descriptors_left() -> Generator[None, None, None]:
    """As good as a sandbox without timerfd: the kernel refuses to make one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# --- the kernel's timers -----------------------------------------------------------------------------------------


def test_a_deadline_that_is_past_is_told_once_at_once() -> None:
    heard = Heard(clock := SystemClock())

    async def scenario() -> None:
        with SystemAlarm(clock).listen(heard.due, heard.clock_set) as wake_at:
            wake_at(clock.now().boot_secs - 5)
            await turns()
            assert len(heard.due_at) == 1
            wake_at(clock.now().boot_secs - 5)
            await turns()
            assert len(heard.due_at) == 2, "and each that is set anew"

    run(scenario())


@pytest.mark.parametrize("never_yet", [0.0, -3.0])
def test_the_start_of_the_boot_clock_is_a_deadline_like_any_other(never_yet: float) -> None:
    heard = Heard(clock := SystemClock())

    async def scenario() -> None:
        with SystemAlarm(clock).listen(heard.due, heard.clock_set) as wake_at:
            wake_at(never_yet)
            await turns()

    run(scenario())
    assert len(heard.due_at) == 1


@pytest.mark.parametrize("later", [None, 3600.0, YEAR_9999_SECS])
@pytest.mark.parametrize("turns_between", [0, 1])
def test_a_deadline_that_was_put_off_or_taken_back_is_not_told(later: float | None, turns_between: int) -> None:
    """The timer has gone off already when it is set anew; after a turn, the event loop has seen that, too."""
    heard = Heard(clock := SystemClock())

    async def scenario() -> None:
        with SystemAlarm(clock).listen(heard.due, heard.clock_set) as wake_at:
            wake_at(clock.now().boot_secs - 5)
            for _ in range(turns_between):
                await asyncio.sleep(0)
            wake_at(later if later is None else clock.now().boot_secs + later)
            await turns()

    run(scenario())
    assert heard.due_at == []


def test_a_deadline_is_never_told_before_the_clock_shows_it() -> None:
    heard = Heard(clock := SystemClock())
    deadlines: list[float] = []

    async def scenario() -> None:
        with SystemAlarm(clock).listen(heard.due, heard.clock_set) as wake_at:
            for _ in range(20):
                deadlines.append(clock.now().boot_secs + 0.000_5)
                wake_at(deadlines[-1])
                while len(heard.due_at) < len(deadlines):
                    await asyncio.sleep(0)

    run(scenario())
    assert all(at >= deadline for at, deadline in zip(heard.due_at, deadlines, strict=True))


def test_nothing_stays_open_and_nothing_is_told_afterwards() -> None:
    heard = Heard(clock := SystemClock())

    async def scenario() -> None:
        before = open_descriptors()
        for told in (1, 2):  # and whoever listens next, on the same descriptors, hears what is due
            with SystemAlarm(clock).listen(heard.due, heard.clock_set) as wake_at:
                assert open_descriptors() == before + 2
                wake_at(clock.now().boot_secs - 5)
                await turns()
                wake_at(clock.now().boot_secs - 5)
            await turns()
            assert open_descriptors() == before
            assert len(heard.due_at) == told

    run(scenario())


# --- without them ------------------------------------------------------------------------------------------------


class Machine(asyncio.SelectorEventLoop):
    """An event loop that never waits: what it would have slept, its own clock and the fake one go forward."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(_Hurry(self._slept))
        self._clock = clock
        self._own_secs = 0.0
        self.sleeps: list[float] = []

    def time(self) -> float:
        return self._own_secs

    def _slept(self, secs: float) -> None:
        self.sleeps.append(secs)
        self._own_secs += secs
        self._clock.advance(secs)


class _Hurry(selectors.SelectSelector):
    def __init__(self, slept: Callable[[float], None]) -> None:
        super().__init__()
        self._slept = slept

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout:
            self._slept(timeout)
        return ready


class Bench:
    """An alarm without timers of the kernel, on a machine of its own."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.heard = Heard(self.clock)
        self.machine = Machine(self.clock)

    def play(self, deadline: float | None, happens: Mapping[float, Callable[[], None]], until: float) -> None:
        """Listen until the machine's own clock shows ``until``; ``happens`` has what befalls it when."""

        async def scenario() -> None:
            with no_descriptors_left():
                listening = SystemAlarm(self.clock).listen(self.heard.due, self.heard.clock_set)
                wake_at = listening.__enter__()
            wake_at(deadline)
            for at, what in happens.items():
                self.machine.call_at(at, what)
            await asyncio.sleep(until)
            listening.__exit__(None, None, None)

        with asyncio.Runner(loop_factory=lambda: self.machine) as runner:
            runner.run(scenario())


def test_without_timers_a_deadline_is_kept_all_the_same_and_the_journal_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    with caplog.at_level(logging.INFO, "tidegate.system.alarm"):
        bench.play(deadline=100.0 + 45, happens={}, until=300)
    assert bench.heard.due_at == pytest.approx([145.0])
    assert bench.heard.sets == 0
    assert [record.getMessage() for record in caplog.records] == [
        "kernel timers are unavailable ([Errno 24] Too many open files): polling the clocks every 30 s"
    ]


def test_without_timers_a_deadline_that_passes_in_suspend_is_noticed_soon_after() -> None:
    bench = Bench()
    bench.play(deadline=100.0 + 3600, happens={100.0: lambda: bench.clock.advance(7200)}, until=200)
    (at,) = bench.heard.due_at
    assert 7200 + 200 <= at <= 7200 + 200 + POLL_SECS
    assert bench.heard.sets == 0, "suspend moves both clocks alike"


@pytest.mark.parametrize(("step_secs", "sets"), [(3600.0, 1), (-3600.0, 1), (SLEWED_SECS - 0.5, 0), (-SLEWED_SECS, 0)])
def test_without_timers_a_step_is_told_once_and_slewing_is_not(step_secs: float, sets: int) -> None:
    bench = Bench()
    bench.play(deadline=None, happens={50.0: lambda: bench.clock.step_wall(step_secs)}, until=600)
    assert bench.heard.sets == sets
    assert bench.heard.due_at == []


def test_without_timers_slewing_for_hours_is_no_step() -> None:
    bench = Bench()
    hours = {30.0 * i + 1: lambda: bench.clock.step_wall(2.4) for i in range(240)}
    bench.play(deadline=None, happens=hours, until=7200)
    assert bench.heard.sets == 0


def test_without_timers_it_sleeps_between_its_looks() -> None:
    bench = Bench()
    bench.play(deadline=None, happens={}, until=1000)
    assert bench.machine.sleeps[:-1] == pytest.approx([POLL_SECS] * 33)


# --- the fake ----------------------------------------------------------------------------------------------------


def test_the_fake_keeps_to_the_same_contract() -> None:
    alarm: Alarm = (fake := FakeAlarm(clock := FakeClock()))
    heard = Heard(clock)
    wall = clock.now().wall
    with alarm.listen(heard.due, heard.clock_set) as wake_at:
        wake_at(110.0)
        fake.advance(9.5)
        assert heard.due_at == []
        fake.advance(3600)
        assert heard.due_at == [3709.5]
        fake.advance(10)
        wake_at(1.0)
        wake_at(4000.0)
        wake_at(None)
        fake.advance(10_000)
        assert heard.due_at == [3709.5, 3719.5]
        fake.step_wall(-60)
        assert heard.sets == 1
    fake.step_wall(60)
    assert heard.sets == 1
    assert clock.now().wall == wall + timedelta(seconds=13_619.5)
