"""Run a program in a transient unit of systemd: with nobody's sandbox but its own, and never for longer than it may.

systemd-run does the talking. Its exit code is the program's, except that it is 255 for one that a signal ended, and 1
where the unit could not be started at all (252 to 257).
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
"""What is kept of the output, from its end: errors come last."""
SHOWN_CHARS = 500
BACKSTOP_SECS = 10.0
"""systemd itself ends the unit so long after its time, should nobody be left to do it."""
STOP_SECS = 20.0
"""For systemd to end a unit with SIGKILL; a process that the kernel holds is not waited for."""

_CHUNK_BYTES = 65_536
_SYSTEMD_RUN = ("systemd-run", "--quiet", "--wait", "--pipe", "--collect")
# With SIGKILL at once, also for what the program leaves behind when it ends: there is nothing to take leave of.
_BOUNDS = ("KillSignal=SIGKILL", "TimeoutStopSec=5s", "TasksMax=512")
_SIGNALLED = 255

_SYSTEMDS_CODES: Mapping[int, str] = MappingProxyType(
    {
        200: "its working folder is not there",
        203: "it cannot be executed: no such program, no interpreter, or not permitted",
        216: "there is no such group",
        217: "there is no such user",
        218: "its capabilities cannot be set",
        226: "its namespace cannot be set up",
    }
)
"""Exit codes by which systemd tells that it did not get to start a program (systemd.exec(5))."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """What to run: ``name`` for people, ``settings`` for the unit (systemd.exec(5)), ``timeout_secs`` for the whole."""

    name: str
    argv: tuple[str, ...]
    timeout_secs: float
    settings: tuple[str, ...] = ()

    @property
    def command(self) -> tuple[str, ...]:
        """How systemd-run is called."""
        bounds = (*_BOUNDS, f"RuntimeMaxSec={self.timeout_secs + BACKSTOP_SECS:g}s", *self.settings)
        properties = (f"--property={setting}" for setting in bounds)
        named = (f"--unit={unit_name(self.name)}", f"--description=Tidegate health check {self.name}")
        return (*_SYSTEMD_RUN, *named, *properties, "--", *map(_literal, self.argv))


def unit_name(name: str) -> str:
    """The unit in which the check ``name`` runs. One check has one unit: while that is there it cannot run twice."""
    plain = re.sub(r"[^A-Za-z0-9_.-]", "-", name, flags=re.ASCII)[:100]
    return f"tidegate-check-{plain}-{blake2b(name.encode(), digest_size=4).hexdigest()}.service"


async def run(job: Job) -> CheckResult:
    """Run ``job`` to its end, or until its time is over. Cancelled, it ends the unit as well."""
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
        return CheckResult(code == 0, output.after(_account(code)))
    except TimeoutError:
        return CheckResult(
            passed=False, detail=output.after(f"did not end within {job.timeout_secs:g} s and was killed")
        )
    finally:
        if started.returncode is None:
            await _end(started, unit_name(job.name))
        await _reap(started, output)


class _Tail:
    """The end of what a program prints; the rest is read and forgotten."""

    def __init__(self) -> None:
        self._kept = b""

    async def follow(self, started: asyncio.subprocess.Process) -> None:
        """Read until nobody can write any more."""
        assert started.stdout is not None  # noqa: S101 - asked for as a pipe
        while chunk := await started.stdout.read(_CHUNK_BYTES):
            self._kept = (self._kept + chunk)[-OUTPUT_BYTES:]

    def after(self, account: str) -> str:
        """``account``, and the end of what was printed, on one line."""
        said = one_line(self._kept.decode("utf-8", "replace"), OUTPUT_BYTES)
        shown = said if len(said) <= SHOWN_CHARS else f"...{said[-SHOWN_CHARS:]}"
        return f"{account}: {shown}" if shown else account


async def _end(started: asyncio.subprocess.Process, unit: str) -> None:
    """First the client, so that it asks for nothing any more, then the unit, should there be one."""
    with suppress(ProcessLookupError):
        os.killpg(started.pid, signal.SIGKILL)
    try:
        done = await process.run(("systemctl", "stop", "--quiet", unit), deadline_secs=STOP_SECS)
        if done.returncode and "not loaded" not in done.stderr:
            _log.warning("%s is not stopped: %s", unit, one_line(done.stderr, SHOWN_CHARS))
    except TidegateError as err:
        _log.warning("%s is not stopped: %s", unit, err)


async def _reap(started: asyncio.subprocess.Process, output: _Tail) -> None:
    """Wait for the end of the client and of its output, which asyncio only then lets go of."""
    with suppress(TimeoutError):
        async with asyncio.timeout(process.REAP_SECS):
            await asyncio.gather(started.wait(), output.follow(started))


def _account(code: int) -> str:
    match code:
        case 0:
            return "ended well"
        case _ if code == _SIGNALLED or code < 0:
            return "a signal ended it, or it ended with exit code 255"
        case _ if code in _SYSTEMDS_CODES:
            return f"exit code {code}, by which systemd says: {_SYSTEMDS_CODES[code]}"
        case _:
            return f"exit code {code}"


def _literal(argument: str) -> str:
    """systemd replaces variables in arguments (and has no flag against it before 254), but for a doubled dollar."""
    return argument.replace("$", "$$")
