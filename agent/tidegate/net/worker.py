"""The process behind ``tidegate net-worker``: one request on stdin, its answer on stdout, done.

It leaves with 0 when it has answered, be it with an error. Anything else is a crash, and its last line on stderr is
what the agent shows of it.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from typing import BinaryIO

from tidegate.discovery import request as graph_request
from tidegate.errors import ErrorKind
from tidegate.fleetlock import request as lock_request
from tidegate.fleetlock.wire import LockRequest
from tidegate.health import probe_request
from tidegate.health.probe import ProbeRequest
from tidegate.net.line import WireError
from tidegate.net.wire import (
    MAX_REQUEST_BYTES,
    ErrorEvent,
    Event,
    GraphRequest,
    Request,
    decode_request,
    encode_event,
)


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
    request = decode_request(sys.stdin.buffer.read(MAX_REQUEST_BYTES))
    outlet, departed = Outlet(sys.stdout.buffer), threading.Event()
    guard = threading.Timer(request.timeout_secs, _cut_short, (request, departed, outlet))
    guard.daemon = True
    guard.start()
    outlet.say(_answer(request, departed))
    return 0


def _line(event: Event) -> bytes:
    try:
        return encode_event(event)
    except WireError as error:
        return encode_event(ErrorEvent(ErrorKind.NET_WORKER_FAILED, f"the answer does not fit: {error}"))


def _cut_short(request: Request, departed: threading.Event, outlet: Outlet) -> None:
    """End the process in the middle of whatever it is doing.

    A thread, because nothing less ends everything: timeouts of httpx are for each read, so that a server may drip for
    ever, and a signal's handler has to wait until the resolver of libc gives up.
    """
    if outlet.say(_out_of_time(request, departed)):
        os._exit(0)


def _answer(request: Request, departed: threading.Event) -> Event:
    match request:
        case GraphRequest():
            return graph_request.answer(request)
        case LockRequest():
            return lock_request.answer(request, departed)
        case ProbeRequest():
            return probe_request.answer(request)


def _out_of_time(request: Request, departed: threading.Event) -> Event:
    match request:
        case GraphRequest():
            return graph_request.out_of_time(request)
        case LockRequest():
            return lock_request.out_of_time(request, departed)
        case ProbeRequest():
            return probe_request.out_of_time(request)


if __name__ == "__main__":
    sys.exit(main())
