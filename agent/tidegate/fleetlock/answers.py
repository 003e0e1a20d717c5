"""What the answers of real FleetLock servers mean, and those of whatever else answers at their address. Pure.

The protocol leaves much open. What servers make of it, as far as their sources tell:

- airlock 0.x: a yes is empty; no slot is 500 ``failed_lock`` with a sentence of its own, and so is a conflict in its
  store. Errors are JSON or bare sentences, both called text/plain.
- poseidon/fleetlock 0.4: a yes is a sentence; no slot is 423 ``lock_held``, which it also answers to the steady-state
  of a host that holds nothing.
- heathcliff26/fleetlock 1.x: a yes is an object with the kind ``success``; no slot is 423 ``all_slots_full``.
- SUNET/knubbis-fleetlock: no slot is 500 ``failed_lock`` "Internal Server Error", as a fault of its own is, and taken
  for one; 429 without ``Retry-After``.
- Tidegate's coordinator: no slot is 423 with ``Retry-After``; 503 while its store is away.
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
"""Servers answer with a sentence; the rest is room for what extensions may bring."""

_MAX_SENTENCE_BYTES = 1024
"""A yes in words is short. What is longer and no JSON was meant for somebody else."""

_SUCCESS_KIND = "success"  # heathcliff26/fleetlock 1.x
_BUSY_KINDS = frozenset({"lock_held", "all_slots_full", "failed_lock_semaphore_full"})
_BUSY_WORDS = re.compile(rb"all \d+ semaphore slots currently locked|conflict on semaphore detected")  # airlock 0.x
_PAGES = ("text/html", "application/xhtml+xml")

_GATEWAY_GAVE_UP = frozenset({408, 499})
"""4xx which gateways send where they ran out of patience, be it after they had passed the request on."""

WRONG_SERVER = "check updates.fleet_lock.base_url: is it the lock server itself, and no login or error page?"
ASKED_AGAIN = "it is asked again by itself; if this stays, look at the lock server and its log"


class _Slot(Enum):
    """What an answer to the question may say."""

    YES = auto()
    BUSY = auto()


_Meaning: TypeAlias = _Slot | ErrorKind


def granted_or_busy(response: HttpResponse) -> LockGranted | LockBusy:
    """What the answer to a pre-reboot means.

    Raises:
        TidegateError: ``lock.refused``, ``lock.nonsense`` and ``lock.uncertain``. The last also for each fault of the
            server's own: it may have come after the slot was written down.
    """
    match _meaning(response):
        case _Slot.YES:
            return LockGranted()
        case _Slot.BUSY:
            return LockBusy(_told(response), retry_after_secs(response.headers))
        case kind:
            raise _failure(kind, response)


def released(response: HttpResponse) -> LockReleased:
    """What the answer to a steady-state means.

    423 says that another host has the only slot, and so that this one has none.

    Raises:
        TidegateError: as of :func:`granted_or_busy`; a server too busy to take a slot back has refused to.
    """
    if response.status == HTTPStatus.LOCKED:
        return LockReleased(_told(response))
    match _meaning(response):
        case _Slot.YES:
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
        case status if status >= 500 or status in _GATEWAY_GAVE_UP:
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
        return _Slot.YES
    try:
        return _meaning_of_json(json.loads(body))
    except (ValueError, RecursionError):
        return _Slot.YES if _is_sentence(body) else ErrorKind.LOCK_NONSENSE


def _meaning_of_json(parsed: object) -> _Meaning:
    """A success that carries an error is some gateway's work; what became of the request, nobody knows."""
    match parsed:
        case {"kind": str(kind)} if kind in _BUSY_KINDS:
            return _Slot.BUSY
        case {"kind": str(kind)} if kind == _SUCCESS_KIND:
            return _Slot.YES
        case {"kind": object()} | {"error": object()} | {"errors": object()}:
            return ErrorKind.LOCK_UNCERTAIN
        case _:
            return _Slot.YES


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
    return NetError(ErrorEvent(kind, redirect_text(response) or _told(response), remedy, wait_secs))


def _told(response: HttpResponse) -> str:
    """The status, and what there is to read in the answer."""
    status = f"answers {status_text(response.status)}"
    if is_markup(response.body):
        return f"{status} with a page in HTML or XML: {excerpt(response.body)}"
    if len(response.body) > MAX_ANSWER_BYTES:
        return f"{status} with more than {MAX_ANSWER_BYTES} bytes: {excerpt(response.body)}"
    said = error_text(response.body)
    return f"{status}: {said}" if said else status


def _remedy(kind: ErrorKind, status: int) -> str:
    match kind, status:
        case (ErrorKind.LOCK_NONSENSE, _) | (ErrorKind.LOCK_REFUSED, 404 | 405 | 410):
            return WRONG_SERVER
        case ErrorKind.LOCK_REFUSED, 401 | 403:
            return "check the token, the client certificate or the user in base_url, and whether the server knows them"
        case ErrorKind.LOCK_REFUSED, 400 | 422:
            return "check identity.group and which groups the lock server knows; its log may say more"
        case _:
            return ASKED_AGAIN
