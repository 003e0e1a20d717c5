"""How the worker answers a :class:`~tidegate.net.wire.GraphRequest`: fetch, check, tell the direct successors.

The graph stays in this process: the agent hears only of the few releases that its host may move to.
"""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import assert_never
from urllib.parse import urlencode

from tidegate.discovery.graph import parse_graph
from tidegate.errors import ErrorKind, TidegateError
from tidegate.net.answers import (
    Fault,
    HttpError,
    HttpResponse,
    error_text,
    excerpt,
    is_markup,
    redirect_text,
    retry_after_secs,
    status_text,
)
from tidegate.net.urls import checked, file_path, masked
from tidegate.net.wire import ErrorEvent, Event, GraphRequest, NetError, OffersEvent, error_event

_ASKED_AGAIN = "it is asked again at the next check; if this stays, try the address from this host with curl"
_WRONG_SERVER = "check the address in the configuration: is it the update graph itself, and no login or error page?"
_DISTRUST = "check this host's clock and the server's certificate; authorities of your own go into ca_file"


def answer(request: GraphRequest) -> Event:
    """The releases that the graph at ``request.url`` offers, or why there are none to be had."""
    try:
        return OffersEvent(parse_graph(_fetch(request)).offers(request.booted_payload))
    except TidegateError as error:
        return error_event(error, where=masked(request.url))


def out_of_time(request: GraphRequest) -> ErrorEvent:
    """What there is to say when the time is up, wherever the work stands."""
    why = f"no whole answer within {request.timeout_secs:g} s"
    return ErrorEvent(ErrorKind.DISCOVERY_UNREACHABLE, f"{masked(request.url)}: {why}", _ASKED_AGAIN)


def _fetch(request: GraphRequest) -> bytes:
    parts = checked(request.url)
    raw = _read_file(file_path(parts), request.max_bytes) if parts.scheme == "file" else _get(request)
    if len(raw) > request.max_bytes:
        raise _nonsense(f"larger than {request.max_bytes} bytes, which is the most that an update graph may have")
    if not raw.strip():
        raise _nonsense("the answer is empty")
    if is_markup(raw):
        raise _nonsense(f"the answer is a page in HTML or XML, not an update graph: {excerpt(raw)}")
    return raw


def _nonsense(what: str) -> TidegateError:
    return TidegateError(ErrorKind.DISCOVERY_NONSENSE, what, _WRONG_SERVER)


def _read_file(path: str, max_bytes: int) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(max_bytes + 1)
    except OSError as error:
        message = f"the file cannot be read: {error.strerror}"
        remedy = f"put the update graph at {path}, readable for the user tidegate"
        raise TidegateError(ErrorKind.DISCOVERY_UNREACHABLE, message, remedy) from error


def _get(request: GraphRequest) -> bytes:
    # Here and not above: a graph in a file does without httpx, which is most of the worker's time and memory.
    from tidegate.net import http  # noqa: PLC0415  (the reason is above)

    try:
        response = http.get(_address(request), request.max_bytes, request.timeout_secs, request.ca_file)
    except HttpError as error:
        kind, remedy = _no_answer(error.fault)
        raise TidegateError(kind, str(error), remedy) from error
    if response.status != HTTPStatus.OK:
        raise _refused(response)
    return response.body


def _address(request: GraphRequest) -> str:
    return f"{request.url}?{urlencode(request.query)}" if request.query else request.url


def _no_answer(fault: Fault) -> tuple[ErrorKind, str]:
    match fault:
        case Fault.UNREACHABLE:
            return ErrorKind.DISCOVERY_UNREACHABLE, _ASKED_AGAIN
        case Fault.UNTRUSTED | Fault.TURNED_AWAY:
            return ErrorKind.DISCOVERY_UNREACHABLE, _DISTRUST
        case Fault.NO_HTTP:
            return ErrorKind.DISCOVERY_NONSENSE, _WRONG_SERVER
        case Fault.BAD_ADDRESS:
            return ErrorKind.CONFIG_INVALID, "correct the address in the configuration"
        case Fault.BAD_CA_FILE | Fault.BAD_CLIENT_CERT:
            return ErrorKind.CONFIG_INVALID, "name a file of certificates in PEM form, readable for the user tidegate"
    assert_never(fault)


def _refused(response: HttpResponse) -> NetError:
    if redirect := redirect_text(response):
        return NetError(ErrorEvent(ErrorKind.DISCOVERY_REFUSED, redirect, "if you trust that address, configure it"))
    status, said = status_text(response.status), error_text(response.body)
    message = f"answers {status}: {said}" if said else f"answers {status}"
    wait_secs = retry_after_secs(response.headers)
    return NetError(ErrorEvent(ErrorKind.DISCOVERY_REFUSED, message, _refusal_remedy(response.status), wait_secs))


def _refusal_remedy(status: int) -> str:
    match status:
        case 401 | 403:
            return "the server wants credentials or does not let this host in: check the address and its user"
        case 404 | 410:
            return _WRONG_SERVER
        case _:
            return _ASKED_AGAIN
