"""Who is behind a unique name, asked once: such a name never changes hands and is never given out again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tidegate.bus.interface import Caller

MAX_REMEMBERED = 256
"""Connections come and go; of those that are forgotten the daemon is asked again."""


class Callers:
    """Remembers the callers of late. ``ask`` finds out about one."""

    def __init__(self, ask: Callable[[str], Awaitable[Caller]]) -> None:
        self._ask = ask
        self._known: dict[str, Caller] = {}

    def uid_of(self, unique_name: str) -> int | None:
        """The user behind ``unique_name``, where that is known already."""
        known = self._known.get(unique_name)
        return None if known is None else known.uid

    async def identify(self, unique_name: str) -> Caller:
        """The caller behind ``unique_name``; raises as ``ask`` does."""
        known = self._known.get(unique_name)
        if known is not None:
            return known
        found = await self._ask(unique_name)
        if len(self._known) >= MAX_REMEMBERED:
            self._known.pop(next(iter(self._known)))  # the one that was first heard of longest ago
        self._known[unique_name] = found
        return found
