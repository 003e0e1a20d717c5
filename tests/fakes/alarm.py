"""An alarm on a clock that moves when it is told to."""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import contextmanager

from tests.fakes.clock import FakeClock
from tidegate.system.alarm import Callback, WakeAt


class FakeAlarm:
    """Moves its clock and wakes whoever listens; ``deadline`` is what that one waits for."""

    def __init__(self, clock: FakeClock) -> None:
        self.deadline: float | None = None
        self.listening = False
        self._clock = clock
        self._on_due: Callback = _nobody
        self._on_clock_set: Callback = _nobody

    @contextmanager
    def listen(self, on_due: Callback, on_clock_set: Callback) -> Generator[WakeAt, None, None]:
        self._on_due, self._on_clock_set, self.listening = on_due, on_clock_set, True
        try:
            yield self._wake_at
        finally:
            self._on_due, self._on_clock_set, self.listening, self.deadline = _nobody, _nobody, False, None

    def advance(self, secs: float) -> None:
        """Let time pass, or the host sleep for it."""
        self._clock.advance(secs)
        self._ring_if_due()

    def step_wall(self, secs: float) -> None:
        """What NTP or a person does."""
        self._clock.step_wall(secs)
        self._on_clock_set()

    def _wake_at(self, boot_secs: float | None) -> None:
        self.deadline = boot_secs
        self._ring_if_due()

    def _ring_if_due(self) -> None:
        if (self.deadline if self.deadline is not None else math.inf) <= self._clock.now().boot_secs:
            self.deadline = None
            self._on_due()


def _nobody() -> None:
    """Listens."""
