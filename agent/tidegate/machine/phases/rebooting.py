"""Rebooting: the reboot was accepted, or may have been; the host goes down, or it is found still up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from tidegate.clock import Now
from tidegate.errors import Failure
from tidegate.gates.base import Wait
from tidegate.machine.effects import ERROR, Announce
from tidegate.machine.parts import enter, troubled
from tidegate.machine.phase import LockUse, Taskless
from tidegate.machine.phases import undoing
from tidegate.machine.topics import Topic
from tidegate.records.model import Ending, Outcome
from tidegate.release import Release

if TYPE_CHECKING:
    from tidegate.machine.state import State, Step

REBOOT_GRACE_SECS = 600.0
"""From the acceptance of the reboot to the conclusion that the host does not go down: longer than the slowest honest
shutdown (stop timeouts are 90 s, several one after another), far shorter than a day of waiting."""

UNCERTAIN_SECS = 60.0
"""The grace when the request was not answered: a shutdown that has begun is announced on the bus within seconds."""

STILL_UP = "the reboot was requested, and the host was still up long after"


@dataclass(frozen=True, slots=True)
class Rebooting(Taskless):
    """The host goes down. ``deadline`` (boot clock): when it should have been down long ago.

    ``otherwise``: the detail of the attempt if it is still up then.
    """

    word: ClassVar[str] = "rebooting"
    activity: ClassVar[str] = "waiting for the host to go down"
    lock_use: ClassVar[LockUse] = LockUse.ATTEMPT

    target: Release
    since: datetime
    deadline: float
    otherwise: str

    def wakeup(self, state: State) -> float | None:
        """At the deadline."""
        return self.deadline

    def due(self, state: State, now: Now) -> Step:
        """The host is still up: it does not go down, unless logind says that it does. A service may take that long."""
        if state.shutting_down:
            return shutdown_begun(state, self, now), ()
        return did_not_go_down(state, self, self.otherwise, now)

    def unsaved(self, state: State, task: int | None, failure: Failure, now: Now) -> Step:
        """That it did not go down could not be saved: conclude it a little later."""
        later = replace(self, deadline=max(self.deadline, now.boot_secs + undoing.UNDO_RETRY_SECS))
        return enter(troubled(state, failure, now), later), ()

    def release(self, state: State) -> Release | None:
        """Where it goes."""
        return self.target

    def sentence(self, state: State, waits: tuple[Wait, ...]) -> str:
        """Where it goes."""
        return f"rebooting {self.target.version}"


def did_not_go_down(state: State, phase: Rebooting, why: str, now: Now) -> Step:
    """The reboot that was accepted has not happened: it counts as an attempt, and is undone."""
    ending = Ending(Outcome.NOT_ATTEMPTED, why)
    state, effects = undoing.undo(state, undoing.Undoing(phase.target, phase.since, closing=ending), now)
    text = f"expected reboot did not happen: {why}"
    return state, (Announce(Topic.REBOOT_FAILED, ERROR, text, phase.target.version), *effects)


def shutdown_begun(state: State, phase: Rebooting, now: Now) -> State:
    """It is certain now that the host goes down: from here it has as long as the slowest honest shutdown takes."""
    deadline = max(phase.deadline, now.boot_secs + REBOOT_GRACE_SECS)
    return enter(state, replace(phase, deadline=deadline))
