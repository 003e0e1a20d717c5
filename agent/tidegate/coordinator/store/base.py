"""What a store is: it keeps a semaphore for each group, and replaces it only where nobody else has in between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tidegate.coordinator.model import AuditEvent, Change, Semaphore
from tidegate.errors import ErrorKind, TidegateError

HISTORY_LENGTH = 256
"""Writes of a group whose happenings are kept, at least."""


class Version(Protocol):
    """A group's semaphore as it stood at a revision of the store. Immutable; an old one does no harm.

    Raises:
        TidegateError: ``coordinator.store-unavailable``: there is no answer, and what was asked may or may not have
            been carried out. Read anew and decide anew; never send the same again. ``coordinator.store-nonsense``:
            what is kept there cannot be read, and is left as it is.
    """

    @property
    def semaphore(self) -> Semaphore:
        """What was held."""
        ...

    @property
    def revision(self) -> int:
        """Higher with every change; 0 before the first."""
        ...

    async def confirmed(self) -> Version:
        """This very object where it is still the current one, by the word of the whole store; else the current one."""
        ...

    async def swap(self, change: Change) -> Swapped | Conflict:
        """Put ``change`` in the place of this version, unless that is no longer the current one."""
        ...


@dataclass(frozen=True, slots=True)
class Swapped:
    """The change is kept: ``version`` is what came of it."""

    version: Version


@dataclass(frozen=True, slots=True)
class Conflict:
    """Nothing was changed: somebody else was faster, and ``version`` is what came of that."""

    version: Version


class Store(Protocol):
    """Raises as :class:`Version` does."""

    async def read(self, group: str) -> Version:
        """The current version, by the word of the whole store."""
        ...

    async def history(self, group: str, limit: int) -> tuple[AuditEvent, ...]:
        """What happened last in the group, newest first."""
        ...

    async def check(self) -> None:
        """Whether the store can be read and written at this moment."""
        ...

    async def aclose(self) -> None:
        """Let go of files and connections. Nothing may be asked afterwards."""
        ...


def unavailable(message: str, remedy: str = "") -> TidegateError:
    """There is no answer, or none that says whether anything has changed."""
    return TidegateError(ErrorKind.COORDINATOR_STORE_UNAVAILABLE, message, remedy)


def nonsense(message: str, remedy: str) -> TidegateError:
    """What is kept cannot be used; it is left as it is."""
    return TidegateError(ErrorKind.COORDINATOR_STORE_NONSENSE, message, remedy)
