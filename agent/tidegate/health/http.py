"""The check ``[[health.http]]``: a server answers. The request is made by a net-worker."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tidegate.health.base import Weight
from tidegate.health.check import CheckResult
from tidegate.health.http_wire import HttpCheckEvent, HttpCheckRequest
from tidegate.net.client import NetClient

if TYPE_CHECKING:
    from tidegate.health.checks.http import HttpCheck

MAX_WORKERS = 4
"""Each worker is a Python process with httpx: 30 MiB for some seconds, on boards that have 512."""


class HttpAnswers:
    """A GET of one address. ``slots`` limits the workers; the check's timeout starts once it has one."""

    def __init__(self, check: HttpCheck, net: NetClient, slots: asyncio.Semaphore) -> None:
        self.name = f"http/{check.name}"
        self.weight = Weight(check.weight)
        self._request = HttpCheckRequest(
            check.url, check.status.low, check.status.high, check.contains, check.timeout_secs, check.ca_file
        )
        self._net = net
        self._slots = slots

    async def run(self) -> CheckResult:
        """Have a net-worker make the request."""
        async with self._slots:
            event = await self._net.run(self._request, HttpCheckEvent)
        return CheckResult(event.passed, event.detail)
