"""HTTP health checks in the net-worker: one GET, and whether its answer passes."""

from __future__ import annotations

import threading
from functools import partial

from tidegate.health.probe import ProbeEvent, ProbeRequest
from tidegate.net import http
from tidegate.net.answers import HttpError, HttpResponse, excerpt, status_text
from tidegate.net.urls import masked
from tidegate.net.wire import Json, Work

MAX_BYTES = 1024 * 1024
"""Of a page that is searched for a text: a health endpoint says little, and a front page is this long at most."""

_ANY_TYPE = "*/*"


def work(fields: Json, _departed: threading.Event) -> Work:
    """The net-worker's part: see :mod:`tidegate.net.worker`."""
    request = ProbeRequest.read(fields)
    return Work(request.timeout_secs, partial(answer, request), partial(out_of_time, request))


def answer(request: ProbeRequest) -> ProbeEvent:
    """Whether the address answers as it should, and what it answers."""
    try:
        response = http.get(request.url, MAX_BYTES, request.timeout_secs, request.ca_file, _ANY_TYPE)
    except HttpError as error:
        return ProbeEvent(passed=False, detail=f"{masked(request.url)}: {error}")
    return judged(request, response)


def judged(request: ProbeRequest, response: HttpResponse) -> ProbeEvent:
    """What an answer comes to."""
    answers = f"{masked(request.url)} answers {status_text(response.status)}"
    if not request.low <= response.status <= request.high:
        said = excerpt(response.body)
        return ProbeEvent(passed=False, detail=f"{answers}: {said}" if said else answers)
    if request.contains is not None and request.contains.encode() not in response.body[:MAX_BYTES]:
        within = f" in its first {MAX_BYTES} bytes" if len(response.body) > MAX_BYTES else ""
        return ProbeEvent(passed=False, detail=f"{answers}, without {request.contains!r}{within}")
    return ProbeEvent(passed=True, detail=answers)


def out_of_time(request: ProbeRequest) -> ProbeEvent:
    """What there is to say when the time is up."""
    return ProbeEvent(passed=False, detail=f"{masked(request.url)}: no whole answer within {request.timeout_secs:g} s")
