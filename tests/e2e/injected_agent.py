"""The agent with other clocks: an entry point of its own, put into a host in place of ``tidegate agent``.

``AHEAD_FILE`` has two numbers: the seconds by which its wall clock is ahead of the host's, and those that the host has
slept through, by which both of its clocks are. It is read at the start and whenever SIGUSR1 says that the clock was
set; nothing else of the agent differs.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from tidegate.app import Paths, run_agent
from tidegate.clock import Now, SystemClock
from tidegate.journal.log import log_to_journal
from tidegate.system.alarm import Callback, SystemAlarm, WakeAt

AHEAD_FILE = Path("/etc/lab-clock-ahead")


class InjectedClocks:
    """The host's clocks and timers, each ahead by so much."""

    def __init__(self) -> None:
        self._real = SystemClock()
        self._ahead, self._slept_secs = _read()

    def now(self) -> Now:
        """This instant on both clocks."""
        now = self._real.now()
        return Now(now.wall + self._ahead, now.boot_secs + self._slept_secs)

    @contextmanager
    def listen(self, on_due: Callback, on_clock_set: Callback) -> Generator[WakeAt, None, None]:
        """The real timers; SIGUSR1 stands for the kernel's word that the clock was set."""

        def set_clock() -> None:
            self._ahead, self._slept_secs = _read()
            on_clock_set()

        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, set_clock)
        with SystemAlarm(self).listen(on_due, on_clock_set) as wake_at:
            yield lambda boot_secs: wake_at(None if boot_secs is None else max(0.0, boot_secs - self._slept_secs))


def _read() -> tuple[timedelta, float]:
    """By how much the wall clock is ahead, and for how many seconds the host has slept."""
    ahead, slept = (float(number) for number in AHEAD_FILE.read_text(encoding="ascii").split())
    return timedelta(seconds=ahead + slept), slept


if __name__ == "__main__":
    clock = InjectedClocks()
    asyncio.run(run_agent(Paths(), clock, clock, log_to_journal(clock)))
