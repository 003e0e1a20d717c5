"""The net-worker's job for an HTTP health check: one GET, and whether its answer passes."""

from __future__ import annotations

import threading
from functools import partial

from tidegate.health.http_wire import HttpCheckEvent, HttpCheckRequest
from tidegate.net import http
from tidegate.net.answers import HttpError, HttpResponse, excerpt, status_text
from tidegate.net.urls import masked
from tidegate.net.wire import Json, Work

MAX_BYTES = 1024 * 1024
"""How much of a body is read and searched: health endpoints are short, and front pages rarely longer than this."""

_ANY_TYPE = "*/*"


def work(fields: Json, _departed: threading.Event) -> Work:
    """Start the job; see :mod:`tidegate.net.worker` for the signature.

    Raises:
        WireError: ``fields`` are not those of such a request.
    """
    request = HttpCheckRequest.read(fields)
    return Work(request.timeout_secs, partial(answer, request), partial(out_of_time, request))


def answer(request: HttpCheckRequest) -> HttpCheckEvent:
    """Make the request, and judge its answer. Failures are results, never exceptions."""
    try:
        response = http.get(request.url, MAX_BYTES, request.timeout_secs, request.ca_file, _ANY_TYPE)
    except HttpError as error:
        return HttpCheckEvent(passed=False, detail=f"{masked(request.url)}: {error}")
    return judged(request, response)


def judged(request: HttpCheckRequest, response: HttpResponse) -> HttpCheckEvent:
    """Whether ``response`` has the status and the text that ``request`` asks for."""
    answers = f"{masked(request.url)} answers {status_text(response.status)}"
    if not request.low <= response.status <= request.high:
        body = excerpt(response.body)
        return HttpCheckEvent(passed=False, detail=f"{answers}: {body}" if body else answers)
    if request.contains is not None and request.contains.encode() not in response.body[:MAX_BYTES]:
        within = f" in its first {MAX_BYTES} bytes" if len(response.body) > MAX_BYTES else ""
        return HttpCheckEvent(passed=False, detail=f"{answers}, without {request.contains!r}{within}")
    return HttpCheckEvent(passed=True, detail=answers)


def out_of_time(request: HttpCheckRequest) -> HttpCheckEvent:
    """The result where the total deadline has passed."""
    return HttpCheckEvent(
        passed=False, detail=f"{masked(request.url)}: no whole answer within {request.timeout_secs:g} s"
    )
