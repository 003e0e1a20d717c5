"""When a process that is started on demand may end."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager


class Idle:
    """Notices when nothing has gone on for ``after_secs``; made inside the running loop."""

    def __init__(self, after_secs: float) -> None:
        self._after_secs = after_secs
        self._active = 0
        self._quiet = asyncio.Event()
        self._timer = self._start_timer()

    @contextmanager
    def busy(self) -> Generator[None]:
        """Something goes on while the context lasts."""
        self._active += 1
        self._timer.cancel()
        self._quiet.clear()
        try:
            yield
        finally:
            self._active -= 1
            if self._active == 0:
                self._timer = self._start_timer()

    async def wait(self) -> None:
        """Wait until nothing has gone on for long enough."""
        await self._quiet.wait()

    def _start_timer(self) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(self._after_secs, self._quiet.set)
