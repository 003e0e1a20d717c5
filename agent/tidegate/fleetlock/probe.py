"""The net-worker's probe job: tell a lock server from a server that says yes to everything.

A lock server is known by what it refuses. The probe is a steady-state request without the protocol's header and without
a body, so that it names no host and releases nothing: every lock server answers it with a 4xx (airlock, both
fleetlocks and Tidegate's coordinator with 400). A server with the extension shows that in the answer's header.
"""

from __future__ import annotations

import threading
from functools import partial

from tidegate.errors import ErrorKind, TidegateError
from tidegate.fleetlock.answers import MAX_ANSWER_BYTES
from tidegate.fleetlock.protocol import EXTENSION, EXTENSIONS_HEADER_NAME, Verb
from tidegate.fleetlock.request import address_of, credentials, tls_files, where
from tidegate.fleetlock.wire import ProbeEvent, ProbeRequest
from tidegate.net import http
from tidegate.net.answers import HttpError
from tidegate.net.wire import ErrorEvent, Event, Json, Work, error_event


def work(fields: Json, departed: threading.Event) -> Work:
    """The job's entry point: see :mod:`tidegate.net.wire`.

    Raises:
        WireError: the fields are not those of a probe.
    """
    request = ProbeRequest.read(fields)
    return Work(request.timeout_secs, partial(probe, request, departed), partial(_out_of_time, request))


def probe(request: ProbeRequest, departed: threading.Event) -> Event:
    """Send the probe once; the server's answer or an error."""
    account, place = request.account, where(request.account, Verb.STEADY_STATE)
    try:
        address = address_of(account, Verb.STEADY_STATE)
        message = http.Post(address, b"", credentials(account), tls_files(account))
        response = http.post(message, MAX_ANSWER_BYTES, request.timeout_secs, departed)
    except HttpError as error:
        return ErrorEvent(ErrorKind.LOCK_UNREACHABLE, f"{place}: {error}")
    except TidegateError as error:
        return error_event(error, place)
    return ProbeEvent(response.status, EXTENSION in response.headers.get(EXTENSIONS_HEADER_NAME, ""))


def _out_of_time(request: ProbeRequest) -> ErrorEvent:
    why = f"no whole answer within {request.timeout_secs:g} s"
    return ErrorEvent(ErrorKind.LOCK_UNREACHABLE, f"{where(request.account, Verb.STEADY_STATE)}: {why}")
