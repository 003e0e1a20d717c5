"""Interpret the answers of FleetLock servers, and of anything else that answers at their address. Pure.

The protocol leaves much open. Servers, by their sources, answer like this:

- airlock 0.x: success is an empty body; no slot is 500 ``failed_lock`` with a text of its own, and so is a conflict in
  its store. Errors are JSON or plain text, both with the type text/plain.
- poseidon/fleetlock 0.4: success is plain text; no slot is 423 ``lock_held``, which is also its answer to the
  steady-state of a host that holds no slot.
- heathcliff26/fleetlock 1.x: success is an object with the kind ``success``; no slot is 423 ``all_slots_full``.
- SUNET/knubbis-fleetlock: no slot is 500 ``failed_lock`` "Internal Server Error", the same as an internal error, and
  treated as one; 429 without ``Retry-After``.
- Tidegate's coordinator: no slot is 423 with ``Retry-After``; 503 while its store does not answer.
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

_MAX_SENTENCE_BYTES = 1024
"""A success in plain text is short. A longer text that is not JSON is not an answer of a lock server."""

_SUCCESS_KIND = "success"  # heathcliff26/fleetlock 1.x
_BUSY_KINDS = frozenset({"lock_held", "all_slots_full", "failed_lock_semaphore_full"})
_BUSY_WORDS = re.compile(rb"all \d+ semaphore slots currently locked|conflict on semaphore detected")  # airlock 0.x
_PAGES = ("text/html", "application/xhtml+xml")

_GATEWAY_TIMEOUTS = frozenset({408, 499})
"""4xx that gateways send when they time out, possibly after they have forwarded the request."""

WRONG_SERVER = "check that updates.fleet_lock.base_url is the lock server itself, not a login or error page"
RETRIED = "the agent retries; if it persists, check the lock server and its log"


class _Slot(Enum):
    """The meaning of an answer that is valid."""

    DONE = auto()
    BUSY = auto()


_Meaning: TypeAlias = _Slot | ErrorKind


def granted_or_busy(response: HttpResponse) -> LockGranted | LockBusy:
    """Interpret the answer to a pre-reboot request.

    Raises:
        TidegateError: ``lock.refused``, ``lock.nonsense`` and ``lock.uncertain``. The last also for a server error: it
            may have occurred after the slot was taken.
    """
    match _meaning(response):
        case _Slot.DONE:
            return LockGranted()
        case _Slot.BUSY:
            return LockBusy(_text(response), retry_after_secs(response.headers))
        case kind:
            raise _failure(kind, response)


def released(response: HttpResponse) -> LockReleased:
    """Interpret the answer to a steady-state request.

    423 means that another host holds the only slot, so that this one holds none.

    Raises:
        TidegateError: as of :func:`granted_or_busy`; other answers that mean "busy" are ``lock.refused``.
    """
    if response.status == HTTPStatus.LOCKED:
        return LockReleased(_text(response))
    match _meaning(response):
        case _Slot.DONE:
            return LockReleased()
        case _Slot.BUSY:
            raise _failure(ErrorKind.LOCK_REFUSED, response)
        case kind:
            raise _failure(kind, response)


def _meaning(response: HttpResponse) -> _Meaning:
    match response.status:
        case status if 200 <= status < 300:
            return _meaning_of_success(response)
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


def _meaning_of_success(response: HttpResponse) -> _Meaning:
    body = response.body.strip()
    if is_markup(body) or (body and _media_type(response) in _PAGES):
        return ErrorKind.LOCK_NONSENSE
    if len(response.body) > MAX_ANSWER_BYTES:
        return ErrorKind.LOCK_UNCERTAIN
    if not body:
        return _Slot.DONE
    try:
        return _meaning_of_json(json.loads(body))
    except (ValueError, RecursionError):
        return _Slot.DONE if _is_sentence(body) else ErrorKind.LOCK_NONSENSE


def _meaning_of_json(parsed: object) -> _Meaning:
    """The meaning of a 2xx with JSON. With an error object in it, a gateway replaced the answer: uncertain."""
    match parsed:
        case {"kind": str(kind)} if kind in _BUSY_KINDS:
            return _Slot.BUSY
        case {"kind": str(kind)} if kind == _SUCCESS_KIND:
            return _Slot.DONE
        case {"kind": object()} | {"error": object()} | {"errors": object()}:
            return ErrorKind.LOCK_UNCERTAIN
        case _:
            return _Slot.DONE


def _says_busy(body: bytes) -> bool:
    if _BUSY_WORDS.search(body):
        return True
    try:
        parsed: object = json.loads(body)
    except (ValueError, RecursionError):
        return False
    match parsed:
        case {"kind": str(kind)}:
            return kind in _BUSY_KINDS
        case _:
            return False


def _is_sentence(body: bytes) -> bool:
    try:
        words = body.decode().split()
    except UnicodeDecodeError:
        return False
    return len(body) <= _MAX_SENTENCE_BYTES and "".join(words).isprintable()


def _media_type(response: HttpResponse) -> str:
    return response.headers.get("content-type", "").partition(";")[0].strip().lower()


def _failure(kind: ErrorKind, response: HttpResponse) -> NetError:
    remedy, wait_secs = _remedy(kind, response.status), retry_after_secs(response.headers)
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
