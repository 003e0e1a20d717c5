"""Select the logind sessions of people whom a reboot would interrupt, and describe them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tidegate.clock import Now, rfc3339
from tidegate.printable import one_line
from tidegate.services.sessions import Session

MAX_NAMED = 5
"""Sessions that one reason lists; a terminal server has hundreds."""

MAX_TERMINALS = 500
"""Terminals that one notice is written to."""

_CLOSING = "closing"
"""The state of a session whose user has logged out while processes of it still run: sd_session_get_state(3)."""

_NAME_CHARS = 64
"""Of a user, host, terminal or session name."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """Sessions that do not hold a reboot back.

    Those of ``users`` (names or uids), those of ``categories`` (logind's session classes), and those without input for
    ``idle_secs``; 0 is never.
    """

    users: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    idle_secs: int = 0


def present(sessions: Sequence[Session], ignored: Ignored, now: Now) -> tuple[Session, ...]:
    """The sessions that are not ignored, the oldest first."""
    counting = [session for session in sessions if _counts(session, ignored, now)]
    return tuple(sorted(counting, key=lambda session: (session.began_boot_secs, session.id)))


def _counts(session: Session, ignored: Ignored, now: Now) -> bool:
    if session.state == _CLOSING or session.category in ignored.categories:
        return False
    if session.user in ignored.users or str(session.uid) in ignored.users:
        return False
    return not 0 < ignored.idle_secs <= _idle_secs(session, now)


def _idle_secs(session: Session, now: Now) -> float:
    """Seconds since the last input, which logind gives by the wall clock; at most the age of the session."""
    if session.last_input is None:
        return 0.0
    by_wall = (now.wall - session.last_input).total_seconds()
    return min(by_wall, now.boot_secs - session.began_boot_secs)


def named(sessions: Sequence[Session]) -> str:
    """A description of ``sessions`` on one line: the first :data:`MAX_NAMED`, and how many more."""
    shown = ", ".join(_named(session) for session in sessions[:MAX_NAMED])
    more = len(sessions) - MAX_NAMED
    return f"{shown} and {more} more" if more > 0 else shown


def _named(session: Session) -> str:
    user = one_line(session.user, _NAME_CHARS) or str(session.uid)
    host = one_line(session.remote_host, _NAME_CHARS)
    since = f" since {rfc3339(session.since)}" if session.since is not None else ""
    return f"{user} on {_place(session)}{f' from {host}' if host else ''}{since}"


def _place(session: Session) -> str:
    if session.is_graphical or not session.tty:
        return f"session {one_line(session.id, _NAME_CHARS)} ({one_line(session.kind, _NAME_CHARS)})"
    return one_line(session.tty, _NAME_CHARS)


def terminals(sessions: Sequence[Session]) -> tuple[str, ...]:
    """The terminals of all sessions, ignored ones included: a reboot ends those as well."""
    ttys = (session.tty for session in sessions if session.tty and not session.is_graphical)
    return tuple(sorted(set(ttys)))[:MAX_TERMINALS]
