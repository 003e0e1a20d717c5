"""A clock that moves when it is told to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tidegate.clock import Now

START = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


class FakeClock:
    """Both clocks at once; ``step_wall`` moves only the wall's."""

    def __init__(self, wall: datetime = START, boot_secs: float = 100.0) -> None:
        self._now = Now(wall, boot_secs)

    def now(self) -> Now:
        return self._now

    def advance(self, secs: float) -> None:
        """Let time pass."""
        self._now = Now(self._now.wall + timedelta(seconds=secs), self._now.boot_secs + secs)

    def advance_to(self, boot_secs: float) -> None:
        """Let time pass until the boot clock shows ``boot_secs``; never back."""
        self.advance(max(0.0, boot_secs - self._now.boot_secs))

    def step_wall(self, secs: float) -> None:
        """What NTP or a person does."""
        self._now = Now(self._now.wall + timedelta(seconds=secs), self._now.boot_secs)

    def new_boot(self) -> None:
        """The boot clock begins anew; a reboot takes the wall clock half a minute."""
        self._now = Now(self._now.wall + timedelta(seconds=30), 10.0)
