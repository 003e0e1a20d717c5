"""Interpret the answers of FleetLock servers, and of anything else that answers at their address. Pure.

The protocol leaves much open. Servers, by their sources, answer like this:

- airlock 0.x: success is an empty body; no slot is 500 ``failed_lock`` with a text of its own, and so is a conflict in
  its store, which it does not retry. Errors are JSON or plain text, both with the type text/plain.
- poseidon/fleetlock 0.4: success is one of three sentences; no slot is 423 ``lock_held``, which is also its answer to
  the steady-state of a host that holds no slot, and without a holder's name to a conflict in its store. A steady-state
  of an id that it finds no Kubernetes node for is 500 "error uncordoning node".
- heathcliff26/fleetlock 1.x: success is an object with the kind ``success``; no slot is 423 ``all_slots_full``.
- SUNET/knubbis-fleetlock: success is an empty body; no slot is 409 ``failed_lock``, or in earlier versions the same 500
  as an internal error, and treated as one; 429 without ``Retry-After``.
- Tidegate's coordinator: success is an object with ``grant`` or ``state``; no slot is 423 with ``Retry-After``; 503
  while its store does not answer.

Only these are a success, and only with the status 200: a captive portal, a proxy or any other server may answer
everything with a 2xx.
"""

from __future__ import annotations

import json
import re
from enum import Enum, auto
from http import HTTPStatus
from typing import TypeAlias

from tidegate.errors import ErrorKind
from tidegate.fleetlock.account import LockBusy, LockGranted, LockReleased
from tidegate.net.answers import (
    HttpResponse,
    error_text,
    excerpt,
    is_markup,
    redirect_text,
    retry_after_secs,
    status_text,
)
from tidegate.net.wire import ErrorEvent, NetError

MAX_ANSWER_BYTES = 64 * 1024
"""Servers answer with a sentence; the rest is room for extensions."""

AT_ONCE_SECS = 0.0
"""When to retry after a conflict in the server's store: nothing has changed, and there may be free slots."""

_GRANTED = frozenset({b"", b"obtained reboot lease", b"retained reboot lease"})
_RELEASED = _GRANTED | {b"steady-state confirmed"}
_OWN_GRANT = re.compile(r"g\d+-\S+")
_OWN_STATES = frozenset({"idle", "monitoring", "succeeded"})
_SUCCESS_KIND = "success"  # heathcliff26/fleetlock 1.x
_BUSY_KINDS = frozenset({"lock_held", "all_slots_full", "failed_lock_semaphore_full"})
_FULL = re.compile(rb"all \d+ semaphore slots currently locked")  # airlock 0.x
_CONFLICT = re.compile(
    rb"conflict on semaphore detected"  # airlock 0.x
    rb"|reboot lease unavailable, held by *[\"\n]"  # poseidon/fleetlock 0.4
)
_NO_NODE = b"error uncordoning node"  # poseidon/fleetlock 0.4

_GATEWAY_TIMEOUTS = frozenset({408, 499})
"""4xx that gateways send when they time out, possibly after they have forwarded the request."""

_FIND_NODE = (
    "unset identity.node_uuid, so that the id is that of the Kubernetes node; and free the slot: "
    "kubectl delete lease fleetlock-GROUP, then tidegate lock forget --reason TEXT"
)
WRONG_SERVER = "check that updates.fleet_lock.base_url is the lock server itself, not a login or error page"
RETRIED = "the agent retries; if it persists, check the lock server and its log"


class _Slot(Enum):
    """The meaning of an answer that is valid."""

    DONE = auto()
    BUSY = auto()
    CONFLICT = auto()


_Meaning: TypeAlias = _Slot | ErrorKind


def granted_or_busy(response: HttpResponse) -> LockGranted | LockBusy:
    """Interpret the answer to a pre-reboot request.

    Raises:
        TidegateError: ``lock.refused``, ``lock.nonsense`` and ``lock.uncertain``. The last also for a server error: it
            may have occurred after the slot was taken.
    """
    match _meaning(response, of_unlock=False):
        case _Slot.DONE:
            return LockGranted()
        case _Slot.BUSY:
            return LockBusy(_text(response), _wait_secs(response))
        case _Slot.CONFLICT:
            return LockBusy(_text(response), AT_ONCE_SECS)
        case kind:
            raise _failure(kind, response, _wait_secs(response))


def released(response: HttpResponse) -> LockReleased:
    """Interpret the answer to a steady-state request.

    423 means that another host holds the only slot, so that this one holds none.

    Raises:
        TidegateError: as of :func:`granted_or_busy`; ``lock.uncertain`` also where the server was too busy to release
            the slot.
    """
    meaning = _meaning(response, of_unlock=True)
    if response.status == HTTPStatus.LOCKED and meaning is _Slot.BUSY:
        return LockReleased(_text(response))
    match meaning:
        case _Slot.DONE:
            return LockReleased()
        case _Slot.BUSY:
            raise _failure(ErrorKind.LOCK_UNCERTAIN, response, _wait_secs(response))
        case _Slot.CONFLICT:
            raise _failure(ErrorKind.LOCK_UNCERTAIN, response, AT_ONCE_SECS)
        case kind:
            raise _failure(kind, response, _wait_secs(response))


def _meaning(response: HttpResponse, *, of_unlock: bool) -> _Meaning:
    match response.status:
        case HTTPStatus.OK:
            body = response.body.rstrip(b"\r\n") if len(response.body) <= MAX_ANSWER_BYTES else response.body
            done = body in (_RELEASED if of_unlock else _GRANTED) or _is_success(body, of_unlock=of_unlock)
            return _Slot.DONE if done else ErrorKind.LOCK_NONSENSE
        case status if status >= 400 and _CONFLICT.search(response.body):
            return _Slot.CONFLICT
        case HTTPStatus.CONFLICT if _kind(response.body) == "failed_lock":
            return _Slot.BUSY
        case HTTPStatus.LOCKED | HTTPStatus.TOO_MANY_REQUESTS:
            return _Slot.BUSY
        case status if status >= 400 and _says_busy(response.body):
            return _Slot.BUSY
        case status if status < 400 or status == HTTPStatus.NETWORK_AUTHENTICATION_REQUIRED:
            return ErrorKind.LOCK_NONSENSE
        case status if status >= 500 or status in _GATEWAY_TIMEOUTS:
            return ErrorKind.LOCK_UNCERTAIN
        case _:
            return ErrorKind.LOCK_REFUSED


def _is_success(body: bytes, *, of_unlock: bool) -> bool:
    """Whether the body of a 200 is an object that says success, or one of this project's own."""
    match _parsed(body) if len(body) <= MAX_ANSWER_BYTES else None:
        case {"kind": str(kind)}:
            return kind == _SUCCESS_KIND
        case {"grant": str(grant)}:
            return bool(_OWN_GRANT.fullmatch(grant))
        case {"state": str(state)}:
            return of_unlock and state in _OWN_STATES
        case _:
            return False


def _says_busy(body: bytes) -> bool:
    return bool(_FULL.search(body)) or _kind(body) in _BUSY_KINDS


def _kind(body: bytes) -> str | None:
    """The ``kind`` of an error object."""
    match _parsed(body):
        case {"kind": str(kind)}:
            return kind
        case _:
            return None


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _wait_secs(response: HttpResponse) -> float | None:
    """How long the server wants to be left alone; None if it names no time, or none at all."""
    return retry_after_secs(response.headers) or None


def _failure(kind: ErrorKind, response: HttpResponse, wait_secs: float | None) -> NetError:
    if response.status == HTTPStatus.INTERNAL_SERVER_ERROR and _NO_NODE in response.body:
        why = "the server frees no slot of an id for which it finds no Kubernetes node"
        return NetError(ErrorEvent(kind, f"{_text(response)}; {why}: {_FIND_NODE}", _FIND_NODE, wait_secs))
    remedy = _remedy(kind, response.status)
    return NetError(ErrorEvent(kind, redirect_text(response) or _text(response), remedy, wait_secs))


def _text(response: HttpResponse) -> str:
    """The status, and the text of the body."""
    status = f"answers {status_text(response.status)}"
    if is_markup(response.body):
        return f"{status} with a page in HTML or XML: {excerpt(response.body)}"
    if len(response.body) > MAX_ANSWER_BYTES:
        return f"{status} with more than {MAX_ANSWER_BYTES} bytes: {excerpt(response.body)}"
    text = error_text(response.body)
    return f"{status}: {text}" if text else status


def _remedy(kind: ErrorKind, status: int) -> str:
    match kind, status:
        case (ErrorKind.LOCK_NONSENSE, _) | (ErrorKind.LOCK_REFUSED, 404 | 405 | 410):
            return WRONG_SERVER
        case ErrorKind.LOCK_REFUSED, 401 | 403:
            return "check the token, the client certificate or the user in base_url, and whether the server knows them"
        case ErrorKind.LOCK_REFUSED, 400 | 422:
            return "check identity.group, and which groups are configured at the lock server"
        case _:
            return RETRIED
