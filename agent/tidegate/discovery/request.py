"""How the worker answers a :class:`~tidegate.discovery.wire.GraphRequest`: fetch, check, tell the direct successors.

The graph stays in this process: the agent hears only of the few releases that its host may move to.
"""

from __future__ import annotations

import threading
from functools import partial
from urllib.parse import urlencode

from tidegate.clock import Clock, SystemClock
from tidegate.discovery.fetching import ASKED_AGAIN, WRONG_SERVER, Fetcher
from tidegate.discovery.graph import parse_graph
from tidegate.discovery.wire import GraphRequest, OffersEvent, Trust
from tidegate.errors import ErrorKind, TidegateError
from tidegate.net.answers import excerpt, is_markup
from tidegate.net.urls import masked
from tidegate.net.wire import ErrorEvent, Event, Json, Work, error_event

_NO_LIBRARY = "install it with what checks signatures: pip install 'tidegate[trust]'"


def work(fields: Json, _departed: threading.Event) -> Work:
    """The net-worker's part: see :mod:`tidegate.net.worker`."""
    request = GraphRequest.read(fields)
    return Work(request.timeout_secs, partial(answer, request), partial(out_of_time, request))


def answer(request: GraphRequest, clock: Clock | None = None) -> Event:
    """The releases that the graph at ``request.url`` offers, or why there are none to be had."""
    try:
        return OffersEvent(parse_graph(_fetch(request, clock or SystemClock())).offers(request.booted_payload))
    except TidegateError as error:
        return error_event(error, where=masked(request.url))


def out_of_time(request: GraphRequest) -> ErrorEvent:
    """What there is to say when the time is up, wherever the work stands."""
    why = f"no whole answer within {request.timeout_secs:g} s"
    return ErrorEvent(ErrorKind.DISCOVERY_UNREACHABLE, f"{masked(request.url)}: {why}", ASKED_AGAIN)


def _fetch(request: GraphRequest, clock: Clock) -> bytes:
    fetcher = Fetcher(request.max_bytes, request.timeout_secs, request.ca_file)
    if request.trust is not None:
        return _fetch_signed(request.trust, fetcher, clock)
    raw = fetcher.fetch(f"{request.url}?{urlencode(request.query)}" if request.query else request.url)
    if len(raw) > request.max_bytes:
        raise _nonsense(f"larger than {request.max_bytes} bytes, which is the most that an update graph may have")
    if not raw.strip():
        raise _nonsense("the answer is empty")
    if is_markup(raw):
        raise _nonsense(f"the answer is a page in HTML or XML, not an update graph: {excerpt(raw)}")
    return raw


def _fetch_signed(trust: Trust, fetcher: Fetcher, clock: Clock) -> bytes:
    try:
        from tidegate.discovery import signed_graph  # noqa: PLC0415  (the extra may not be installed; and it costs 0.1 s)
    except ModuleNotFoundError as error:
        message = f"to trust {trust.root_file} alone, Tidegate needs {error.name}, which is not installed"
        raise TidegateError(ErrorKind.DISCOVERY_UNAVAILABLE, message, _NO_LIBRARY) from error
    return signed_graph.fetch(trust, fetcher, clock.now().wall)


def _nonsense(what: str) -> TidegateError:
    return TidegateError(ErrorKind.DISCOVERY_NONSENSE, what, WRONG_SERVER)
