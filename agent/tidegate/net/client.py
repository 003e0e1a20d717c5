"""Run an HTTP request in a child process, the net-worker, for the agent.

The agent itself never loads httpx, and buffers one bounded answer at most: see :mod:`tidegate.net.worker`.
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
"""``-I``: neither the environment nor the working directory influences which code runs."""

KILL_GRACE_SECS = 10.0
"""Added to a request's deadline, for the start of Python on a small, busy board. The worker ends itself at its deadline
unless it hangs."""

_STDERR_TAIL_BYTES = 4096
_SHOWN_CHARS = 300
_STDIN, _STDOUT = 0, 1
_REMEDY = "the agent tries again at the next check; if it persists, report it with the journal of tidegate.service"


@dataclass(frozen=True, slots=True)
class NetClient:
    """Runs one worker process for each request. ``argv`` is its command line."""

    argv: tuple[str, ...] = WORKER_ARGV
    kill_grace_secs: float = KILL_GRACE_SECS

    async def run(self, request: Request, answer: type[AnswerT]) -> AnswerT:
        """Carry out ``request``, whose answer has the type ``answer``.

        Cancelling kills the worker. When this returns or raises, the worker has ended and is reaped.

        Raises:
            NetError: the error that the worker reported, with its kind.
            TidegateError: ``net.worker-failed``; the worker crashed, hung, or wrote an invalid answer.
        """
        worker = await self._exchange(_encoded(request), request.timeout_secs + self.kill_grace_secs)
        event = worker.event(answer)
        if isinstance(event, ErrorEvent):
            raise NetError(event)
        return event

    async def _exchange(self, line: bytes, timeout_secs: float) -> _Worker:
        """Start a worker, send it ``line``, and return when it has ended; kill it at the deadline."""
        worker = await self._start()
        try:
            async with asyncio.timeout(timeout_secs):
                worker.send(line)
                await worker.ended.wait()
        except TimeoutError:
            raise _failed(f"gave no answer and was killed after {timeout_secs:g} s") from None
        finally:
            await worker.end()
        return worker

    async def _start(self) -> _Worker:
        loop = asyncio.get_running_loop()
        try:
            # In a process group of its own, to be killed as one; with an empty environment, so that no proxy setting,
            # no certificate authority and no notification socket of the service reaches it.
            _, worker = await loop.subprocess_exec(
                _Worker, *self.argv, env={}, cwd="/", start_new_session=True, close_fds=True
            )
        except OSError as error:
            raise _failed(f"could not be started: {error.strerror}: {self.argv[0]}") from error
        return worker


class _Worker(asyncio.SubprocessProtocol):
    """The agent's end of one worker process: buffers its output within bounds, and ends it.

    A protocol rather than asyncio's ``Process``: the latter's streams stop reading when they are full, and ``wait()``
    may never return for a child whose output is not read.
    """

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self._exited = asyncio.Event()
        self._stdout = bytearray()
        self._stderr_tail = bytearray()

    def send(self, line: bytes) -> None:
        """Write the request to the worker's stdin, and close it."""
        stdin = cast(asyncio.WriteTransport, self._transport.get_pipe_transport(_STDIN))
        stdin.write(line)
        stdin.close()

    async def end(self) -> None:
        """Kill the worker's process group if it still runs, reap it, close its pipes (also when cancelled)."""
        try:
            if not self.ended.is_set():
                self._kill_group()
                # First reaped, then closed: close() polls a child that still counts as running, and so takes its exit
                # status away from asyncio's watcher, which logs a warning (3.11 to 3.13).
                await self._exited.wait()
        finally:
            self._transport.close()
        await self.ended.wait()

    def event(self, answer: type[AnswerT]) -> AnswerT | ErrorEvent:
        """The answer, once the worker has ended.

        Raises:
            TidegateError: ``net.worker-failed``; it crashed, or its answer is too long or invalid.
        """
        if len(self._stdout) > MAX_EVENT_BYTES:
            raise _failed(f"wrote more than {MAX_EVENT_BYTES} bytes and was killed")
        if code := self._transport.get_returncode():
            raise _failed(f"{_exit_text(code)}: {self._last_stderr_line()}")
        try:
            return decode_event(bytes(self._stdout), answer)
        except WireError as error:
            raise _failed(f"wrote an invalid answer: {error}") from error

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport: the process runs."""
        self._transport = cast(asyncio.SubprocessTransport, transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Buffer output: the answer up to its limit, of stderr the end."""
        if fd != _STDOUT:
            self._stderr_tail = (self._stderr_tail + data)[-_STDERR_TAIL_BYTES:]
            return
        self._stdout += data
        if len(self._stdout) > MAX_EVENT_BYTES and not self._exited.is_set():
            self._kill_group()

    def process_exited(self) -> None:
        """Note that the process is reaped; its pipes may still hold output."""
        self._exited.set()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  (the signature is asyncio's)
        """Note that the process has ended and all of its output has been read."""
        self.ended.set()

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._transport.get_pid(), signal.SIGKILL)

    def _last_stderr_line(self) -> str:
        lines = self._stderr_tail.decode(errors="replace").strip().splitlines()
        return "".join(filter(str.isprintable, lines[-1]))[:_SHOWN_CHARS] if lines else "nothing on stderr"


def _encoded(request: Request) -> bytes:
    try:
        return encode_request(request)
    except WireError as error:
        raise _failed(f"cannot be sent the request: {error}") from error


def _exit_text(code: int) -> str:
    return f"was killed by signal {-code} ({signal.strsignal(-code)})" if code < 0 else f"ended with exit code {code}"


def _failed(what: str) -> TidegateError:
    return TidegateError(ErrorKind.NET_WORKER_FAILED, f"the net-worker {what}", _REMEDY)
