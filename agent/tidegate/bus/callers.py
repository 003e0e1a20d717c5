"""A cache of callers by unique name, which the daemon assigns to one connection and never again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tidegate.bus.interface import Caller

MAX_REMEMBERED = 256
"""The daemon is asked again about those that were dropped."""


class Callers:
    """Caches callers; ``ask`` identifies one that is not cached."""

    def __init__(self, ask: Callable[[str], Awaitable[Caller]]) -> None:
        self._ask = ask
        self._known: dict[str, Caller] = {}

    def uid_of(self, unique_name: str) -> int | None:
        """Return the user of the connection ``unique_name``, or None where it is not cached."""
        known = self._known.get(unique_name)
        return None if known is None else known.uid

    async def identify(self, unique_name: str) -> Caller:
        """Return the caller behind ``unique_name``; raise as ``ask`` does."""
        known = self._known.get(unique_name)
        if known is not None:
            return known
        found = await self._ask(unique_name)
        if len(self._known) >= MAX_REMEMBERED:
            self._known.pop(next(iter(self._known)))  # the oldest
        self._known[unique_name] = found
        return found
