"""Findings, and the facts about the host that every area uses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tidegate.config.problems import Problem
from tidegate.identity import HostIdentity
from tidegate.settings import Settings


class Status(StrEnum):
    """Severity of a finding. The values are part of the JSON interface."""

    OK = "ok"
    WARNING = "warning"
    """Updates work, but not as they should, or not for long."""

    PROBLEM = "problem"
    """Updates do not work, or are not safe."""

    UNKNOWN = "unknown"
    """It could not be checked: not by this user, or not now."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    ``message`` is a sentence, and ``evidence`` the facts behind it, one a line. ``remedy``, set unless the status is
    ``ok``, is a command where one command suffices.
    """

    area: str
    check: str
    status: Status
    message: str
    evidence: tuple[str, ...] = ()
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Area:
    """The area that findings belong to; makes findings."""

    name: str

    def ok(self, check: str, message: str, *evidence: str) -> Finding:
        """A finding without anything to do."""
        return Finding(self.name, check, Status.OK, message, evidence)

    def warning(self, check: str, message: str, remedy: str, *evidence: str) -> Finding:
        """A finding that needs attention, while updates work."""
        return Finding(self.name, check, Status.WARNING, message, evidence, remedy)

    def problem(self, check: str, message: str, remedy: str, *evidence: str) -> Finding:
        """A finding that keeps updates from working, or from being safe."""
        return Finding(self.name, check, Status.PROBLEM, message, evidence, remedy)

    def unknown(self, check: str, message: str, remedy: str, *evidence: str) -> Finding:
        """A check that could not be made; ``remedy`` says how to make it."""
        return Finding(self.name, check, Status.UNKNOWN, message, evidence, remedy)


@dataclass(frozen=True, slots=True)
class AgentUser:
    """The account of the agent; ``gids`` are all of its groups."""

    uid: int
    gids: frozenset[int]


@dataclass(frozen=True, slots=True)
class Host:
    """Facts about the host that several areas use, read once.

    ``settings`` are the defaults if the configuration has ``problems``. ``snapshot`` is the agent's last one, empty if
    there is none in this boot. ``agent`` is None without such an account. ``uid`` is the caller's.
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
        """Whether the caller may read everything."""
        return self.uid == 0


Examination = Callable[[Host], Awaitable[Sequence[Finding]]]
"""The check of one area. Raises TidegateError if the whole area cannot be checked."""

AS_ROOT = "run it as root: sudo tidegate doctor"
