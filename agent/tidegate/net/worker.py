"""The net-worker process: read one request on stdin, write its answer to stdout, exit.

The exit status is 0 once an answer is written, which may be an error. Any other exit is a crash; the agent reports the
last line of its stderr.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
import threading
from collections.abc import Callable
from typing import BinaryIO

from tidegate.errors import ErrorKind
from tidegate.net.wire import MAX_REQUEST_BYTES, ErrorEvent, Event, Json, WireError, Work, decode_request, encode_event


class AnswerWriter:
    """Writes exactly one answer: the first of the work's own and that of the deadline."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._written = False

    def write(self, event: Event) -> bool:
        """Write ``event`` unless another was written before; True if it was written."""
        line = _line(event)
        with self._lock:
            if self._written:
                return False
            self._written = True
            self._stream.write(line)
            self._stream.flush()
            return True


def main() -> int:
    """Answer the request on stdin within its deadline; the exit status."""
    # httpx 0.28 imports its command line where click, rich and pygments are installed: as much again as all the rest.
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # None makes the import fail
    gc.disable()  # it would traverse the same live objects again and again; the process ends before garbage matters
    writer, departed = AnswerWriter(sys.stdout.buffer), threading.Event()
    work = _work(sys.stdin.buffer.read(MAX_REQUEST_BYTES), departed)
    deadline = threading.Timer(work.timeout_secs, _end_at_deadline, (work, writer))
    deadline.daemon = True
    deadline.start()
    writer.write(work.answer())
    return 0


def _line(event: Event) -> bytes:
    try:
        return encode_event(event)
    except WireError as error:
        return encode_event(ErrorEvent(ErrorKind.NET_WORKER_FAILED, f"the answer is too long: {error}"))


def _work(line: bytes, departed: threading.Event) -> Work:
    """The work for a request; only the job's module is imported. ``departed`` is set when the request leaves this host.

    Raises:
        WireError: the line is not a request, or there is no such job.
    """
    job, fields = decode_request(line)
    try:
        begin: Callable[[Json, threading.Event], Work] = importlib.import_module(job).work
    except (ImportError, AttributeError) as error:
        raise WireError(f"there is no job {job!r}") from error
    return begin(fields, departed)


def _end_at_deadline(work: Work, writer: AnswerWriter) -> None:
    """Answer that the deadline is over, and end the process while the main thread is still at work.

    A thread with ``os._exit`` is needed: httpx's timeouts are for each read, so that a slow server could go on for
    ever, and a signal handler runs only after libc's resolver has returned.
    """
    if writer.write(work.out_of_time()):
        os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
