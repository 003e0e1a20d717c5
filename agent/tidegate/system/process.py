"""Run a child process to its end: argument list, total deadline, bounded output, its process group killed on timeout.

The environment is fixed (no proxy variables, no locale of a user), so that output can be parsed and does not depend on
the caller.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import signal
import struct
import termios
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType

from tidegate.errors import ErrorKind, TidegateError

# Without /usr/local, which on an image-based host is no part of the release: anybody's program there would run as root.
# C.UTF-8 and not C: GLib replaces characters outside ASCII, such as no-break spaces and quotes, with question marks.
ENVIRONMENT: Mapping[str, str] = MappingProxyType({"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"})
# Far above the output of any engine, and bounded for a child that never stops. The end is kept: errors come last.
OUTPUT_LIMIT_BYTES = 4 * 1024 * 1024
# After SIGKILL a child exits at once, unless it is in uninterruptible sleep (dead disk): then waiting does not help.
REAP_SECS = 5.0
# Wide enough for the progress lines of any program.
TERMINAL_COLUMNS = 200
_CHUNK_BYTES = 65_536

TextSink = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Completed:
    """A child that was not killed at a deadline. A negative ``returncode`` is the signal that ended it."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class Watch:
    """Follow the output: the child's standard output is a terminal, whose text goes to ``sink`` as it arrives.

    Several programs show progress on a terminal only. ``silence_secs`` without any output counts as a hang.
    """

    sink: TextSink
    silence_secs: float


async def run(argv: Sequence[str], *, deadline_secs: float, watch: Watch | None = None) -> Completed:
    """Run ``argv`` and wait for its end.

    Raises:
        TidegateError: ``engine.timeout`` when it took longer than ``deadline_secs``, or was silent for too long under
            ``watch``, and was killed; ``engine.unsupported-host`` when the program is not installed.
    """
    async with _child(argv, watch) as (process, stdout):
        try:
            async with asyncio.timeout(deadline_secs):
                return await _follow(tuple(argv), process, stdout, watch)
        except TimeoutError:
            raise _timed_out(argv, f"did not end within {deadline_secs:g} s") from None
        except _SilenceError as error:
            raise _timed_out(argv, f"printed nothing for {error.secs:g} s") from None


async def _follow(
    argv: tuple[str, ...], process: asyncio.subprocess.Process, stdout: asyncio.StreamReader, watch: Watch | None
) -> Completed:
    assert process.stderr is not None  # noqa: S101 - asked for as a pipe
    try:
        async with asyncio.TaskGroup() as group:
            out = group.create_task(_collect(stdout, watch))
            err = group.create_task(_collect(process.stderr, None))
            returncode = group.create_task(process.wait())
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return Completed(argv, returncode.result(), out.result(), err.result())


@asynccontextmanager
async def _child(
    argv: Sequence[str], watch: Watch | None
) -> AsyncGenerator[tuple[asyncio.subprocess.Process, asyncio.StreamReader]]:
    async with contextlib.AsyncExitStack() as stack:
        terminal = await stack.enter_async_context(_terminal()) if watch else None
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=terminal.child_fd if terminal else asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=ENVIRONMENT,
                start_new_session=True,
            )
        except FileNotFoundError:
            raise _not_installed(argv[0]) from None
        if terminal:
            terminal.close_child_side()
        stdout = terminal.reader if terminal else process.stdout
        assert stdout is not None  # noqa: S101 - asked for as a pipe
        try:
            yield process, stdout
        finally:
            await _end(process)


class _Terminal:
    """A pseudo terminal: the child writes to ``child_fd``, and ``reader`` reads the other side."""

    def __init__(self, reader: asyncio.StreamReader, child_fd: int) -> None:
        self.reader = reader
        self.child_fd = child_fd
        self._open = True

    def close_child_side(self) -> None:
        """Close this process's copy of the child's side, so that the exit of the child ends the output."""
        if self._open:
            os.close(self.child_fd)
            self._open = False


@asynccontextmanager
async def _terminal() -> AsyncGenerator[_Terminal]:
    ours_fd, child_fd = pty.openpty()
    fcntl.ioctl(child_fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, TERMINAL_COLUMNS, 0, 0))
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    ours = os.fdopen(ours_fd, "rb", buffering=0)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, ours)
    terminal = _Terminal(reader, child_fd)
    try:
        yield terminal
    finally:
        terminal.close_child_side()
        transport.close()


class _SilenceError(Exception):
    def __init__(self, secs: float) -> None:
        super().__init__(secs)
        self.secs = secs


async def _collect(stream: asyncio.StreamReader, watch: Watch | None) -> str:
    kept = bytearray()
    while chunk := await _read(stream, watch):
        kept += chunk
        del kept[:-OUTPUT_LIMIT_BYTES]
        if watch:
            watch.sink(chunk.decode("utf-8", "replace"))
    return kept.decode("utf-8", "replace")


async def _read(stream: asyncio.StreamReader, watch: Watch | None) -> bytes:
    try:
        async with asyncio.timeout(watch.silence_secs if watch else None):
            return await stream.read(_CHUNK_BYTES)
    except TimeoutError:
        raise _SilenceError(watch.silence_secs if watch else 0) from None
    except OSError:  # EIO: the other side of a terminal is closed (Linux)
        return b""


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill the child's process group if it has not ended, and read its pipes to their end.

    A grandchild may keep a pipe open after the child has exited.
    """
    streams = [stream for stream in (process.stdout, process.stderr) if stream is not None]
    if process.returncode is None or not all(stream.at_eof() for stream in streams):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(REAP_SECS):
            await asyncio.gather(process.wait(), *(_drain(stream) for stream in streams))


async def _drain(stream: asyncio.StreamReader) -> None:
    while await stream.read(_CHUNK_BYTES):
        pass


def _timed_out(argv: Sequence[str], what: str) -> TidegateError:
    return TidegateError(
        ErrorKind.ENGINE_TIMEOUT,
        f"`{' '.join(argv)}` {what} and was killed",
        "check for a hung disk or network, or another program that works on the same system: `ps -ef`",
    )


def _not_installed(program: str) -> TidegateError:
    return TidegateError(
        ErrorKind.ENGINE_UNSUPPORTED_HOST, f"{program} is not installed on this host", f"install {program}"
    )
