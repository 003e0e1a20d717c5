"""What goes back to clients: JSON, with one error object for everything that is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping

from starlette.responses import Response

from tidegate.coordinator.model import Answer, DenialKind, Denied, Granted, Released
from tidegate.errors import ErrorKind, TidegateError

STATUS: Mapping[DenialKind, int] = {
    DenialKind.SEMAPHORE_FULL: 423,
    DenialKind.SLOT_COOLING: 423,
    DenialKind.MISSING_HEADER: 400,
    DenialKind.INVALID_REQUEST: 400,
    DenialKind.UNKNOWN_GROUP: 400,
    DenialKind.METHOD_NOT_ALLOWED: 405,
    DenialKind.NOT_FOUND: 404,
    DenialKind.REQUEST_TOO_LARGE: 413,
    DenialKind.UNAUTHORIZED: 401,
    DenialKind.RATE_LIMITED: 429,
    DenialKind.BACKEND_UNAVAILABLE: 503,
    DenialKind.INTERNAL: 500,
}
"""Clients take every 2xx for yes and everything else for no; the number is for people, proxies and dashboards."""

REQUEST_TIMEOUT = 408
"""In place of the status of ``invalid_request`` where the rest of a request does not come."""

BUSY_RETRY_AFTER_SECS = 60
"""For a full group without a better guess: a reboot takes minutes."""

AWAY_RETRY_AFTER_SECS = 5
"""A store elects a new leader within seconds."""

_RETRY_AFTER_SECS: Mapping[DenialKind, int] = {
    DenialKind.SEMAPHORE_FULL: BUSY_RETRY_AFTER_SECS,
    DenialKind.SLOT_COOLING: BUSY_RETRY_AFTER_SECS,
    DenialKind.RATE_LIMITED: AWAY_RETRY_AFTER_SECS,
    DenialKind.BACKEND_UNAVAILABLE: AWAY_RETRY_AFTER_SECS,
}

_KINDS: Mapping[ErrorKind, DenialKind] = {
    ErrorKind.COORDINATOR_STORE_UNAVAILABLE: DenialKind.BACKEND_UNAVAILABLE,
    ErrorKind.COORDINATOR_STORE_NONSENSE: DenialKind.BACKEND_UNAVAILABLE,
    ErrorKind.COORDINATOR_UNKNOWN_GROUP: DenialKind.UNKNOWN_GROUP,
    ErrorKind.COORDINATOR_NO_HOLDER: DenialKind.NOT_FOUND,
}


def as_json(document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A reply that is this document."""
    text = json.dumps(document, separators=(",", ":"))
    return Response(text, status, dict(headers or {}), "application/json")


def refusal(denied: Denied, headers: Mapping[str, str] | None = None, status: int | None = None) -> Response:
    """The error object, with ``Retry-After`` where asking again makes sense."""
    told = dict(headers or {})
    wait_secs = denied.retry_after_secs or _RETRY_AFTER_SECS.get(denied.kind)
    if wait_secs is not None:
        told["retry-after"] = str(wait_secs)
    return as_json({"kind": denied.kind.value, "value": denied.value}, status or STATUS[denied.kind], told)


def answered(answer: Answer) -> Response:
    """An answer of the locks. The bodies of a yes are for clients of the extension; others pass over them."""
    match answer:
        case Granted(revision=revision):
            return as_json({"grant": f"g1-{revision}"})
        case Released():
            return as_json({"state": "idle"})
        case Denied():
            return refusal(answer)


def denial_of(error: TidegateError) -> Denied:
    """What a client is told of an error here; the facts are for the log."""
    kind = _KINDS.get(error.kind, DenialKind.INTERNAL)
    match kind:
        case DenialKind.BACKEND_UNAVAILABLE:
            return Denied(kind, "the store of the lock server does not answer; nothing is known to have changed")
        case DenialKind.INTERNAL:
            return Denied(kind, "the lock server has a defect; its log says more")
        case _:
            return Denied(kind, error.message)
