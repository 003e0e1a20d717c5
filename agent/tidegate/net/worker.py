"""The process behind ``tidegate net-worker``: one request on stdin, its answer on stdout, done.

It leaves with 0 when it has answered, be it with an error. Anything else is a crash, and its last line on stderr is
what the agent shows of it.
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


class Outlet:
    """Where the one answer goes. The first to speak is heard, the other is late."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._spoken = False

    def say(self, event: Event) -> bool:
        """Write ``event`` unless another was written before; returns whether it was."""
        line = _line(event)
        with self._lock:
            if self._spoken:
                return False
            self._spoken = True
            self._stream.write(line)
            self._stream.flush()
            return True


def main() -> int:
    """Answer the request on stdin within its time."""
    # httpx 0.28 imports its command line where click, rich and pygments are installed: as much again as all the rest.
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # None is how an import is made to fail
    gc.disable()  # it would search the same live graph again and again, and this process is over before it pays
    outlet, departed = Outlet(sys.stdout.buffer), threading.Event()
    work = _work(sys.stdin.buffer.read(MAX_REQUEST_BYTES), departed)
    guard = threading.Timer(work.timeout_secs, _cut_short, (work, outlet))
    guard.daemon = True
    guard.start()
    outlet.say(work.answer())
    return 0


def _line(event: Event) -> bytes:
    try:
        return encode_event(event)
    except WireError as error:
        return encode_event(ErrorEvent(ErrorKind.NET_WORKER_FAILED, f"the answer does not fit: {error}"))


def _work(line: bytes, departed: threading.Event) -> Work:
    """The work that a request asks for; only the module that does it is loaded. ``departed``: it has left this host.

    Raises:
        WireError: the line is no request.
    """
    job, fields = decode_request(line)
    try:
        begin: Callable[[Json, threading.Event], Work] = importlib.import_module(job).work
    except (ImportError, AttributeError) as error:
        raise WireError(f"there is no job {job!r}") from error
    return begin(fields, departed)


def _cut_short(work: Work, outlet: Outlet) -> None:
    """End the process in the middle of whatever it is doing.

    A thread, because nothing less ends everything: timeouts of httpx are for each read, so that a server may drip for
    ever, and a signal's handler has to wait until the resolver of libc gives up.
    """
    if outlet.say(work.out_of_time()):
        os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
