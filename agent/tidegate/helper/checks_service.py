"""Serve ``org.tidegate.Checks1``: run health checks for the agent, by name."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from tidegate.bus.bus import Bus
from tidegate.bus.caller_disconnect import while_connected
from tidegate.bus.errors import ACCESS_DENIED, ErrorReply
from tidegate.bus.interface import Caller, Interface, Method
from tidegate.health.wire import CHECKS
from tidegate.helper.checks import RootChecks, journal_cursor
from tidegate.helper.idle import Idle

_log = logging.getLogger(__name__)


class ServedChecks:
    """Serves checks to ``admitted_uids``. A check is stopped when its caller disconnects from the bus."""

    def __init__(
        self,
        bus: Bus,
        checks: RootChecks,
        admitted_uids: frozenset[int],
        idle: Idle,
        cursor: Callable[[], Awaitable[str]] = journal_cursor,
    ) -> None:
        self._bus = bus
        self._checks = checks
        self._admitted_uids = admitted_uids
        self._idle = idle
        self._cursor = cursor
        bus.export(CHECKS.path, self._interface())

    def _interface(self) -> Interface:
        return Interface(
            CHECKS.interface,
            methods=(
                Method("Run", self._run, takes={"name": "s"}, returns={"passed": "b", "detail": "s"}),
                Method("List", self._list, returns={"names": "as"}),
                Method("JournalCursor", self._journal_cursor, returns={"cursor": "s"}),
            ),
            admit=self._admit,
        )

    async def _admit(self, caller: Caller) -> None:
        if caller.uid not in self._admitted_uids:
            _log.warning("refused a call from uid %d (pid %s)", caller.uid, caller.pid)
            raise ErrorReply(ACCESS_DENIED, "checks are run for root and the agent only")

    async def _run(self, caller: Caller, name: str) -> tuple[object, ...]:
        with self._idle.busy():
            async with while_connected(self._bus, caller):
                seen = await self._checks.run(name)
        return seen.passed, seen.detail

    async def _list(self, _caller: Caller) -> tuple[object, ...]:
        with self._idle.busy():
            return (list(self._checks.names()),)

    async def _journal_cursor(self, _caller: Caller) -> tuple[object, ...]:
        with self._idle.busy():
            return (await self._cursor(),)
