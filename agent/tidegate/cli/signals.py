"""Receive signals in an asyncio program without losing one."""

from __future__ import annotations

import asyncio
import signal
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager, suppress

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
"""The signals by which people and service managers end a program or talk to it."""


class Signals:
    """The signals that this process has received and not acted upon yet; none is lost."""

    def __init__(self) -> None:
        self._received: deque[signal.Signals] = deque()
        self._arrived = asyncio.Event()

    @contextmanager
    def caught(self) -> Generator[None, None, None]:
        """Keep signals, instead of being ended by them, while the block runs."""
        loop = asyncio.get_running_loop()
        for one in FORWARDED:
            loop.add_signal_handler(one, self._receive, one)
        try:
            yield
        finally:
            for one in FORWARDED:
                loop.remove_signal_handler(one)

    def _receive(self, received: signal.Signals) -> None:
        self._received.append(received)
        self._arrived.set()

    @property
    def first(self) -> signal.Signals | None:
        """The first of them, which stays; None without any."""
        return self._received[0] if self._received else None

    def clear(self) -> None:
        """Forget them: they have been acted upon."""
        self._received.clear()
        self._arrived.clear()

    async def next(self) -> signal.Signals:
        """Wait for the next one, and take it."""
        await self._arrived.wait()
        received = self._received.popleft()
        if not self._received:
            self._arrived.clear()
        return received

    async def within(self, secs: float | None) -> signal.Signals | None:
        """Wait for ``secs`` (None: without limit) or until there is a signal, which stays; None: there is none."""
        with suppress(TimeoutError):
            async with asyncio.timeout(secs):
                await self._arrived.wait()
        return self.first
