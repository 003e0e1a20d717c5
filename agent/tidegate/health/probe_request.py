"""How the worker answers a :class:`~tidegate.health.probe.ProbeRequest`: one GET, and what it came to."""

from __future__ import annotations

from tidegate.health.probe import ProbeEvent, ProbeRequest
from tidegate.net.answers import HttpError, HttpResponse, excerpt, status_text
from tidegate.net.urls import masked

MAX_BYTES = 1024 * 1024
"""Of a page that is searched for a text: a health endpoint says little, and a front page is this long at most."""

_ANY_TYPE = "*/*"


def answer(request: ProbeRequest) -> ProbeEvent:
    """Whether the address answers as it should, and what it answers."""
    # Here and not above: that loads httpx, which other requests to this worker may do without.
    from tidegate.net import http  # noqa: PLC0415  (the reason is above)

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
