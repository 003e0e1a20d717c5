"""What the HTTP side and the command line see of the locks, whichever store is behind them."""

from __future__ import annotations

from typing import Protocol

from tidegate.coordinator.model import Answer, Call, GroupView, Happening


class Locks(Protocol):
    """Every method answers within the store's own deadline.

    Raises:
        TidegateError: ``coordinator.store-unavailable`` where the store does not answer; nothing is known to have
            changed then. ``coordinator.unknown-group`` and ``coordinator.no-holder`` where a person names what is not.
    """

    async def call(self, call: Call) -> Answer:
        """A client's request."""
        ...

    async def groups(self) -> tuple[GroupView, ...]:
        """Every configured group, and what is held in it."""
        ...

    async def take(self, group: str | None, holder_id: str, by: str, reason: str) -> tuple[str, ...]:
        """Free the slot of ``holder_id`` for it (in ``group``, else in all); the groups in which it was held."""
        ...

    async def history(self, group: str | None, limit: int) -> tuple[Happening, ...]:
        """What happened last, newest first."""
        ...

    async def check(self) -> None:
        """Whether the store can be read and written by way of consensus at this moment."""
        ...
