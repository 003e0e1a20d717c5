"""Run a command while holding a slot of a FleetLock server, and release the slot in every case.

::

    request --busy or unreachable--> wait (Retry-After), request again, until granted, rejected or out of time
       `--granted--> run the command, forwarding signals --exited--> release, retried for a bounded time

A signal never cuts a request to the server short. One that arrives before the command runs ends this program once the
server has answered, and whatever it granted is released; one that arrives during the release ends the retries.
"""

from __future__ import annotations

import asyncio
import os
import random
import shlex
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from tidegate.cli import exits, output
from tidegate.cli.signals import Signals
from tidegate.clock import Clock
from tidegate.errors import ErrorKind, TidegateError
from tidegate.fleetlock.account import NOT_TAKEN, LockAccount, LockBusy, LockGranted, LockServer

POLL_SECS = 15.0
"""Between two requests, if the server does not say when to retry."""

MIN_POLL_SECS = 1.0

JITTER = 0.2
"""Random share added to a pause, so that clients that were sent away together do not return together."""

SLOT_LEFT = 125
"""Exit code when the slot may still be held, whatever the command's was. Programs that run another one exit with it for
a failure of their own (env, timeout, nohup)."""

RELEASE_SECS = 60.0
"""How long to retry the release while the server is unreachable: longer than a restart of the server takes."""

FIRST_RETRY_SECS = 1.0

NOT_EXECUTABLE = 126
NOT_FOUND = 127
SIGNALLED = 128
"""Exit codes of shells: the command cannot be executed, is not found, or was ended by a signal (plus its number)."""

_FROM_THE_TERMINAL = frozenset({signal.SIGINT, signal.SIGQUIT})
_HOPELESS = frozenset({ErrorKind.LOCK_REFUSED, ErrorKind.LOCK_NONSENSE, ErrorKind.CONFIG_INVALID})


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
    signals, slot = Signals(), _Slot(server, job.account, clock)
    with signals.caught():
        code = exits.FAILED
        try:
            ended = await _acquire(slot, job, clock, signals)
            code = await _run(job.command, signals) if ended is None else ended.code
        finally:
            why = await _release(slot, job, clock, signals)
    return code if why is None else _left(job.account, why, code)


class _Slot:
    """A slot at the server. ``maybe_held``: a request was sent that the server may have granted, or may grant yet."""

    def __init__(self, server: LockServer, account: LockAccount, clock: Clock) -> None:
        self.maybe_held = False
        self._server = server
        self._account = account
        self._clock = clock
        self._doubt_until_secs = float("-inf")

    @property
    def doubt_secs(self) -> float:
        """For how long yet a request that was not answered may be carried out: no unlock may overtake it."""
        return self._doubt_until_secs - self._clock.now().boot_secs

    async def ask(self) -> _Later | None:
        """Request the slot; None when it is granted.

        Raises:
            TidegateError: the server has rejected the request permanently.
        """
        held_before, self.maybe_held = self.maybe_held, True
        in_doubt = self.doubt_secs > 0
        try:
            answer = await self._server.acquire(self._account, None)
        except asyncio.CancelledError:
            self._doubt()
            raise
        except TidegateError as error:
            if error.kind in NOT_TAKEN:
                self.maybe_held = held_before
            else:
                self._doubt()
            if error.kind in _HOPELESS:
                raise
            return _Later(_pause_secs(error.retry_after_secs), error.message)
        match answer:
            case LockGranted():
                return None
            case LockBusy(reason=reason, retry_after_secs=retry_after_secs):
                self.maybe_held = held_before and in_doubt  # an earlier request may be carried out after this one
                return _Later(_pause_secs(retry_after_secs), reason)

    async def release(self) -> None:
        """Release the slot.

        Raises:
            TidegateError: the server has not confirmed it.
        """
        await self._server.release(self._account, None)
        self.maybe_held = False

    def _doubt(self) -> None:
        """Note that a request which was not answered is under way, for as long as one may be from now on."""
        self._doubt_until_secs = self._clock.now().boot_secs + self._account.timeout_secs


async def _acquire(slot: _Slot, job: Job, clock: Clock, signals: Signals) -> _Ended | None:
    """Request the slot until it is granted (None), or the command is not to run."""
    begun_secs, reported = clock.now().boot_secs, ""
    while True:
        try:
            asked = await _answered(slot, job.account, signals)
        except TidegateError as error:
            exits.complain(error.message, error.remedy)
            return _Ended(exits.FAILED)
        if signals.first is not None:  # also where it came with the grant
            return _interrupted(signals.first)
        if asked is None:
            return None
        left_secs = _left_secs(job.wait_secs, clock.now().boot_secs - begun_secs)
        if left_secs <= 0:
            exits.complain(f"no slot within {job.wait_secs:g} s: {asked.why}", "try again later, or raise --wait")
            return _Ended(exits.REFUSED)
        if asked.why != reported:
            reported = asked.why
            output.line(f"tidegate: waiting for {job.account.place}: {reported}", err=True)
        received = await signals.within(min(asked.pause_secs, left_secs))
        if received is not None:
            return _interrupted(received)


async def _answered(slot: _Slot, account: LockAccount, signals: Signals) -> _Later | None:
    """Request the slot once, and wait for the answer; after a signal, for as long as a request may take at most."""
    task = asyncio.create_task(slot.ask())
    signalled = asyncio.create_task(signals.within(None))
    try:
        await asyncio.wait({task, signalled}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done() and signals.first is not None:
            output.line(f"tidegate: {signals.first.name}: waiting for the answer of {account.server}", err=True)
            await asyncio.wait({task}, timeout=account.timeout_secs)
        return task.result() if task.done() else _Later(0.0, "no answer")
    finally:
        task.cancel()
        signalled.cancel()
        await asyncio.gather(task, signalled, return_exceptions=True)


def _left_secs(wait_secs: float | None, elapsed_secs: float) -> float:
    return float("inf") if wait_secs is None else wait_secs - elapsed_secs


def _pause_secs(retry_after_secs: float | None) -> float:
    """The pause before the next request: at least what the server asks for, plus jitter."""
    pause_secs = max(MIN_POLL_SECS, POLL_SECS if retry_after_secs is None else retry_after_secs)
    return _jittered(pause_secs)


def _jittered(pause_secs: float) -> float:
    return pause_secs * (1 + random.uniform(0, JITTER))  # noqa: S311 - no secret


def _interrupted(received: signal.Signals) -> _Ended:
    exits.complain(f"stopped by {received.name}; the command was not run")
    return _Ended(SIGNALLED + received)


async def _run(command: Sequence[str], signals: Signals) -> int:
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


async def _forward(process: Process, signals: Signals) -> None:
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


async def _release(slot: _Slot, job: Job, clock: Clock, signals: Signals) -> str | None:
    """Release the slot; None, or why it may still be held.

    The first attempt is made in any case. It is repeated until the server confirms it, the time is up, or a signal has
    arrived since the release began.
    """
    signals.clear()
    if slot.maybe_held and slot.doubt_secs > 0:
        output.line(f"tidegate: waiting for a request to be over before releasing {job.account.place}", err=True)
        await asyncio.sleep(slot.doubt_secs)
    begun_secs, pause_secs = clock.now().boot_secs, FIRST_RETRY_SECS
    while slot.maybe_held:
        try:
            await slot.release()
        except TidegateError as error:
            left_secs = _left_secs(job.release_secs, clock.now().boot_secs - begun_secs)
            if left_secs <= 0 or error.kind in _HOPELESS:
                return error.message
            output.line(f"tidegate: releasing {job.account.place} failed, retrying: {error.message}", err=True)
            wait_secs = min(max(pause_secs, error.retry_after_secs or 0.0), left_secs)
            if await signals.within(_jittered(wait_secs)) is not None:
                return error.message
            pause_secs *= 2
    return None


def _left(account: LockAccount, why: str, code: int) -> int:
    """Report that the slot may still be held; returns the exit code that says so."""
    message = f"THE SLOT MAY STILL BE HELD: {account.place}: {why}; the exit status would have been {code}"
    exits.complain(message, _how_to_free(account))
    return SLOT_LEFT


def _how_to_free(account: LockAccount) -> str:
    command = ["tidegate", "lock", "release", "--id", account.id, "--group", account.group, "--url", account.base_url]
    return f"{shlex.join(command)}   (or, on the server: tidegate coordinator release ...)"
