"""How the agent has HTTP done: in a child that is gone after one request, whatever happens to it.

The agent never loads httpx, and never holds more than one bounded answer: see :mod:`tidegate.net.worker`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from tidegate.errors import ErrorKind, TidegateError
from tidegate.net.wire import (
    MAX_EVENT_BYTES,
    AnswerT,
    ErrorEvent,
    NetError,
    Request,
    WireError,
    decode_event,
    encode_request,
)

WORKER_ARGV = (sys.executable, "-I", "-m", "tidegate.net.worker")
"""``-I``: neither the environment nor the working folder decides what code runs."""

KILL_GRACE_SECS = 10.0
"""For the start of a python on a small, busy board: the worker ends itself at its deadline, unless it hangs."""

_STDERR_TAIL_BYTES = 4096
_SHOWN_CHARS = 300
_STDIN, _STDOUT = 0, 1
_REMEDY = "it is tried again at the next check; if this stays, report it with the journal of tidegate.service"


@dataclass(frozen=True, slots=True)
class NetClient:
    """Runs one worker a request. ``argv`` is what to start."""

    argv: tuple[str, ...] = WORKER_ARGV
    kill_grace_secs: float = KILL_GRACE_SECS

    async def run(self, request: Request, answer: type[AnswerT]) -> AnswerT:
        """The answer to ``request``, which has to be an ``answer``.

        Cancelling it kills the worker. When this returns or raises, the worker is gone and reaped.

        Raises:
            NetError: the worker's own account of what went wrong, with its kind.
            TidegateError: ``net.worker-failed``; the worker crashed, hung, or made no sense.
        """
        worker = await self._exchange(_encoded(request), request.timeout_secs + self.kill_grace_secs)
        event = worker.event(answer)
        if isinstance(event, ErrorEvent):
            raise NetError(event)
        return event

    async def _exchange(self, line: bytes, timeout_secs: float) -> _Worker:
        """Start a worker, hand it ``line``, and return when it is gone: by itself, or killed when the time is up."""
        worker = await self._start()
        try:
            async with asyncio.timeout(timeout_secs):
                worker.hear(line)
                await worker.gone.wait()
        except TimeoutError:
            raise _failed(f"gave no answer and was killed after {timeout_secs:g} s") from None
        finally:
            await worker.end()
        return worker

    async def _start(self) -> _Worker:
        loop = asyncio.get_running_loop()
        try:
            # In a group of its own, to be killed as one; without environment, so that no proxy, no authority and no
            # notification socket of the service reaches it.
            _, worker = await loop.subprocess_exec(
                _Worker, *self.argv, env={}, cwd="/", start_new_session=True, close_fds=True
            )
        except OSError as error:
            raise _failed(f"could not be started: {error.strerror}: {self.argv[0]}") from error
        return worker


class _Worker(asyncio.SubprocessProtocol):
    """The agent's end of one worker: takes what it says, within bounds, and sees to its end.

    A protocol rather than asyncio's ``Process``: its streams stop reading when they are full, and a child whose output
    is not read is one that ``wait()`` may never see the end of.
    """

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self._exited = asyncio.Event()
        self._said = bytearray()
        self._complained = bytearray()

    def hear(self, line: bytes) -> None:
        """Give the worker its request."""
        stdin = cast(asyncio.WriteTransport, self._transport.get_pipe_transport(_STDIN))
        stdin.write(line)
        stdin.close()

    async def end(self) -> None:
        """Kill whatever is left of it, reap it, close its pipes (the last even when cancelled meanwhile)."""
        try:
            if not self.gone.is_set():
                self._kill_group()
                # First reaped, then closed: close() polls a child that still counts as running, and so takes its exit
                # status away from asyncio's watcher, which complains (3.11 to 3.13).
                await self._exited.wait()
        finally:
            self._transport.close()
        await self.gone.wait()

    def event(self, answer: type[AnswerT]) -> AnswerT | ErrorEvent:
        """What it answered, once it is gone.

        Raises:
            TidegateError: ``net.worker-failed``; it did not end well, or made no sense.
        """
        if len(self._said) > MAX_EVENT_BYTES:
            raise _failed(f"said more than {MAX_EVENT_BYTES} bytes and was killed")
        if code := self._transport.get_returncode():
            raise _failed(f"{_how_it_ended(code)}: {self._last_words()}")
        try:
            return decode_event(bytes(self._said), answer)
        except WireError as error:
            raise _failed(f"made no sense: {error}") from error

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It runs."""
        self._transport = cast(asyncio.SubprocessTransport, transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """It said something."""
        if fd != _STDOUT:
            self._complained = (self._complained + data)[-_STDERR_TAIL_BYTES:]
            return
        self._said += data
        if len(self._said) > MAX_EVENT_BYTES and not self._exited.is_set():
            self._kill_group()

    def process_exited(self) -> None:
        """It ended and is reaped; its pipes may still hold something."""
        self._exited.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  (the signature is asyncio's)
        """It ended, and everything that it said is here."""
        self.gone.set()

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._transport.get_pid(), signal.SIGKILL)

    def _last_words(self) -> str:
        lines = self._complained.decode(errors="replace").strip().splitlines()
        return "".join(filter(str.isprintable, lines[-1]))[:_SHOWN_CHARS] if lines else "without a word on stderr"


def _encoded(request: Request) -> bytes:
    try:
        return encode_request(request)
    except WireError as error:
        raise _failed(f"cannot be asked: {error}") from error


def _how_it_ended(code: int) -> str:
    return f"was killed by signal {-code} ({signal.strsignal(-code)})" if code < 0 else f"ended with exit code {code}"


def _failed(what: str) -> TidegateError:
    return TidegateError(ErrorKind.NET_WORKER_FAILED, f"the net-worker {what}", _REMEDY)
