"""The rules that every phase has: when it wakes, what an answer, an error and an unsaved record lead to, its words.

The agent is in one phase at a time, so that nothing is staged while a boot is being verified. A phase that waits for a
task holds its id; an answer under any other id is stale and dropped. A phase that lacks a rule cannot be made.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum, auto
from typing import TYPE_CHECKING, ClassVar

from tidegate.engines.base import Progress
from tidegate.errors import Failure
from tidegate.gates.base import Verdict, Wait
from tidegate.health.judgement import CheckState
from tidegate.release import Release

if TYPE_CHECKING:
    from tidegate.clock import Now
    from tidegate.machine.events import Result
    from tidegate.machine.state import State, Step


class LockUse(Enum):
    """The use of the lock on record during a phase; :mod:`tidegate.machine.lock_duty` goes by it."""

    NONE = auto()
    """It is to be released."""

    ATTEMPT = auto()
    """An attempt uses it, or may: an unlock would race a reboot."""

    WAY_BACK = auto()
    """A lock of an earlier boot serves for the rollback that may follow, too."""


class Phase(ABC):
    """A phase of the agent.

    ``word`` is its public name, from the closed set of ``status --json``; ``activity`` completes "the agent is ..." in
    messages to people.
    """

    __slots__ = ()

    word: ClassVar[str]
    activity: ClassVar[str]
    lock_use: ClassVar[LockUse]

    checks_for_releases: ClassVar[bool] = False
    """Whether discovery may be asked meanwhile."""

    @abstractmethod
    def wakeup(self, state: State) -> float | None:
        """When (boot clock) the phase goes on by itself, or None while it waits for something else."""

    @abstractmethod
    def due(self, state: State, now: Now) -> Step:
        """Go on: :meth:`wakeup` has come."""

    @abstractmethod
    def awaits(self, task: int) -> bool:
        """Whether the phase waits for the answer of ``task``."""

    @abstractmethod
    def answered(self, state: State, task: int, result: Result, now: Now) -> Step:
        """Take the answer of a task that the phase waits for.

        Raises:
            TypeError: it is of another kind; a defect in what runs the tasks.
        """

    @abstractmethod
    def failed(self, state: State, task: int, failure: Failure, now: Now) -> Step:
        """Take the error of a task that the phase waits for."""

    @abstractmethod
    def unsaved(self, state: State, task: int | None, failure: Failure, now: Now) -> Step:
        """Go back to where nothing depends on a step whose records could not be saved, so that it is tried again.

        ``task``: whose answer made the step; None where something else did.
        """

    @abstractmethod
    def release(self, state: State) -> Release | None:
        """The release that the host is on its way to, or is being verified in."""

    @abstractmethod
    def sentence(self, state: State, waits: tuple[Wait, ...]) -> str:
        """One line for people; ``waits`` are the reasons why the host does not reboot."""

    def progressed(self, task: int, progress: Progress) -> Phase:
        """The phase with the progress of a staging."""
        return self

    def last_verdicts(self) -> tuple[Verdict, ...]:
        """The answers of the gates when they were asked last for this release."""
        return ()

    def last_checks(self) -> tuple[CheckState, ...]:
        """The latest results of the health checks, while a boot is watched."""
        return ()

    def hindrances(self, state: State) -> tuple[Wait, ...]:
        """Return the waits of this phase that must end before anything is staged or rebooted."""
        return ()

    def unexpected(self, result: Result) -> TypeError:
        """The error for an answer of another kind."""
        return TypeError(f"{type(self).__name__} was answered with {type(result).__name__}")


class Taskless(Phase):
    """A phase that waits for no task."""

    __slots__ = ()

    def awaits(self, task: int) -> bool:
        """For none."""
        return False

    def answered(self, state: State, task: int, result: Result, now: Now) -> Step:
        """Never called: no task is awaited."""
        raise self.unexpected(result)

    def failed(self, state: State, task: int, failure: Failure, now: Now) -> Step:
        """Never called: no task is awaited."""
        return state, ()

    def unsaved(self, state: State, task: int | None, failure: Failure, now: Now) -> Step:
        """Nothing is under way that could depend on it."""
        return state, ()
