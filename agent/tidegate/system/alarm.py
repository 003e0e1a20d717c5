"""Wake the event loop when the boot clock reaches a deadline, and when the wall clock is set.

asyncio sleeps on CLOCK_MONOTONIC, which stops during suspend, and does not notice that the wall clock is set. The
kernel's timers cover both without polling, so that an idle agent sleeps.
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

POLL_SECS = 30.0
"""The interval, and so the greatest delay, at which the clocks are polled where the kernel's timers are unavailable."""

SLEWED_SECS = 3.0
"""The most that chrony slews within ``POLL_SECS`` (maxslewrate 83333 ppm); a larger difference was a step."""

Callback = Callable[[], None]
WakeAt = Callable[[float | None], None]
"""Replaces the deadline, in seconds of the boot clock; None removes it."""


class Alarm(Protocol):
    """A source of wake-ups; tests have their own."""

    def listen(self, on_due: Callback, on_clock_set: Callback) -> AbstractContextManager[WakeAt]:
        """Call ``on_due`` once for each deadline that is reached, and ``on_clock_set`` whenever the wall clock is set.

        To be used in a running event loop. A deadline in the past is reached at once. A resume from suspend may be
        reported as a set clock.
        """
        ...


class SystemAlarm:
    """Implements :class:`Alarm` with the kernel's timers; where they are unavailable, by polling ``clock``."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    @contextmanager
    def listen(self, on_due: Callback, on_clock_set: Callback) -> Generator[WakeAt, None, None]:
        """See :meth:`Alarm.listen`."""
        with ExitStack() as stack:
            try:
                wake_at = stack.enter_context(_kernel_timers(on_due, on_clock_set))
            except OSError as err:
                _log.warning("kernel timers are unavailable (%s): polling the clocks every %.0f s", err, POLL_SECS)
                wake_at = stack.enter_context(_polling(self._clock, on_due, on_clock_set))
            yield wake_at


@contextmanager
def _kernel_timers(on_due: Callback, on_clock_set: Callback) -> Generator[WakeAt, None, None]:
    with _timer(time.CLOCK_BOOTTIME, on_due) as deadline, _timer(time.CLOCK_REALTIME, on_clock_set) as wall:
        wall.arm_on_set()

        def wake_at(boot_secs: float | None) -> None:
            if boot_secs is None:
                deadline.disarm()
            else:
                deadline.arm(math.ceil(boot_secs * 1e9))

        yield wake_at


@contextmanager
def _timer(clock_id: int, on_expiry: Callback) -> Generator[TimerFd, None, None]:
    """A timer on ``clock_id`` that calls ``on_expiry`` whenever it expires."""
    running = asyncio.get_running_loop()
    with closing(TimerFd(clock_id)) as timer:

        def on_readable() -> None:
            if timer.has_expired():
                on_expiry()

        running.add_reader(timer.descriptor, on_readable)
        try:
            yield timer
        finally:
            running.remove_reader(timer.descriptor)


@contextmanager
def _polling(clock: Clock, on_due: Callback, on_clock_set: Callback) -> Generator[WakeAt, None, None]:
    poller = _Poller(clock, on_due, on_clock_set)
    try:
        yield poller.wake_at
    finally:
        poller.stop()


class _Poller:
    """Reads both clocks at the deadline and every ``POLL_SECS``."""

    def __init__(self, clock: Clock, on_due: Callback, on_clock_set: Callback) -> None:
        self._clock = clock
        self._on_due = on_due
        self._on_clock_set = on_clock_set
        self._deadline = math.inf
        self._offset_secs = _offset_secs(clock.now())
        self._next = asyncio.get_running_loop().call_later(POLL_SECS, self._poll)

    def wake_at(self, boot_secs: float | None) -> None:
        self._deadline = math.inf if boot_secs is None else boot_secs
        self.stop()
        self._poll()

    def stop(self) -> None:
        self._next.cancel()

    def _poll(self) -> None:
        now = self._clock.now()
        if abs(_offset_secs(now) - self._offset_secs) > SLEWED_SECS:
            self._on_clock_set()
        self._offset_secs = _offset_secs(now)
        if self._deadline <= now.boot_secs:
            self._deadline = math.inf
            self._on_due()
        delay = min(POLL_SECS, self._deadline - now.boot_secs)
        self._next = asyncio.get_running_loop().call_later(delay, self._poll)


def _offset_secs(now: Now) -> float:
    """The offset of the wall clock to the boot clock: a step changes it, a suspend does not."""
    return now.wall.timestamp() - now.boot_secs
