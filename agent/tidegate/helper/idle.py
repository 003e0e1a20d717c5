"""Detect that a process that was started on demand has been idle for long enough to exit."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager


class Idle:
    """Reports when there has been no activity for ``after_secs``. To be created in a running event loop."""

    def __init__(self, after_secs: float) -> None:
        self._after_secs = after_secs
        self._active = 0
        self._is_idle = asyncio.Event()
        self._timer = self._start_timer()

    @contextmanager
    def busy(self) -> Generator[None]:
        """Count as activity while the context lasts."""
        self._active += 1
        self._timer.cancel()
        self._is_idle.clear()
        try:
            yield
        finally:
            self._active -= 1
            if self._active == 0:
                self._timer = self._start_timer()

    async def wait(self) -> None:
        """Wait until there has been no activity for ``after_secs``."""
        await self._is_idle.wait()

    def _start_timer(self) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(self._after_secs, self._is_idle.set)
