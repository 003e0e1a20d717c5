"""What the machine wants done.

A *task* is an effect that answers later, with :class:`~tidegate.machine.events.Completed` or
:class:`~tidegate.machine.events.Errored` under its id.
"""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.errors import Failure
from tidegate.purpose import Purpose
from tidegate.release import Release


@dataclass(frozen=True, slots=True)
class ReadHost:
    """Task: ask the engine and logind; answers HostView."""

    id: int


@dataclass(frozen=True, slots=True)
class FindOffers:
    """Task: ask discovery for the successors of the booted release; answers Offers."""

    id: int
    booted: Release


@dataclass(frozen=True, slots=True)
class Stage:
    """Task: engine.stage; answers HostView, and Progressed on the way."""

    id: int
    target: Release


@dataclass(frozen=True, slots=True)
class AskGates:
    """Task: ask every gate that guards ``purpose``; answers a tuple of verdicts."""

    id: int
    target: Release
    purpose: Purpose


@dataclass(frozen=True, slots=True)
class Arm:
    """Task: engine.arm; answers HostView."""

    id: int
    target: Release


@dataclass(frozen=True, slots=True)
class Disarm:
    """Task: engine.disarm; answers HostView."""

    id: int
    target: Release


@dataclass(frozen=True, slots=True)
class Reboot:
    """Task: ask logind to reboot; answers RebootAnswer. ``announcement`` goes to whoever is logged in."""

    id: int
    announcement: str


@dataclass(frozen=True, slots=True)
class ReadHealth:
    """Task: look at the health of this boot; answers Health."""

    id: int


@dataclass(frozen=True, slots=True)
class MarkGood:
    """Task: engine.mark_good; answers HostView."""

    id: int
    target: Release


Task = ReadHost | FindOffers | Stage | AskGates | Arm | Disarm | Reboot | ReadHealth | MarkGood


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer a person's request: with a text, or with why not."""

    request_id: int
    answer: str | Failure


@dataclass(frozen=True, slots=True)
class Announce:
    """Say what was decided and why: one line in the journal, once. ``level`` is a syslog priority."""

    level: int
    text: str


Effect = Task | Reply | Announce

NOTICE = 5
WARNING = 4
ERROR = 3
