"""How many calls are handled at once, and whose: memory stays flat, and nobody takes the place of the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager

from tidegate.bus.errors import LIMITS_EXCEEDED, ErrorReply

MAX_CALLS = 128
"""In all. Until the daemon has said whose a new connection is, its calls count here only: several must find room."""
MAX_CALLS_OF_ONE = 16
"""From one connection: enough for a tool that asks for everything at once."""
MAX_CALLS_OF_A_USER = 32
"""From all connections of one user: a user may have some hundred of them. Root is never short of places."""

ROOT = 0


class CallLimits:
    """Counts the calls that are being handled."""

    def __init__(self) -> None:
        self._all = 0
        self._of_connection: Counter[str] = Counter()
        self._of_user: Counter[int] = Counter()

    def take(self, sender: str, uid: int | None) -> bool:
        """Take a place for a call of ``sender``, whose user may be known already; whether there was one."""
        known_to_have_enough = uid is not None and not self._has_room(uid)
        if known_to_have_enough or self._all >= MAX_CALLS or self._of_connection[sender] >= MAX_CALLS_OF_ONE:
            return False
        self._all += 1
        self._of_connection[sender] += 1
        return True

    def leave(self, sender: str) -> None:
        """Give the place back."""
        self._all -= 1
        self._of_connection[sender] -= 1
        self._of_connection += Counter()  # drops those that have none

    @contextmanager
    def of_user(self, uid: int) -> Generator[None]:
        """Count a call as one of ``uid`` while the context lasts.

        Raises:
            ErrorReply: the user has enough of them.
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
    """What a caller is told for whom there is no place."""
    return ErrorReply(LIMITS_EXCEEDED, "too many calls are being handled already")
