"""Which sessions are people whom a reboot would disturb."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tidegate.clock import Now, rfc3339
from tidegate.printable import one_line
from tidegate.services.sessions import Session

MAX_NAMED = 5
"""In one reason; a terminal server has hundreds."""

MAX_TERMINALS = 500
"""That one notice is written to."""

_CLOSING = "closing"
"""The state of a session whose person has logged out while some of its processes go on."""

_NAME_CHARS = 64
"""Of a user's or a host's name."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """Whose sessions hold no reboot: those of ``users`` (names or numbers), of ``categories`` (logind's classes), and,
    unless it is 0, those in which nobody has done anything for ``idle_secs``."""

    users: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    idle_secs: int = 0


def present(sessions: Sequence[Session], ignored: Ignored, now: Now) -> tuple[Session, ...]:
    """The sessions that count, the oldest first."""
    counting = [session for session in sessions if _counts(session, ignored, now)]
    return tuple(sorted(counting, key=lambda session: (session.began_boot_secs, session.id)))


def _counts(session: Session, ignored: Ignored, now: Now) -> bool:
    if session.state == _CLOSING or session.category in ignored.categories:
        return False
    if session.user in ignored.users or str(session.uid) in ignored.users:
        return False
    return not 0 < ignored.idle_secs <= _idle_secs(session, now)


def _idle_secs(session: Session, now: Now) -> float:
    """For how long nobody has done anything: no longer than the session is old, however the wall clock was set."""
    if session.last_input is None:
        return 0.0
    by_wall = (now.wall - session.last_input).total_seconds()
    return min(by_wall, now.boot_secs - session.began_boot_secs)


def named(sessions: Sequence[Session]) -> str:
    """The people in words, not endlessly many."""
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
    """The terminals at which somebody may read: also those of sessions that hold nothing, for these end as well."""
    ttys = (session.tty for session in sessions if session.tty and not session.is_graphical)
    return tuple(sorted(set(ttys)))[:MAX_TERMINALS]
