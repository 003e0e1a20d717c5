"""Run a program in a transient unit of systemd: in a sandbox of its own, not the helper's, and with a time limit.

The unit is started by systemd-run. Its exit status is the program's, except that it is 255 for a program that a signal
has ended, and 1 where the unit could not be started at all (252 to 257).
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from types import MappingProxyType

from tidegate.errors import TidegateError
from tidegate.health.check import CheckResult
from tidegate.printable import one_line
from tidegate.system import process

OUTPUT_BYTES = 2048
"""How much of the output is kept, from its end, where errors are."""
SHOWN_CHARS = 500
BACKSTOP_SECS = 10.0
"""How long after the time limit systemd itself stops the unit, for the case that the helper was killed."""
STOP_SECS = 20.0
"""For systemd to stop a unit with SIGKILL; a process in uninterruptible sleep is not waited for."""

_CHUNK_BYTES = 65_536
_SYSTEMD_RUN = ("systemd-run", "--quiet", "--wait", "--pipe", "--collect")
# SIGKILL at once, also for processes that the program leaves behind: a check has nothing to clean up.
_BOUNDS = ("KillSignal=SIGKILL", "TimeoutStopSec=5s", "TasksMax=512")
_SIGNALLED = 255

_SYSTEMD_STATUSES: Mapping[int, str] = MappingProxyType(
    {
        200: "its working folder is not there",
        203: "it cannot be executed: no such program, no interpreter, or not permitted",
        216: "there is no such group",
        217: "there is no such user",
        218: "its capabilities cannot be set",
        226: "its namespace cannot be set up",
    }
)
"""Exit statuses of systemd for a program that it could not start (systemd.exec(5))."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """A program to run; ``settings`` are those of its unit (systemd.exec(5)), ``timeout_secs`` is its time limit."""

    name: str
    argv: tuple[str, ...]
    timeout_secs: float
    settings: tuple[str, ...] = ()

    @property
    def command(self) -> tuple[str, ...]:
        """The command line of systemd-run."""
        bounds = (*_BOUNDS, f"RuntimeMaxSec={self.timeout_secs + BACKSTOP_SECS:g}s", *self.settings)
        properties = (f"--property={setting}" for setting in bounds)
        named = (f"--unit={unit_name(self.name)}", f"--description=Tidegate health check {self.name}")
        return (*_SYSTEMD_RUN, *named, *properties, "--", *map(_literal, self.argv))


def unit_name(name: str) -> str:
    """Return the unit of the check ``name``. A check has one unit, so that it cannot run twice at the same time."""
    plain = re.sub(r"[^A-Za-z0-9_.-]", "-", name, flags=re.ASCII)[:100]
    return f"tidegate-check-{plain}-{blake2b(name.encode(), digest_size=4).hexdigest()}.service"


async def run(job: Job) -> CheckResult:
    """Run ``job`` to its end or its time limit, and return its result. When cancelled, stop the unit."""
    output = _Tail()
    try:
        started = await asyncio.create_subprocess_exec(
            *job.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=process.ENVIRONMENT,
            start_new_session=True,
        )
    except OSError as err:
        return CheckResult(passed=False, detail=f"systemd-run cannot be started: {err.strerror}")
    try:
        async with asyncio.timeout(job.timeout_secs):
            await output.follow(started)
            code = await started.wait()
        return CheckResult(code == 0, output.after(_ending(code)))
    except TimeoutError:
        return CheckResult(
            passed=False, detail=output.after(f"did not end within {job.timeout_secs:g} s and was killed")
        )
    finally:
        if started.returncode is None:
            await _end(started, unit_name(job.name))
        await _reap(started, output)


class _Tail:
    """The end of a program's output; the rest is read and discarded."""

    def __init__(self) -> None:
        self._kept = b""

    async def follow(self, started: asyncio.subprocess.Process) -> None:
        """Read until every writer has closed the pipe."""
        assert started.stdout is not None  # noqa: S101 - asked for as a pipe
        while chunk := await started.stdout.read(_CHUNK_BYTES):
            self._kept = (self._kept + chunk)[-OUTPUT_BYTES:]

    def after(self, ending: str) -> str:
        """Return ``ending`` and the end of the output, on one line."""
        text = one_line(self._kept.decode("utf-8", "replace"), OUTPUT_BYTES)
        shown = text if len(text) <= SHOWN_CHARS else f"...{text[-SHOWN_CHARS:]}"
        return f"{ending}: {shown}" if shown else ending


async def _end(started: asyncio.subprocess.Process, unit: str) -> None:
    """Kill systemd-run first, so that it cannot start the unit any more, then stop the unit, if there is one."""
    with suppress(ProcessLookupError):
        os.killpg(started.pid, signal.SIGKILL)
    try:
        done = await process.run(("systemctl", "stop", "--quiet", unit), deadline_secs=STOP_SECS)
        if done.returncode and "not loaded" not in done.stderr:
            _log.warning("cannot stop %s: %s", unit, one_line(done.stderr, SHOWN_CHARS))
    except TidegateError as err:
        _log.warning("cannot stop %s: %s", unit, err)


async def _reap(started: asyncio.subprocess.Process, output: _Tail) -> None:
    """Wait for the end of systemd-run and of its output; asyncio keeps its resources until then."""
    with suppress(TimeoutError):
        async with asyncio.timeout(process.REAP_SECS):
            await asyncio.gather(started.wait(), output.follow(started))


def _ending(code: int) -> str:
    match code:
        case 0:
            return "ended well"
        case _ if code == _SIGNALLED or code < 0:
            return "a signal ended it, or it ended with exit code 255"
        case _ if code in _SYSTEMD_STATUSES:
            return f"exit code {code} from systemd: {_SYSTEMD_STATUSES[code]}"
        case _:
            return f"exit code {code}"


def _literal(argument: str) -> str:
    """Double each dollar: systemd expands variables in arguments, and has no option against that before 254."""
    return argument.replace("$", "$$")
