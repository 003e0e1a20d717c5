"""The net-worker's graph job: fetch an update graph, validate it, and report the direct successors.

The graph stays in this process: the agent gets only the few releases that its host may move to.
"""

from __future__ import annotations

import threading
from functools import partial
from urllib.parse import urlencode

from tidegate.clock import Clock, SystemClock
from tidegate.discovery.fetching import RETRIED, WRONG_SERVER, Fetcher
from tidegate.discovery.graph_part import offers_of
from tidegate.discovery.wire import GraphRequest, OffersEvent, Trust
from tidegate.errors import ErrorKind, TidegateError
from tidegate.net.answers import excerpt, is_markup
from tidegate.net.urls import masked
from tidegate.net.wire import ErrorEvent, Event, Json, Work, error_event
from tidegate.system.installation import remedy_for_extra


def work(fields: Json, _departed: threading.Event) -> Work:
    """The job's entry point: see :mod:`tidegate.net.wire`.

    Raises:
        WireError: the fields are not those of a graph request.
    """
    request = GraphRequest.read(fields)
    return Work(request.timeout_secs, partial(answer, request), partial(out_of_time, request))


def answer(request: GraphRequest, clock: Clock | None = None) -> Event:
    """Fetch and validate the graph at ``request.url``; the releases that it offers, or an error."""
    try:
        return OffersEvent(offers_of(_fetch(request, clock or SystemClock()), request.booted_payload))
    except TidegateError as error:
        return error_event(error, where=masked(request.url))


def out_of_time(request: GraphRequest) -> ErrorEvent:
    """The answer at the deadline."""
    why = f"no whole answer within {request.timeout_secs:g} s"
    return ErrorEvent(ErrorKind.DISCOVERY_UNREACHABLE, f"{masked(request.url)}: {why}", RETRIED)


def _fetch(request: GraphRequest, clock: Clock) -> bytes:
    fetcher = Fetcher(request.max_bytes, request.timeout_secs, request.ca_file)
    if request.trust is not None:
        return _fetch_signed(request.trust, fetcher, clock)
    raw = fetcher.fetch(f"{request.url}?{urlencode(request.query)}" if request.query else request.url)
    if len(raw) > request.max_bytes:
        raise _nonsense(f"larger than {request.max_bytes} bytes, the limit for an update graph")
    if not raw.strip():
        raise _nonsense("the answer is empty")
    if is_markup(raw):
        raise _nonsense(f"the answer is a page in HTML or XML, not an update graph: {excerpt(raw)}")
    return raw


def _fetch_signed(trust: Trust, fetcher: Fetcher, clock: Clock) -> bytes:
    try:
        from tidegate.discovery import signed_graph  # noqa: PLC0415  (an extra, and it takes 0.1 s)
    except ModuleNotFoundError as error:
        message = f"verifying signatures under {trust.root_file} needs {error.name}, which is not installed"
        raise TidegateError(ErrorKind.DISCOVERY_UNAVAILABLE, message, remedy_for_extra("trust")) from error
    return signed_graph.fetch(trust, fetcher, clock.now().wall)


def _nonsense(what: str) -> TidegateError:
    return TidegateError(ErrorKind.DISCOVERY_NONSENSE, what, WRONG_SERVER)
