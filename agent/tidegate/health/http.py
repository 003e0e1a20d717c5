"""The check ``[[health.http]]``: a server answers. A net-worker does the asking."""

from __future__ import annotations

import asyncio

from tidegate.config.health import HttpCheck
from tidegate.health.base import Weight
from tidegate.health.check import Seen
from tidegate.health.probe import ProbeEvent, ProbeRequest
from tidegate.net.client import NetClient

MAX_AT_ONCE = 4
"""Each worker is a python with httpx, some 30 MiB for some seconds; boards have 512."""


class HttpAnswers:
    """One address. Its time begins with its worker: ``turn`` bounds how many there are at once."""

    def __init__(self, check: HttpCheck, net: NetClient, turn: asyncio.Semaphore) -> None:
        self.name = f"http/{check.name}"
        self.weight = Weight(check.weight)
        self._request = ProbeRequest(
            check.url, check.status.low, check.status.high, check.contains, check.timeout_secs, check.ca_file
        )
        self._net = net
        self._turn = turn

    async def ask(self) -> Seen:
        """Get it."""
        async with self._turn:
            event = await self._net.run(self._request, ProbeEvent)
        return Seen(event.passed, event.detail)
