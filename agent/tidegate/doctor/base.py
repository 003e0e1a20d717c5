"""What an examination looks at and what it finds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tidegate.config.problems import Problem
from tidegate.identity import HostIdentity
from tidegate.settings import Settings


class Status(StrEnum):
    """What a finding comes to. The words are frozen."""

    OK = "ok"
    WARNING = "warning"
    """Updates work, but not as they should, or not for long."""

    PROBLEM = "problem"
    """Updates do not work, or are not safe."""

    UNKNOWN = "unknown"
    """It could not be looked at: not by this user, or not now."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    ``message`` is a sentence, ``evidence`` what it rests on, a line each. ``remedy`` is what to do where the status is
    not ``ok``: a command, wherever one command does it.
    """

    area: str
    check: str
    status: Status
    message: str
    evidence: tuple[str, ...] = ()
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Area:
    """Where findings belong."""

    name: str

    def ok(self, check: str, message: str, *evidence: str) -> Finding:
        """All is well with it."""
        return Finding(self.name, check, Status.OK, message, evidence)

    def warning(self, check: str, message: str, remedy: str, *evidence: str) -> Finding:
        """Something to look after."""
        return Finding(self.name, check, Status.WARNING, message, evidence, remedy)

    def problem(self, check: str, message: str, remedy: str, *evidence: str) -> Finding:
        """Something to mend."""
        return Finding(self.name, check, Status.PROBLEM, message, evidence, remedy)

    def unknown(self, check: str, message: str, remedy: str, *evidence: str) -> Finding:
        """Something that could not be looked at."""
        return Finding(self.name, check, Status.UNKNOWN, message, evidence, remedy)


@dataclass(frozen=True, slots=True)
class AgentUser:
    """The account that the agent runs as; ``gids`` are all of its groups."""

    uid: int
    gids: frozenset[int]


@dataclass(frozen=True, slots=True)
class Host:
    """What every area may want to know, read once.

    ``settings`` are the defaults where the configuration has ``problems``. ``snapshot`` is what the agent last said of
    itself, empty where it has said nothing in this boot. ``uid`` is who looks.
    """

    settings: Settings
    problems: tuple[Problem, ...]
    snapshot: Mapping[str, object]
    identity: HostIdentity
    agent: AgentUser | None
    uid: int
    root: Path = Path("/")

    @property
    def is_root(self) -> bool:
        """Whether whoever looks may see everything."""
        return self.uid == 0


Examination = Callable[[Host], Awaitable[Sequence[Finding]]]
"""How an area is looked at. Raises TidegateError where it cannot be looked at as a whole."""

AS_ROOT = "run it as root: sudo tidegate doctor"
