"""The checks that the root helper runs, as the agent sees them."""

from __future__ import annotations

import asyncio
from typing import cast

from tidegate.bus.bus import Bus
from tidegate.bus.errors import LIMITS_EXCEEDED, CallFailed
from tidegate.config.health import CommandCheck
from tidegate.errors import ErrorKind, TidegateError
from tidegate.health.base import Weight
from tidegate.health.check import Seen
from tidegate.health.wire import CHECKS, COMMAND, weight_of

MAX_AT_ONCE = 8
"""Half of the calls that the helper takes from one caller; others ask it for the engine meanwhile."""
OVERHEAD_SECS = 45.0
"""Starting the helper on a busy board, and stopping a unit that does not end by itself."""
LIST_SECS = 60.0
CURSOR_SECS = 30.0

_REMEDY = "systemctl status tidegate-engine.service; journalctl -u tidegate-engine.service"


class RemoteChecks:
    """Calls to ``org.tidegate.Checks1``. ``health.unreadable``: there is no helper, or it did not answer."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._turn = asyncio.Semaphore(MAX_AT_ONCE)

    async def run(self, name: str, timeout_secs: float) -> Seen:
        """Run the check ``name``, which has ``timeout_secs`` for itself."""
        async with self._turn:
            passed, detail = await self._call("Run", name, returns="bs", timeout_secs=timeout_secs + OVERHEAD_SECS)
        return Seen(bool(passed), str(detail))

    async def executables(self) -> tuple[str, ...]:
        """The names of the programs in folders that are checks here."""
        (names,) = await self._call("List", returns="as", timeout_secs=LIST_SECS)
        return cast("tuple[str, ...]", names)

    async def journal_cursor(self) -> str:
        """Where the journal stands."""
        (cursor,) = await self._call("JournalCursor", returns="s", timeout_secs=CURSOR_SECS)
        return str(cursor)

    async def _call(self, member: str, *texts: str, returns: str, timeout_secs: float) -> tuple[object, ...]:
        try:
            return await self._bus.call(
                CHECKS, member, "s" * len(texts), *texts, returns=returns, timeout_secs=timeout_secs
            )
        except CallFailed as err:
            remedy = "look again later" if err.error_name == LIMITS_EXCEEDED else _REMEDY
            raise _unreadable(err, remedy) from err
        except TidegateError as err:
            raise err if err.kind is ErrorKind.HEALTH_UNKNOWN_CHECK else _unreadable(err, _REMEDY) from err


def _unreadable(error: TidegateError, remedy: str) -> TidegateError:
    return TidegateError(ErrorKind.HEALTH_UNREADABLE, f"the engine helper: {error.message}", error.remedy or remedy)


class Command:
    """The check ``[[health.command]]``: run at every look."""

    def __init__(self, check: CommandCheck, remote: RemoteChecks) -> None:
        self.name = f"{COMMAND}/{check.name}"
        self.weight = Weight(check.weight)
        self._timeout_secs = check.timeout_secs
        self._remote = remote

    async def ask(self) -> Seen:
        """Have it run."""
        return await self._remote.run(self.name, self._timeout_secs)


class Executable:
    """A program in a folder: run at every look until it has passed once, and then well for the rest of the boot."""

    def __init__(self, name: str, timeout_secs: float, remote: RemoteChecks) -> None:
        self.name = name
        self.weight = weight_of(name)
        self._timeout_secs = timeout_secs
        self._remote = remote
        self._passed: Seen | None = None

    async def ask(self) -> Seen:
        """Have it run, unless it has passed."""
        if self._passed is not None:
            return self._passed
        seen = await self._remote.run(self.name, self._timeout_secs)
        self._passed = seen if seen.passed else None
        return seen


class Executables:
    """The programs in folders, listed once: what is put there later counts after a reload, and in the next boot."""

    def __init__(self, timeout_secs: float, remote: RemoteChecks) -> None:
        self._timeout_secs = timeout_secs
        self._remote = remote
        self._found: tuple[Executable, ...] | None = None

    async def found(self) -> tuple[Executable, ...]:
        """All of them.

        Raises:
            TidegateError: ``health.unreadable``.
        """
        if self._found is None:
            names = await self._remote.executables()
            self._found = tuple(Executable(name, self._timeout_secs, self._remote) for name in names)
        return self._found
