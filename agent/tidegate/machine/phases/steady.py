"""Steady: nothing is staged, and nothing waits for a reboot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tidegate.gates.base import Wait
from tidegate.machine.phase import LockUse, Taskless
from tidegate.records.model import Denial
from tidegate.release import Release

if TYPE_CHECKING:
    from tidegate.clock import Now
    from tidegate.machine.state import State, Step


@dataclass(frozen=True, slots=True)
class Steady(Taskless):
    """Nothing is staged. ``wanted`` is a release that could be, where there is one."""

    word: ClassVar[str] = "steady"
    activity: ClassVar[str] = "idle"
    lock_use: ClassVar[LockUse] = LockUse.NONE
    checks_for_releases: ClassVar[bool] = True

    wanted: Release | None = None

    def wakeup(self, state: State) -> float | None:
        """Never by itself: discovery has its own time."""
        return None

    def due(self, state: State, now: Now) -> Step:
        """Nothing to do."""
        return state, ()

    def release(self, state: State) -> Release | None:
        """The release that could be staged."""
        return self.wanted

    def sentence(self, state: State, waits: tuple[Wait, ...]) -> str:
        """The offered release, or the last error; but first that the running one should not run."""
        if (denial := _denial_of_booted(state)) is not None:
            version = denial.release.version
            then = f"; {self.wanted.version} is available" if self.wanted is not None else ", and there is no other"
            return f"runs {version}, which is denied ({denial.cause}){then}"
        if self.wanted is not None:
            return f"{self.wanted.version} is available"
        if state.dead_end is not None:
            return f"no further updates: {state.dead_end}"
        if state.trouble is not None:
            return state.trouble.failure.message
        return "not checked yet" if state.poll.checked_at is None else "up to date"


def _denial_of_booted(state: State) -> Denial | None:
    return None if state.host is None else state.records.denial_of(state.host.booted.payload)
