"""Gate ``sessions``: notify logged-in users of a reboot, and give them time to save their work.

Users are not logged out, and cannot hold a reboot back for longer than the grace period. Where the sessions cannot be
listed, somebody is assumed to be logged in.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, assert_never

from tidegate.clock import rfc3339
from tidegate.config.keys import key
from tidegate.config.kinds.names import Names
from tidegate.config.kinds.scalar import MAX_INTERVAL_SECS, Boolean, Integer
from tidegate.errors import TidegateError
from tidegate.gates.base import (
    Allow,
    Gate,
    GateSpec,
    Notice,
    Question,
    Rank,
    SpecifiedGate,
    Verdict,
    Wait,
    override_command,
)
from tidegate.gates.grace import NotStarted, Over, Running, TooLong, grace
from tidegate.gates.people import Ignored, named, present, terminals
from tidegate.printable import moment
from tidegate.release import Purpose
from tidegate.services.sessions import Session

if TYPE_CHECKING:
    from tidegate.gates.select import GateSources
    from tidegate.settings import Settings

LIST_TIMEOUT_SECS = 10.0
"""For listing all sessions, thousands in practice; well within the time of a gate. After it, logind is taken as not
answering, and the grace period limits how long that holds a reboot back."""

_LOGIND = "systemctl status systemd-logind.service"

PROGRAMS_CLASSES = ("greeter", "lock-screen", "background", "background-light", "manager", "manager-early")
"""logind's classes of sessions that are not a user's. Any class that is not listed here counts as a user's."""

MAX_GRACE_SECS = 7 * 24 * 3600
"""Users are given minutes or hours; more than a week amounts to a host that never reboots."""

_USER = re.compile(r"[^\s:,/]{1,256}")
_SESSION_CLASS = re.compile(r"[a-z]+(?:-[a-z]+)*")

ListSessions = Callable[[], Awaitable[Sequence[Session]]]


@dataclass(frozen=True, slots=True)
class SessionsSettings:
    """``[gates.sessions]``: notice and grace period for users who are logged in."""

    enabled: bool = key(
        True,  # noqa: FBT003 - a default
        Boolean(),
        "Whether users who are logged in are notified of a reboot and given time.",
    )
    grace_secs: int = key(
        600,
        Integer(0, MAX_GRACE_SECS),
        "The grace period: seconds between the notice and the reboot. With 0, users are only notified.",
    )
    ignore_users: tuple[str, ...] = key(
        (), Names(_USER, "names or numbers of users"), "Users whose sessions do not hold a reboot back."
    )
    ignore_classes: tuple[str, ...] = key(
        PROGRAMS_CLASSES,
        Names(_SESSION_CLASS, "classes of sessions, as `loginctl show-session` has them"),
        "Session classes that do not hold a reboot back. Unless set, those that are not of users.",
    )
    ignore_idle_secs: int = key(
        0,
        Integer(0, MAX_INTERVAL_SECS),
        "Seconds without input after which a session does not hold a reboot back any more; 0 is never.",
    )


def _build(settings: Settings, sources: GateSources) -> Iterator[Gate]:
    sessions = settings.of(SessionsSettings)
    if sessions.enabled:
        yield Sessions(sessions, sources.logind.sessions)


SPEC = GateSpec(
    "sessions",
    "users are logged in who have not been notified, or whose grace period is not over",
    guards=frozenset({Purpose.UPDATE, Purpose.ROLLBACK}),
    overridable=True,
    etiquette=True,
    rank=Rank.NOTICE,
    table="gates.sessions",
    section=SessionsSettings,
    build=_build,
)


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """The users who are logged in, or may be, described in ``who``.

    ``remedy`` is the command that shows more of it; ``terminals`` are those to write a notice to.
    """

    who: str
    remedy: str
    terminals: tuple[str, ...] = ()


class Sessions(SpecifiedGate):
    """Waits while users are logged in who have not been notified, or whose grace period has not ended."""

    spec = SPEC

    def __init__(self, settings: SessionsSettings, list_sessions: ListSessions) -> None:
        self._grace_secs = settings.grace_secs
        self._ignored = Ignored(
            frozenset(settings.ignore_users), frozenset(settings.ignore_classes), settings.ignore_idle_secs
        )
        self._list_sessions = list_sessions

    async def ask(self, question: Question) -> Verdict:
        """List the sessions, and evaluate the grace period where some of them count."""
        users = await self._logged_in(question)
        if users is None:
            return Allow(self.name, "nobody is logged in")
        return self._verdict(users, question)

    async def _logged_in(self, question: Question) -> LoggedIn | None:
        import asyncio  # noqa: PLC0415 - commands that only read the keys above run no event loop

        try:
            async with asyncio.timeout(LIST_TIMEOUT_SECS):
                sessions = await self._list_sessions()
        except TidegateError as err:
            return LoggedIn(f"it is not known who is logged in: {err.message}", err.remedy or _LOGIND)
        except TimeoutError:
            return LoggedIn(f"it is not known who is logged in: no answer within {LIST_TIMEOUT_SECS:.0f} s", _LOGIND)
        people = present(sessions, self._ignored, question.now)
        if not people:
            return None
        return LoggedIn(f"logged in: {named(people)}", "loginctl", terminals(sessions))

    def _verdict(self, users: LoggedIn, question: Question) -> Verdict:
        state = grace(self._grace_secs, question.now, question.noticed.get(self.name), question.allowed_until)
        match state:
            case Over(noticed_secs):
                return Allow(self.name, f"the grace period is over: notified {noticed_secs:.0f} s ago; {users.who}")
            case Running(until):
                return Wait(self.name, f"{users.who}; notified, with time until {rfc3339(until)}", until, _see(users))
            case NotStarted(until):
                reason = f"{users.who}; not notified yet, with {self._grace_secs} s from then on"
                text = announcement(question, until, self._grace_secs)
                return Wait(self.name, reason, until, _see(users), Notice(text, until, users.terminals))
            case TooLong(until, allowed_until):
                reason = (
                    f"{users.who}; notified now, they would have until {rfc3339(until)}, "
                    f"but the reboot is allowed only before {rfc3339(allowed_until)}"
                )
                remedy = f"{_see(users)}; use a shorter gates.sessions.grace_secs or a longer window, so that both fit"
                return Wait(self.name, reason, remedy=remedy)
            case _:
                assert_never(state)


def _see(users: LoggedIn) -> str:
    return f"see {users.remedy}; or {override_command(SPEC.name)}"


def announcement(question: Question, until: datetime, grace_secs: int) -> str:
    """The text of the notice, as users read it on their terminals."""
    return (
        f"Tidegate is about to reboot this host into release {question.target.version} ({_why(question.purpose)}).\n"
        f"You have until {moment(until, seconds=True)}, {_span(grace_secs)}, to save your work and log out.\n"
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
