"""Run a command while holding a slot of a FleetLock server, and release the slot in every case.

::

    request --busy or unreachable--> wait (Retry-After), request again, until granted, rejected or out of time
       `--granted--> run the command, forwarding signals --exited--> release, retried for a bounded time
"""

from __future__ import annotations

import asyncio
import os
import random
import shlex
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Coroutine, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from tidegate.cli import exits
from tidegate.clock import Clock
from tidegate.errors import ErrorKind, TidegateError
from tidegate.fleetlock.account import NOT_TAKEN, LockAccount, LockBusy, LockGranted, LockServer

POLL_SECS = 15.0
"""Between two requests, if the server does not say when to retry."""

MIN_POLL_SECS = 1.0

JITTER = 0.2
"""Random share added to a pause, so that clients that were sent away together do not return together."""

RELEASE_SECS = 60.0
"""How long to retry the release while the server is unreachable: longer than a restart of the server takes."""

FIRST_RETRY_SECS = 1.0

NOT_EXECUTABLE = 126
NOT_FOUND = 127
SIGNALLED = 128
"""Exit codes of shells: the command cannot be executed, is not found, or was ended by a signal (plus its number)."""

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_FROM_THE_TERMINAL = frozenset({signal.SIGINT, signal.SIGQUIT})
_HOPELESS = frozenset({ErrorKind.LOCK_REFUSED, ErrorKind.LOCK_NONSENSE, ErrorKind.CONFIG_INVALID})

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Job:
    """The command to run, and the lock to hold. ``wait_secs`` None: wait without limit."""

    account: LockAccount
    command: Sequence[str]
    wait_secs: float | None
    release_secs: float = RELEASE_SECS


@dataclass(frozen=True, slots=True)
class _Later:
    """No slot was granted: request again after ``pause_secs``."""

    pause_secs: float
    why: str


@dataclass(frozen=True, slots=True)
class _Ended:
    """Exit with ``code`` without running the command."""

    code: int


async def run_locked(server: LockServer, job: Job, clock: Clock) -> int:
    """Take the lock, run the command, release the lock; returns the exit code."""
    signals, slot = _Signals(), _Slot(server, job.account)
    with signals.caught():
        try:
            ended = await _acquire(slot, job, clock, signals)
            return await _run(job.command, signals) if ended is None else ended.code
        finally:
            await _release(slot, job, clock, signals)


class _Signals:
    """A queue of the signals that this process has received."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[signal.Signals] = asyncio.Queue()

    @contextmanager
    def caught(self) -> Generator[None, None, None]:
        """Queue signals, instead of being ended by them, while the block runs."""
        loop = asyncio.get_running_loop()
        for one in _FORWARDED:
            loop.add_signal_handler(one, self._queue.put_nowait, one)
        try:
            yield
        finally:
            for one in _FORWARDED:
                loop.remove_signal_handler(one)

    async def next(self) -> signal.Signals:
        """Wait for the next signal."""
        return await self._queue.get()

    async def unless(self, work: Coroutine[Any, Any, T]) -> T | signal.Signals:
        """The result of ``work``; or the signal that came before it, and ``work`` is cancelled."""
        task, received = asyncio.ensure_future(work), asyncio.ensure_future(self.next())
        try:
            await asyncio.wait({task, received}, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else received.result()
        finally:
            task.cancel()
            received.cancel()
            await asyncio.gather(task, received, return_exceptions=True)


class _Slot:
    """A slot at the server. ``maybe_held``: a request was sent that the server may have granted."""

    def __init__(self, server: LockServer, account: LockAccount) -> None:
        self.maybe_held = False
        self._server = server
        self._account = account

    async def ask(self) -> _Later | None:
        """Request the slot; None when it is granted.

        Raises:
            TidegateError: the server has rejected the request permanently.
        """
        held_before, self.maybe_held = self.maybe_held, True
        try:
            answer = await self._server.acquire(self._account, None)
        except TidegateError as error:
            self.maybe_held = held_before or error.kind not in NOT_TAKEN
            if error.kind in _HOPELESS:
                raise
            return _Later(_pause_secs(error.retry_after_secs), error.message)
        match answer:
            case LockGranted():
                return None
            case LockBusy(reason=reason, retry_after_secs=retry_after_secs):
                self.maybe_held = False
                return _Later(_pause_secs(retry_after_secs), reason)

    async def release(self) -> None:
        """Release the slot.

        Raises:
            TidegateError: the server has not confirmed it.
        """
        await self._server.release(self._account, None)
        self.maybe_held = False


async def _acquire(slot: _Slot, job: Job, clock: Clock, signals: _Signals) -> _Ended | None:
    """Request the slot until it is granted (None), or the command is not to run."""
    begun_secs, reported = clock.now().boot_secs, ""
    while True:
        try:
            asked = await signals.unless(slot.ask())
        except TidegateError as error:
            exits.complain(error.message, error.remedy)
            return _Ended(exits.FAILED)
        if not isinstance(asked, _Later):
            return None if asked is None else _interrupted(asked)
        left_secs = _left_secs(job.wait_secs, clock.now().boot_secs - begun_secs)
        if left_secs <= 0:
            exits.complain(f"no slot within {job.wait_secs:g} s: {asked.why}", "try again later, or raise --wait")
            return _Ended(exits.REFUSED)
        if asked.why != reported:
            reported = asked.why
            click.echo(f"tidegate: waiting for {job.account.place}: {reported}", err=True)
        received = await signals.unless(asyncio.sleep(min(asked.pause_secs, left_secs)))
        if received is not None:
            return _interrupted(received)


def _left_secs(wait_secs: float | None, elapsed_secs: float) -> float:
    return float("inf") if wait_secs is None else wait_secs - elapsed_secs


def _pause_secs(retry_after_secs: float | None) -> float:
    """The pause before the next request: at least what the server asks for, plus jitter."""
    pause_secs = max(MIN_POLL_SECS, POLL_SECS if retry_after_secs is None else retry_after_secs)
    return pause_secs * (1 + random.uniform(0, JITTER))  # noqa: S311 - no secret


def _interrupted(received: signal.Signals) -> _Ended:
    exits.complain(f"stopped by {received.name} before a slot was granted; the command was not run")
    return _Ended(SIGNALLED + received)


async def _run(command: Sequence[str], signals: _Signals) -> int:
    """Run the command; returns its exit code as a shell would report it."""
    try:
        process = await asyncio.create_subprocess_exec(*command)
    except FileNotFoundError:
        exits.complain(f"command not found: {command[0]}")
        return NOT_FOUND
    except OSError as error:
        exits.complain(f"cannot run {command[0]}: {error.strerror}")
        return NOT_EXECUTABLE
    forwarding = asyncio.create_task(_forward(process, signals))
    try:
        code = await process.wait()
    finally:
        forwarding.cancel()
        await asyncio.gather(forwarding, return_exceptions=True)
    return SIGNALLED - code if code < 0 else code


async def _forward(process: Process, signals: _Signals) -> None:
    while True:
        received = await signals.next()
        if received in _FROM_THE_TERMINAL and _in_foreground():
            continue  # the terminal has sent it to the command as well
        with suppress(ProcessLookupError):
            process.send_signal(received)


def _in_foreground() -> bool:
    """Whether the terminal sends the signal of a key such as Ctrl-C to this process and its children."""
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):  # no terminal, or closed
        return False


async def _release(slot: _Slot, job: Job, clock: Clock, signals: _Signals) -> None:
    """Release the slot: retry until the server confirms it, the time is up, or a signal arrives."""
    begun_secs, pause_secs, why = clock.now().boot_secs, FIRST_RETRY_SECS, "stopped before the server answered"
    while slot.maybe_held:
        try:
            if isinstance(await signals.unless(slot.release()), signal.Signals):
                break
        except TidegateError as error:
            why = error.message
            left_secs = _left_secs(job.release_secs, clock.now().boot_secs - begun_secs)
            if left_secs <= 0 or error.kind in _HOPELESS:
                break
            click.echo(f"tidegate: releasing {job.account.place} failed, retrying: {why}", err=True)
            if await signals.unless(asyncio.sleep(min(pause_secs, left_secs))) is not None:
                break
            pause_secs *= 2
    if slot.maybe_held:
        exits.complain(f"THE SLOT MAY STILL BE HELD: {job.account.place}: {why}", _how_to_free(job.account))


def _how_to_free(account: LockAccount) -> str:
    command = ["tidegate", "lock", "release", "--id", account.id, "--group", account.group, "--url", account.base_url]
    return f"{shlex.join(command)}   (or, on the server: tidegate coordinator release ...)"
