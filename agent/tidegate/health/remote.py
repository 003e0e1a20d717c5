"""Checks that are run by the root helper, over D-Bus: ``[[health.command]]`` and the programs in folders."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from tidegate.bus.bus import Bus
from tidegate.bus.errors import LIMITS_EXCEEDED, CallFailed
from tidegate.errors import ErrorKind, TidegateError
from tidegate.health.base import Weight
from tidegate.health.check import CheckResult
from tidegate.health.wire import CHECKS, COMMAND, weight_of

if TYPE_CHECKING:
    from tidegate.health.checks.command import CommandCheck

MAX_AT_ONCE = 8
"""Half of the calls that the helper accepts from one caller; the engine's verbs need the rest."""
OVERHEAD_SECS = 45.0
"""On top of a check's own timeout: start the helper on a busy board, and kill a unit that does not stop."""
LIST_SECS = 60.0
CURSOR_SECS = 30.0

_REMEDY = "systemctl status tidegate-engine.service; journalctl -u tidegate-engine.service"


class RemoteChecks:
    """A client of ``org.tidegate.Checks1``.

    Every method raises ``health.unreadable`` where there is no helper, or none that answers in time.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._slots = asyncio.Semaphore(MAX_AT_ONCE)

    async def run(self, name: str, timeout_secs: float) -> CheckResult:
        """Run the check ``name``, which may take ``timeout_secs``.

        Raises:
            TidegateError: ``health.unreadable``, or ``health.unknown-check``: root has not configured ``name``.
        """
        async with self._slots:
            passed, detail = await self._call("Run", name, returns="bs", timeout_secs=timeout_secs + OVERHEAD_SECS)
        return CheckResult(bool(passed), str(detail))

    async def executables(self) -> tuple[str, ...]:
        """The names of the checks that are programs in folders.

        Raises:
            TidegateError: ``health.unreadable``.
        """
        (names,) = await self._call("List", returns="as", timeout_secs=LIST_SECS)
        return cast("tuple[str, ...]", names)

    async def journal_cursor(self) -> str:
        """The cursor of the last journal entry; empty where there is no journal.

        Raises:
            TidegateError: ``health.unreadable``.
        """
        (cursor,) = await self._call("JournalCursor", returns="s", timeout_secs=CURSOR_SECS)
        return str(cursor)

    async def _call(self, member: str, *texts: str, returns: str, timeout_secs: float) -> tuple[object, ...]:
        try:
            return await self._bus.call(
                CHECKS, member, "s" * len(texts), *texts, returns=returns, timeout_secs=timeout_secs
            )
        except CallFailed as err:
            remedy = "try again later" if err.error_name == LIMITS_EXCEEDED else _REMEDY
            raise _unreadable(err, remedy) from err
        except TidegateError as err:
            raise err if err.kind is ErrorKind.HEALTH_UNKNOWN_CHECK else _unreadable(err, _REMEDY) from err


def _unreadable(error: TidegateError, remedy: str) -> TidegateError:
    return TidegateError(ErrorKind.HEALTH_UNREADABLE, f"the engine helper: {error.message}", error.remedy or remedy)


class Command:
    """The check ``[[health.command]]``: run in every probe."""

    def __init__(self, check: CommandCheck, remote: RemoteChecks) -> None:
        self.name = f"{COMMAND}/{check.name}"
        self.weight = Weight(check.weight)
        self._timeout_secs = check.timeout_secs
        self._remote = remote

    async def run(self) -> CheckResult:
        """Have the helper run the command."""
        return await self._remote.run(self.name, self._timeout_secs)


class Executable:
    """A program in a folder: run in every probe until it first passes, which holds for the rest of the boot."""

    def __init__(self, name: str, timeout_secs: float, remote: RemoteChecks) -> None:
        self.name = name
        self.weight = weight_of(name)
        self._timeout_secs = timeout_secs
        self._remote = remote
        self._passed: CheckResult | None = None

    async def run(self) -> CheckResult:
        """Have the helper run the program, unless it has passed already."""
        if self._passed is not None:
            return self._passed
        result = await self._remote.run(self.name, self._timeout_secs)
        self._passed = result if result.passed else None
        return result


class Executables:
    """The programs in folders. They are listed once: a program added later counts after a reload or reboot."""

    def __init__(self, timeout_secs: float, remote: RemoteChecks) -> None:
        self._timeout_secs = timeout_secs
        self._remote = remote
        self._found: tuple[Executable, ...] | None = None

    async def found(self) -> tuple[Executable, ...]:
        """A check for each program; only the first call asks the helper.

        Raises:
            TidegateError: ``health.unreadable``.
        """
        if self._found is None:
            names = await self._remote.executables()
            self._found = tuple(Executable(name, self._timeout_secs, self._remote) for name in names)
        return self._found
