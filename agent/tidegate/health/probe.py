"""HTTP health checks: the request of the agent, and how the net-worker answers it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import ClassVar, Self

from tidegate.net.answers import HttpError, HttpResponse, excerpt, status_text
from tidegate.net.urls import masked
from tidegate.net.wire import Json, WireError, Work

MAX_BYTES = 1024 * 1024
"""Of a page that is searched for a text: a health endpoint says little, and a front page is this long at most."""

_ANY_TYPE = "*/*"


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """Get ``url`` and see whether its status is from ``low`` to ``high`` and ``contains`` is in it.

    ``timeout_secs`` is for the whole, from the worker's start to its answer. ``ca_file`` replaces the system's
    authorities.
    """

    url: str
    low: int
    high: int
    contains: str | None
    timeout_secs: float
    ca_file: str | None
    job: ClassVar[str] = "tidegate.health.probe"

    def fields(self) -> Mapping[str, object]:
        """The request as JSON."""
        return asdict(self)

    @classmethod
    def read(cls, fields: Json) -> Self:
        """The inverse of :meth:`fields`.

        Raises:
            WireError: the fields are not those of such a request.
        """
        match fields:
            case {
                "url": str(url),
                "low": int(low),
                "high": int(high),
                "contains": str() | None as contains,
                "timeout_secs": int() | float() as timeout_secs,
                "ca_file": str() | None as ca_file,
            }:
                return cls(url, low, high, contains, timeout_secs, ca_file)
            case _:
                raise WireError("not a request for a health check")


@dataclass(frozen=True, slots=True)
class ProbeEvent:
    """The answer to a :class:`ProbeRequest`; no answer at all is one as well. ``detail`` is one printable line."""

    passed: bool
    detail: str

    def fields(self) -> Mapping[str, object]:
        """The answer as JSON."""
        return {"kind": "probed", **asdict(self)}

    @classmethod
    def read(cls, fields: Json) -> Self:
        """The inverse of :meth:`fields`.

        Raises:
            WireError: the fields are not those of such an answer.
        """
        match fields:
            case {"kind": "probed", "passed": bool(passed), "detail": str(detail)}:
                return cls(passed, detail)
            case _:
                raise WireError("not the answer to a health check")


def work(fields: Json, _departed: threading.Event) -> Work:
    """The net-worker's part: see :mod:`tidegate.net.worker`."""
    request = ProbeRequest.read(fields)
    return Work(request.timeout_secs, partial(answer, request), partial(out_of_time, request))


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
