"""The kernel's timers for real: deadlines on the boot clock, a wall clock that is set, sandboxes, and idle sleep.

The machine's wall clock is set here, by a nanosecond and back: for the kernel that is a set like any other.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

import tidegate
from tests.fakes.asyncs import run
from tests.integration.timers import kernel_clock
from tests.integration.timers.listener import EX_UNAVAILABLE
from tidegate.clock import Now, SystemClock
from tidegate.system.alarm import POLL_SECS, Callback, SystemAlarm, WakeAt

LISTENER = Path(__file__).with_name("listener.py")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(tidegate.__file__).parents[1])}
DEADLINE_SECS = 20.0
IDLE_SECS = 2.0
ASLEEP_WITHIN_SECS = 60.0
OTHER_BOOT_SECS = 40_000_000
"""What the boot clock of the namespace is ahead by: more than a year."""


def listener(*args: str, within: Sequence[str] = ()) -> list[str]:
    """The lines of one listener, until its deadline has come."""
    argv = [*within, sys.executable, str(LISTENER), *args]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=DEADLINE_SECS, check=False, env=ENVIRONMENT)
    if done.returncode == EX_UNAVAILABLE:
        pytest.skip(f"this kernel cannot confine a process with {args[1:]}")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def lateness(line: str) -> float:
    word, secs = line.split()
    assert word == "due"
    return float(secs)


def switches(pid: int) -> int:
    """How often the process was put on or taken from a processor."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if "ctxt_switches" in line)


def is_sleeping(pid: int) -> bool:
    """Whether the process waits for an event, not for a processor."""
    return "State:\tS" in Path(f"/proc/{pid}/status").read_text(encoding="ascii")


def asleep(pid: int) -> int:
    """Wait until the process has gone to sleep, however busy the machine is; its switches by then."""
    until = time.monotonic() + ASLEEP_WITHIN_SECS
    before = -1
    while (now := switches(pid)) != before or not is_sleeping(pid):  # one that waits for a processor does not switch
        assert time.monotonic() < until, "the process never sleeps"
        before = now
        time.sleep(0.5)
    return now


def test_a_deadline_of_the_boot_clock_is_kept() -> None:
    listening, due = listener("0.05")
    assert listening == "listening"
    assert 0 <= lateness(due) < 1, "late only by what a busy machine makes it"


def test_an_idle_listener_sleeps() -> None:
    argv = [sys.executable, str(LISTENER), "3600"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "listening\n"
            before = asleep(process.pid)
            time.sleep(IDLE_SECS)
            assert switches(process.pid) == before
        finally:
            process.kill()


@pytest.mark.root
def test_deadlines_are_those_of_the_boot_clock_and_of_no_other() -> None:
    """In a namespace whose boot clock is a year ahead: on any other clock this deadline would be a year away."""
    if shutil.which("unshare") is None:
        pytest.skip("unshare (util-linux) is not installed")
    apart = ("unshare", "--time", "--fork", "--kill-child", "--boottime", str(OTHER_BOOT_SECS))
    if subprocess.run([*apart, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("time namespaces are not to be had here")
    listening, due = listener("0.05", within=apart)
    assert listening == "listening"
    assert 0 <= lateness(due) < 1


def test_where_the_kernel_gives_no_timers_it_is_said_and_deadlines_are_kept() -> None:
    said, listening, due = listener("0.05", "no-timerfd")
    assert said == (
        f"kernel timers are unavailable ([Errno 1] Operation not permitted): polling the clocks every {POLL_SECS:.0f} s"
    )
    assert listening == "listening"
    assert 0 <= lateness(due) < 1


def test_the_agents_sandbox_against_new_code_leaves_it_its_timers() -> None:
    """ctypes makes memory executable for callbacks, which MemoryDenyWriteExecute= forbids; nothing here needs any."""
    listening, due = listener("0.05", "no-new-code")
    assert listening == "listening"
    assert 0 <= lateness(due) < 1


class Sets:
    """Counts how often the wall clock was set; the listener's deadline is an hour away."""

    def __init__(self) -> None:
        self.told = 0

    def more(self) -> None:
        self.told += 1

    async def become(self, count: int) -> None:
        async with asyncio.timeout(DEADLINE_SECS / 4):
            while self.told < count:
                await asyncio.sleep(0.001)


@contextmanager
def listening_for_sets() -> Generator[Sets, None, None]:
    def not_due() -> None:
        raise AssertionError("the deadline is an hour away")

    sets, clock = Sets(), SystemClock()
    with SystemAlarm(clock).listen(not_due, sets.more) as wake_at:
        wake_at(clock.now().boot_secs + 3600)
        yield sets


@pytest.fixture
def settable_clock() -> None:
    if kernel_clock.is_kept():
        pytest.skip("this machine's clock is kept in step by NTP, and setting it would undo that for a while")
    try:
        kernel_clock.set_off(+1)
        kernel_clock.set_off(-1)
    except PermissionError:
        pytest.skip("the wall clock may not be set here (CAP_SYS_TIME)")


@pytest.mark.root
@pytest.mark.usefixtures("settable_clock")
def test_every_set_of_the_wall_clock_is_told_however_small() -> None:
    async def scenario() -> None:
        with listening_for_sets() as sets:
            await asyncio.sleep(0.02)
            assert sets.told == 0
            for count, nanosecs in enumerate((+1, -1, +1, -1), start=1):
                kernel_clock.set_off(nanosecs)
                await sets.become(count)
            await asyncio.sleep(0.02)
            assert sets.told == 4, "once each"

    run(scenario())


@pytest.mark.root
@pytest.mark.usefixtures("settable_clock")
def test_slewing_is_not_told() -> None:
    async def scenario() -> None:
        with listening_for_sets() as sets:
            kernel_clock.slew(microsecs=1)
            assert kernel_clock.still_to_slew() == 1
            while kernel_clock.still_to_slew():  # the kernel takes it up at the turn of a second
                await asyncio.sleep(0.01)
            assert sets.told == 0

    run(scenario())


class InjectedWall:
    """A clock and an alarm as a whole-host test has them: the wall clock is the test's, everything else is real."""

    def __init__(self) -> None:
        self._ahead = timedelta()
        self._real = SystemClock()
        self._on_clock_set: Callback = lambda: None

    def now(self) -> Now:
        now = self._real.now()
        return Now(now.wall + self._ahead, now.boot_secs)

    def set_ahead(self, ahead: timedelta) -> None:
        self._ahead = ahead
        self._on_clock_set()

    @contextmanager
    def listen(self, on_due: Callback, on_clock_set: Callback) -> Generator[WakeAt, None, None]:
        self._on_clock_set = on_clock_set
        with SystemAlarm(self).listen(on_due, on_clock_set) as wake_at:
            yield wake_at


def test_an_injected_wall_clock_goes_with_the_real_boot_clock() -> None:
    async def scenario() -> None:
        sets, due, clock = Sets(), asyncio.Event(), InjectedWall()
        with clock.listen(due.set, sets.more) as wake_at:
            wake_at(clock.now().boot_secs + 0.01)
            clock.set_ahead(timedelta(days=1))
            assert sets.told == 1
            await due.wait()
            assert sets.told == 1

    run(scenario())
