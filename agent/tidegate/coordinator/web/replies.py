"""Replies to clients: JSON, and one error object for every refusal."""

from __future__ import annotations

import json
from collections.abc import Mapping

from starlette.responses import Response

from tidegate.coordinator.model import Answer, DenialKind, Denied, Granted, Released
from tidegate.errors import ErrorKind, TidegateError

STATUS: Mapping[DenialKind, int] = {
    DenialKind.SEMAPHORE_FULL: 423,
    DenialKind.SLOT_COOLING: 423,
    DenialKind.ID_CONFLICT: 423,
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
"""The HTTP status of each kind. Clients only tell 2xx from the rest; the number is for people, proxies, dashboards."""

REQUEST_TIMEOUT = 408
"""Replaces the status of ``invalid_request`` where the rest of a request does not arrive."""

BUSY_RETRY_AFTER_SECS = 60
"""For a full group without a better estimate: a reboot takes minutes."""

AWAY_RETRY_AFTER_SECS = 5
"""etcd elects a new leader within seconds."""

_RETRY_AFTER_SECS: Mapping[DenialKind, int] = {
    DenialKind.SEMAPHORE_FULL: BUSY_RETRY_AFTER_SECS,
    DenialKind.SLOT_COOLING: BUSY_RETRY_AFTER_SECS,
    DenialKind.ID_CONFLICT: BUSY_RETRY_AFTER_SECS,
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
    """A reply with ``document`` as its body."""
    text = json.dumps(document, separators=(",", ":"))
    return Response(text, status, dict(headers or {}), "application/json")


def refusal(denied: Denied, headers: Mapping[str, str] | None = None, status: int | None = None) -> Response:
    """The error object, with ``Retry-After`` where a retry makes sense. ``status`` replaces that of the kind."""
    fields = dict(headers or {})
    wait_secs = denied.retry_after_secs or _RETRY_AFTER_SECS.get(denied.kind)
    if wait_secs is not None:
        fields["retry-after"] = str(wait_secs)
    return as_json({"kind": denied.kind.value, "value": denied.value}, status or STATUS[denied.kind], fields)


def answered(answer: Answer) -> Response:
    """The reply for an answer of the lock service. Only clients of the extension read the body of a success."""
    match answer:
        case Granted(revision=revision):
            return as_json({"grant": f"g1-{revision}"})
        case Released():
            return as_json({"state": "idle"})
        case Denied():
            return refusal(answer)


def denial_of(error: TidegateError) -> Denied:
    """The denial for an error of the lock service. Details of the store and of defects go to the log only."""
    kind = _KINDS.get(error.kind, DenialKind.INTERNAL)
    match kind:
        case DenialKind.BACKEND_UNAVAILABLE:
            return Denied(kind, "the store of the lock server does not answer; nothing is known to have changed")
        case DenialKind.INTERNAL:
            return Denied(kind, "the lock server has a defect; see its log")
        case _:
            return Denied(kind, error.message)
