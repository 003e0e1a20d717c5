"""Limit the calls that are handled at once: in all, from one connection, and of one user.

So memory stays bounded, and no caller can take up the capacity that the others need.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager

from tidegate.bus.errors import LIMITS_EXCEEDED, ErrorReply

MAX_CALLS = 128
"""In all. The calls of a new connection count only here until the daemon has named its user."""
MAX_CALLS_OF_ONE = 16
"""From one connection: enough for a client that requests everything at once."""
MAX_CALLS_OF_A_USER = 32
"""From all connections of one user, who may have some hundred of them. Root is not limited."""

ROOT = 0


class CallLimits:
    """Counts the calls that are being handled."""

    def __init__(self) -> None:
        self._all = 0
        self._of_connection: Counter[str] = Counter()
        self._of_user: Counter[int] = Counter()

    def acquire(self, sender: str, uid: int | None) -> bool:
        """Count a call of ``sender``; return False where a limit is reached. ``uid`` is None while it is not known."""
        user_is_at_limit = uid is not None and not self._has_room(uid)
        if user_is_at_limit or self._all >= MAX_CALLS or self._of_connection[sender] >= MAX_CALLS_OF_ONE:
            return False
        self._all += 1
        self._of_connection[sender] += 1
        return True

    def release(self, sender: str) -> None:
        """Count a call of ``sender`` as handled."""
        self._all -= 1
        self._of_connection[sender] -= 1
        self._of_connection += Counter()  # drops zero counts

    @contextmanager
    def of_user(self, uid: int) -> Generator[None]:
        """Count a call as one of ``uid`` while the context lasts.

        Raises:
            ErrorReply: the user's limit is reached.
        """
        if not self._has_room(uid):
            raise too_many()
        self._of_user[uid] += 1
        try:
            yield
        finally:
            self._of_user[uid] -= 1
            self._of_user += Counter()

    def _has_room(self, uid: int) -> bool:
        return uid == ROOT or self._of_user[uid] < MAX_CALLS_OF_A_USER


def too_many() -> ErrorReply:
    """Return the answer to a call beyond a limit."""
    return ErrorReply(LIMITS_EXCEEDED, "too many calls are being handled already")
