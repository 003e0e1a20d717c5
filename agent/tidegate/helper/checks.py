"""What the root helper runs: looked up by name in the configuration and in folders, each time anew."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

from tidegate.config import DEFAULT_ROOTS, Settings, load
from tidegate.config.health import CommandCheck, Health
from tidegate.config.layers import printable
from tidegate.errors import ErrorKind, TidegateError
from tidegate.health.check import CheckResult
from tidegate.health.wire import COMMAND
from tidegate.helper.programs import FOLDER, Passed, Program, programs, why_not_run
from tidegate.helper.transient import Job, run
from tidegate.printable import one_line
from tidegate.system import process
from tidegate.system.boot import BootInstance

CURSOR_SECS = 15.0

_CURSOR = "-- cursor: "
_SHOWN_CHARS = 100

# A command is to look and not to touch; what it needs beyond that is for a program in health.d, which is root's.
_SANDBOX = (
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "ProtectHome=read-only",
    "PrivateTmp=yes",
    "ProtectControlGroups=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "LockPersonality=yes",
)

RunJob = Callable[[Job], Awaitable[CheckResult]]
"""As :func:`tidegate.helper.transient.run` does."""

_log = logging.getLogger(__name__)


class RootChecks:
    """Runs checks, each at most once at a time. ``boot`` is asked when it matters, ``root`` is where folders begin."""

    def __init__(
        self,
        boot: Callable[[], Awaitable[BootInstance]],
        *,
        config_roots: Sequence[Path] = DEFAULT_ROOTS,
        root: Path = Path("/"),
        passed: Path = FOLDER,
        run_job: RunJob = run,
    ) -> None:
        self._boot = boot
        self._configuration = _Configuration(config_roots)
        self._root = root
        self._passed_folder = passed
        self._run_job = run_job
        self._turns: dict[str, asyncio.Lock] = {}

    def names(self) -> tuple[str, ...]:
        """The programs in folders.

        Raises:
            TidegateError: ``health.unreadable``.
        """
        return tuple(program.name for program in self._programs())

    async def run(self, name: str) -> CheckResult:
        """Run the check ``name``.

        Raises:
            TidegateError: ``health.unknown-check``: root has configured nothing of that name; ``health.unreadable``.
        """
        job = self._found(name)
        async with self._turns.setdefault(name, asyncio.Lock()):
            return await job()

    def _found(self, name: str) -> Callable[[], Awaitable[CheckResult]]:
        health = self._configuration.health()
        for command in health.command:
            if name == f"{COMMAND}/{command.name}":
                return partial(self._run_job, _job(command))
        for program in self._programs():
            if name == program.name:
                return partial(self._run_program, program, health.executables_timeout_secs)
        raise TidegateError(
            ErrorKind.HEALTH_UNKNOWN_CHECK,
            f"there is no check {one_line(name, _SHOWN_CHARS)!r}",
            "tidegate config check; systemctl reload tidegate.service",
        )

    async def _run_program(self, program: Program, timeout_secs: float) -> CheckResult:
        passed = Passed(await self._boot(), self._passed_folder)
        if passed.has(program):
            return CheckResult(passed=True, detail="passed earlier in this boot")
        if why := why_not_run(program.path):
            return CheckResult(passed=False, detail=f"{printable(program.path)} {why}")
        seen = await self._run_job(Job(program.name, (str(program.path),), timeout_secs))
        if seen.passed:
            _remember(passed, program)
        return seen

    def _programs(self) -> tuple[Program, ...]:
        try:
            return programs(self._root)
        except OSError as err:
            message = f"a folder of checks cannot be read: {err.filename}: {err.strerror}"
            raise TidegateError(ErrorKind.HEALTH_UNREADABLE, message, "mend its path or mode") from err


async def journal_cursor() -> str:
    """Where the journal stands, as ``journalctl --after-cursor`` takes it; empty where there is no journal.

    Raises:
        TidegateError: ``engine.timeout`` and ``engine.unsupported-host``, as of any program.
    """
    command = ("journalctl", "--quiet", "--no-pager", "--lines=1", "--output=cat", "--show-cursor")
    done = await process.run(command, deadline_secs=CURSOR_SECS)
    last = done.stdout.rstrip().rpartition("\n")[2]
    return last.removeprefix(_CURSOR) if last.startswith(_CURSOR) else ""


class _Configuration:
    """The snippets as they are, or as they last were without a problem: a typing error is no reason to be unhealthy."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = roots
        self._last = Settings()

    def health(self) -> Health:
        loaded = load(self._roots)
        if loaded.settings is not None:
            self._last = loaded.settings
        return self._last.health


def _job(check: CommandCheck) -> Job:
    user = "DynamicUser=yes" if check.user is None else f"User={check.user}"
    return Job(f"{COMMAND}/{check.name}", check.command, check.timeout_secs, (*_SANDBOX, user))


def _remember(passed: Passed, program: Program) -> None:
    try:
        passed.remember(program)
    except OSError as err:
        _log.warning("that %s has passed cannot be noted: %s; it will be run again", program.name, err.strerror)
