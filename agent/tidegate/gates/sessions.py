"""Gate ``sessions``: people who are logged in are told of a reboot, and given time.

Nobody is asked to leave and nobody can hold a reboot for ever: after the grace it is allowed. A list of sessions that
cannot be read is somebody who is logged in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from tidegate.clock import rfc3339
from tidegate.config import settings as config
from tidegate.errors import TidegateError
from tidegate.gates.base import Allow, Notice, Question, Verdict, Wait
from tidegate.gates.grace import Ahead, Outlives, Over, Running, grace
from tidegate.gates.people import Ignored, named, present, terminals
from tidegate.release import Purpose
from tidegate.services.sessions import Session

LOOK_SECS = 10.0
"""For reading all sessions: thousands in practice, and well within what the panel gives a gate. A logind that takes
longer is one that does not answer, which the grace bounds too."""

OVERRIDE = "tidegate apply --now --override sessions --reason TEXT"

_LOGIND = "systemctl status systemd-logind.service"

Look = Callable[[], Awaitable[Sequence[Session]]]


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """Whoever is there, in words; ``remedy`` is how to see more, ``terminals`` are where they may read."""

    who: str
    remedy: str
    terminals: tuple[str, ...] = ()


class Sessions:
    """Waits while people are logged in who have not been told, or whose time is not over."""

    name = "sessions"
    guards = frozenset({Purpose.UPDATE, Purpose.ROLLBACK})
    overridable = True

    def __init__(self, settings: config.Sessions, look: Look) -> None:
        self._grace_secs = settings.grace_secs
        self._ignored = Ignored(
            frozenset(settings.ignore_users), frozenset(settings.ignore_classes), settings.ignore_idle_secs
        )
        self._look = look

    async def ask(self, question: Question) -> Verdict:
        """Who is there now, and where their grace stands."""
        there = await self._who_is_there(question)
        if there is None:
            return Allow(self.name, "nobody is logged in")
        return self._verdict(there, question)

    async def _who_is_there(self, question: Question) -> LoggedIn | None:
        try:
            async with asyncio.timeout(LOOK_SECS):
                sessions = await self._look()
        except TidegateError as err:
            return LoggedIn(f"it is not known who is logged in: {err.message}", err.remedy or _LOGIND)
        except TimeoutError:
            return LoggedIn(f"it is not known who is logged in: no answer within {LOOK_SECS:.0f} s", _LOGIND)
        people = present(sessions, self._ignored, question.now)
        if not people:
            return None
        return LoggedIn(f"logged in: {named(people)}", "loginctl", terminals(sessions))

    def _verdict(self, there: LoggedIn, question: Question) -> Verdict:
        stage = grace(self._grace_secs, question.now, question.noticed.get(self.name), question.shuts_at)
        match stage:
            case Over(told_secs):
                return Allow(self.name, f"the grace is over: told {told_secs:.0f} s ago; {there.who}")
            case Running(until):
                return Wait(self.name, f"{there.who}; told, with time until {rfc3339(until)}", until, _see(there))
            case Ahead(until):
                reason = f"{there.who}; to be told, with {self._grace_secs} s from then"
                text = announcement(question, until, self._grace_secs)
                return Wait(self.name, reason, until, _see(there), Notice(text, until, there.terminals))
            case Outlives(until, shuts_at):
                reason = (
                    f"{there.who}; told now they would have until {rfc3339(until)}, "
                    f"but the reboot is allowed only before {rfc3339(shuts_at)}"
                )
                shorter = "a shorter gates.sessions.grace_secs or a longer window lets both fit"
                return Wait(self.name, reason, remedy=f"{_see(there)}; {shorter}")
            case _:
                assert_never(stage)


def _see(there: LoggedIn) -> str:
    return f"see {there.remedy}; or {OVERRIDE}"


def announcement(question: Question, until: datetime, grace_secs: int) -> str:
    """What people read on their terminals."""
    return (
        f"Tidegate is about to reboot this host into release {question.target.version} ({_why(question.purpose)}).\n"
        f"You have until {until:%Y-%m-%d %H:%M:%S} UTC ({_span(grace_secs)}) to save your work and log out.\n"
        "Once nobody is logged in, it may go down at any moment."
    )


def _why(purpose: Purpose) -> str:
    match purpose:
        case Purpose.UPDATE:
            return "an update"
        case Purpose.ROLLBACK:
            return "back from a release that does not work"
        case Purpose.MANUAL:
            return "asked for by an administrator"
        case _:
            assert_never(purpose)


def _span(secs: int) -> str:
    minutes, rest = divmod(secs, 60)
    return f"{minutes} min" if minutes and not rest else f"{secs} s"
