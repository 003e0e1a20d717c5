"""What wakes the loop: the boot clock reaching a deadline, and the wall clock being set.

asyncio sleeps on CLOCK_MONOTONIC, which stands still in suspend, and nothing there hears of a wall clock that is set.
The kernel's own timers know both, and need no looking up in between: an idle agent sleeps.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from typing import Protocol

from tidegate.clock import Clock, Now
from tidegate.system.timerfd import TimerFd

_log = logging.getLogger(__name__)

LOOK_SECS = 30.0
"""How late a deadline may come and a set clock be noticed where the kernel's timers are not to be had."""

SLEWED_SECS = 3.0
"""What chrony may slew within ``LOOK_SECS`` at its fastest (maxslewrate 83333 ppm); more than that was a step."""

Told = Callable[[], None]
WakeAt = Callable[[float | None], None]
"""Sets the deadline, in seconds of the boot clock, in place of the last one; None for none."""


class Alarm(Protocol):
    """Where wake-ups come from; tests bring their own."""

    def listen(self, on_due: Told, on_clock_set: Told) -> AbstractContextManager[WakeAt]:
        """In the running event loop: call ``on_due`` once for each deadline that is reached, at once where it is past,
        and ``on_clock_set`` whenever the wall clock was set; waking from suspend may count as that.
        """
        ...


class SystemAlarm:
    """The kernel's timers; where there are none, a look at ``clock`` every now and then."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    @contextmanager
    def listen(self, on_due: Told, on_clock_set: Told) -> Generator[WakeAt, None, None]:
        """See :meth:`Alarm.listen`."""
        with ExitStack() as stack:
            try:
                wake_at = stack.enter_context(_kernel_timers(on_due, on_clock_set))
            except OSError as err:
                _log.warning("no timers from the kernel (%s): looking at the clocks every %.0f s", err, LOOK_SECS)
                wake_at = stack.enter_context(_looking(self._clock, on_due, on_clock_set))
            yield wake_at


@contextmanager
def _kernel_timers(on_due: Told, on_clock_set: Told) -> Generator[WakeAt, None, None]:
    with _timer(time.CLOCK_BOOTTIME, on_due) as deadline, _timer(time.CLOCK_REALTIME, on_clock_set) as wall:
        wall.arm_on_set()

        def wake_at(boot_secs: float | None) -> None:
            if boot_secs is None:
                deadline.disarm()
            else:
                deadline.arm(math.ceil(boot_secs * 1e9))

        yield wake_at


@contextmanager
def _timer(clock_id: int, told: Told) -> Generator[TimerFd, None, None]:
    """A timer on ``clock_id`` that calls ``told`` whenever it goes off."""
    running = asyncio.get_running_loop()
    with closing(TimerFd(clock_id)) as timer:

        def readable() -> None:
            if timer.went_off():
                told()

        running.add_reader(timer.descriptor, readable)
        try:
            yield timer
        finally:
            running.remove_reader(timer.descriptor)


@contextmanager
def _looking(clock: Clock, on_due: Told, on_clock_set: Told) -> Generator[WakeAt, None, None]:
    looks = _Looks(clock, on_due, on_clock_set)
    try:
        yield looks.wake_at
    finally:
        looks.stop()


class _Looks:
    """Looks at both clocks at the deadline and every ``LOOK_SECS``."""

    def __init__(self, clock: Clock, on_due: Told, on_clock_set: Told) -> None:
        self._clock = clock
        self._on_due = on_due
        self._on_clock_set = on_clock_set
        self._deadline = math.inf
        self._offset_secs = _offset_secs(clock.now())
        self._next = asyncio.get_running_loop().call_later(LOOK_SECS, self._look)

    def wake_at(self, boot_secs: float | None) -> None:
        self._deadline = math.inf if boot_secs is None else boot_secs
        self.stop()
        self._look()

    def stop(self) -> None:
        self._next.cancel()

    def _look(self) -> None:
        now = self._clock.now()
        if abs(_offset_secs(now) - self._offset_secs) > SLEWED_SECS:
            self._on_clock_set()
        self._offset_secs = _offset_secs(now)
        if self._deadline <= now.boot_secs:
            self._deadline = math.inf
            self._on_due()
        delay = min(LOOK_SECS, self._deadline - now.boot_secs)
        self._next = asyncio.get_running_loop().call_later(delay, self._look)


def _offset_secs(now: Now) -> float:
    """Of the wall clock to the boot clock: suspend leaves it as it is, a step changes it."""
    return now.wall.timestamp() - now.boot_secs
