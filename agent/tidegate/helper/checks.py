"""Run health checks as root, by name: each is looked up in the configuration and in folders at every call."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

from tidegate.config.layers import OnlyRoots
from tidegate.errors import ErrorKind, TidegateError
from tidegate.health.check import CheckResult
from tidegate.health.checks.command import CommandCheck
from tidegate.health.settings import HealthSettings
from tidegate.health.wire import COMMAND
from tidegate.helper.programs import Program, programs
from tidegate.helper.transient import Job, run, unit_name
from tidegate.helper.trusted_file import why_not_run
from tidegate.printable import one_line, path_text
from tidegate.settings import DEFAULT_ROOTS, Settings, load
from tidegate.system import process, regular_file
from tidegate.system.boot import BootInstance

PASSED_FOLDER = Path("/run/tidegate/passed-checks")
"""Writable by root only. A soft-reboot keeps /run, so that the files in it name their boot."""

CURSOR_SECS = 15.0
"""For journalctl to seek to the end of the journal on a busy disk."""

_MAX_PASSED_BYTES = 4096
_CURSOR = "-- cursor: "
_SHOWN_CHARS = 100

# A command only reads. One that needs more is a program in health.d, where root alone can put it.
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
"""Runs a job, as :func:`tidegate.helper.transient.run` does."""

_log = logging.getLogger(__name__)


class RootChecks:
    """Runs checks, each check once at a time.

    ``boot`` returns the boot instance and is called for programs only; ``root`` is the folder that paths start from.
    """

    def __init__(
        self,
        boot: Callable[[], Awaitable[BootInstance]],
        *,
        config_roots: Sequence[Path] = DEFAULT_ROOTS,
        root: Path = Path("/"),
        passed: Path = PASSED_FOLDER,
        run_job: RunJob = run,
    ) -> None:
        self._boot = boot
        self._configuration = _Configuration(config_roots)
        self._root = root
        self._passed_folder = passed
        self._run_job = run_job
        self._locks: dict[str, asyncio.Lock] = {}

    def names(self) -> tuple[str, ...]:
        """Return the names of the programs in folders.

        Raises:
            TidegateError: ``health.unreadable``: a folder cannot be read.
        """
        return tuple(program.name for program in self._programs())

    async def run(self, name: str) -> CheckResult:
        """Run the check ``name`` and return its result.

        Raises:
            TidegateError: ``health.unknown-check``: root has configured no check of that name; ``health.unreadable``.
        """
        job = self._find(name)
        async with self._locks.setdefault(name, asyncio.Lock()):
            return await job()

    def _find(self, name: str) -> Callable[[], Awaitable[CheckResult]]:
        health = self._configuration.health()
        for command in health.of(CommandCheck):
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
        passed = PassedChecks(await self._boot(), self._passed_folder)
        if passed.contains(program):
            return CheckResult(passed=True, detail="passed earlier in this boot")
        if why := why_not_run(program.path):
            return CheckResult(passed=False, detail=f"{path_text(program.path)} {why}")
        seen = await self._run_job(Job(program.name, (str(program.path),), timeout_secs))
        if seen.passed:
            _record(passed, program)
        return seen

    def _programs(self) -> tuple[Program, ...]:
        try:
            return programs(self._root)
        except OSError as err:
            message = f"a folder of checks cannot be read: {err.filename}: {err.strerror}"
            raise TidegateError(ErrorKind.HEALTH_UNREADABLE, message, "correct its path or mode") from err


async def journal_cursor() -> str:
    """Return the cursor of the newest journal entry, for ``journalctl --after-cursor``; empty where there is none.

    Raises:
        TidegateError: ``engine.timeout``; ``engine.unsupported-host`` where journalctl is not installed.
    """
    command = ("journalctl", "--quiet", "--no-pager", "--lines=1", "--output=cat", "--show-cursor")
    done = await process.run(command, deadline_secs=CURSOR_SECS)
    last = done.stdout.rstrip().rpartition("\n")[2]
    return last.removeprefix(_CURSOR) if last.startswith(_CURSOR) else ""


class PassedChecks:
    """The programs that have passed in this boot, one file each in a folder. One that was changed has not passed."""

    def __init__(self, boot: BootInstance, folder: Path = PASSED_FOLDER) -> None:
        self._boot = boot
        self._folder = folder

    def contains(self, program: Program) -> bool:
        """Whether ``program``, in its present state, has passed."""
        try:
            return regular_file.read_nofollow(self._file(program), _MAX_PASSED_BYTES).decode() == self._text(program)
        except (OSError, ValueError):
            return False

    def add(self, program: Program) -> None:
        """Record that ``program`` has passed.

        Raises:
            OSError: the record cannot be written.
        """
        self._folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._file(program).write_text(self._text(program), encoding="utf-8")

    def _file(self, program: Program) -> Path:
        return self._folder / unit_name(program.name)

    def _text(self, program: Program) -> str:
        status = program.path.stat()
        return f"{self._boot} {status.st_dev}:{status.st_ino} {status.st_mtime_ns} {status.st_size}\n"


class _Configuration:
    """The current configuration, or the last valid one: a typing error does not make a host unhealthy."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = roots
        self._last = Settings()

    def health(self) -> HealthSettings:
        loaded = load(self._roots, why_not=OnlyRoots().why_not)
        if loaded.settings is not None:
            self._last = loaded.settings
        return self._last.health


def _job(check: CommandCheck) -> Job:
    user = "DynamicUser=yes" if check.user is None else f"User={check.user}"
    return Job(f"{COMMAND}/{check.name}", check.command, check.timeout_secs, (*_SANDBOX, user))


def _record(passed: PassedChecks, program: Program) -> None:
    try:
        passed.add(program)
    except OSError as err:
        _log.warning("cannot record that %s has passed: %s; it will be run again", program.name, err.strerror)
