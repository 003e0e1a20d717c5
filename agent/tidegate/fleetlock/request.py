"""The net-worker's lock job: send one request to a FleetLock server, and report its answer.

Errors distinguish whether a slot may have been taken. Until the request has left this host, none was; afterwards, only
the server's answer can rule it out.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import assert_never

from tidegate.errors import ErrorKind, TidegateError
from tidegate.fleetlock.account import LockAccount, LockBusy, LockReleased
from tidegate.fleetlock.answers import MAX_ANSWER_BYTES, RETRIED, WRONG_SERVER, granted_or_busy, released
from tidegate.fleetlock.protocol import (
    GROUP_PATTERN,
    HEADER_NAME,
    HEADER_VALUE,
    MAX_ID_CHARS,
    ReleaseTag,
    UpdateParams,
    Verb,
)
from tidegate.fleetlock.wire import LockEvent, LockRequest, UnlockEvent
from tidegate.net import http
from tidegate.net.answers import Fault, HttpError, HttpResponse, excerpt
from tidegate.net.tls import TlsFiles
from tidegate.net.urls import below, checked_base, masked
from tidegate.net.wire import ErrorEvent, Event, Json, Work, error_event
from tidegate.system import regular_file

MAX_TOKEN_BYTES = 8 * 1024
MAX_TOKEN_FILE_BYTES = 64 * 1024
"""Web servers accept header lines of 8 KiB, including the header's name (nginx 1.x, Apache 2.4)."""

_HIDDEN = "***"
_NO_ADDRESS = "write http:// or https:// and the lock server's whole address into updates.fleet_lock.base_url"
_UNTRUSTED = "check this host's clock and the server's certificate; name your own certificate authorities in ca_file"
_CLIENT_CERT_REJECTED = "check client_cert_file and client_key_file, and that the lock server trusts their authority"
_FILES = "put a file in PEM form there, readable by the user tidegate"


def work(fields: Json, departed: threading.Event) -> Work:
    """The job's entry point: see :mod:`tidegate.net.wire`.

    Raises:
        WireError: the fields are not those of a lock request.
    """
    request = LockRequest.read(fields)
    return Work(request.timeout_secs, partial(answer, request, departed), partial(out_of_time, request, departed))


def answer(request: LockRequest, departed: threading.Event) -> Event:
    """Send the request once; the server's answer or an error. ``departed`` is set when the request leaves this host."""
    try:
        _check(request.account)
        token = _token(request.account)
    except TidegateError as error:
        return error_event(error, _where(request))
    event = _exchange(request, token, departed)
    return event if token is None else _without(token, event)


def out_of_time(request: LockRequest, departed: threading.Event) -> ErrorEvent:
    """The answer at the deadline: uncertain once the request has left this host."""
    kind = ErrorKind.LOCK_UNCERTAIN if departed.is_set() else ErrorKind.LOCK_UNREACHABLE
    why = f"no whole answer within {request.timeout_secs:g} s"
    return ErrorEvent(kind, f"{_where(request)}: {why}", RETRIED)


def body_of(account: LockAccount, update: UpdateParams | None) -> bytes:
    """The request's body: ``client_params``, and ``update_params`` beside it where there is an ``update``."""
    body: dict[str, object] = {"client_params": {"id": account.id, "group": account.group}}
    if update is not None:
        body["update_params"] = _present(
            agent=update.agent,
            boot_id=update.boot_id,
            current=_tag(update.current),
            target=_tag(update.target),
            uptime_secs=update.uptime_secs,
        )
    return json.dumps(body).encode()


def _exchange(request: LockRequest, token: str | None, departed: threading.Event) -> Event:
    try:
        response = _ask(request, token, departed)
        match request.verb:
            case Verb.PRE_REBOOT:
                return LockEvent(granted_or_busy(response))
            case Verb.STEADY_STATE:
                return UnlockEvent(released(response))
        assert_never(request.verb)
    except TidegateError as error:
        return error_event(error, _where(request))


def _ask(request: LockRequest, token: str | None, departed: threading.Event) -> HttpResponse:
    account = request.account
    body, headers = body_of(account, request.update), _headers(token)
    message = http.Post(address_of(account, request.verb), body, headers, tls_files(account))
    try:
        return http.post(message, MAX_ANSWER_BYTES, account.timeout_secs, departed)
    except HttpError as error:
        raise _no_answer(error, departed=departed.is_set()) from error


def _check(account: LockAccount) -> None:
    """Validate the account before anything is sent: servers differ in how they treat an invalid group or id."""
    try:
        checked_base(account.base_url)
    except TidegateError as error:
        raise _not_sent(error.message, _NO_ADDRESS) from error
    if not GROUP_PATTERN.fullmatch(account.group):
        raise _not_sent("a group's name has letters, digits, dots and dashes only", "correct identity.group")
    if not 0 < len(account.id) <= MAX_ID_CHARS:
        why = f"an id has 1 to {MAX_ID_CHARS} characters, this one has {len(account.id)}"
        raise _not_sent(why, "correct identity.node_uuid")


def credentials(account: LockAccount) -> Mapping[str, str]:
    """The headers that authenticate the host, besides a user in the address.

    Raises:
        TidegateError: ``lock.unreachable``: the token cannot be read.
    """
    return _authorization(_token(account))


def address_of(account: LockAccount, verb: Verb) -> str:
    """The address of a request."""
    return below(account.base_url, f"v1/{verb}")


def tls_files(account: LockAccount) -> TlsFiles:
    """The files for TLS."""
    return TlsFiles(account.ca_file, account.client_cert_file, account.client_key_file)


def where(account: LockAccount, verb: Verb) -> str:
    """The address and the group for messages, without a password and without control characters."""
    address = excerpt(masked(address_of(account, verb)).encode(errors="replace"))
    return f"{address} (group {excerpt(account.group.encode(errors='replace'))})"


def _headers(token: str | None) -> Mapping[str, str]:
    return {HEADER_NAME: HEADER_VALUE, "Content-Type": "application/json", **_authorization(token)}


def _authorization(token: str | None) -> Mapping[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def _token(account: LockAccount) -> str | None:
    return None if account.token_file is None else _token_in(account.token_file)


def _token_in(file: str) -> str:
    """The token in ``file``. Messages never quote it."""
    remedy = f"put the token alone, on one line, into {file}, readable by the user tidegate"
    try:
        token = regular_file.read_secret(file, MAX_TOKEN_FILE_BYTES).strip()
    except OSError as error:
        raise _not_sent(f"the token in {file} cannot be read: {error.strerror}", remedy) from error
    if why := _token_fault(token):
        raise _not_sent(f"the token in {file} {why}", remedy)
    return token.decode("ascii")


def _token_fault(token: bytes) -> str | None:
    if not token:
        return "is empty"
    if len(token) > MAX_TOKEN_BYTES:
        return f"is longer than {MAX_TOKEN_BYTES} bytes"
    if len(token.splitlines()) > 1:
        return "has more than one line"
    if any(not 0x21 <= byte <= 0x7E for byte in token):
        return "has characters that a token cannot have: a blank, a control character or one beyond ASCII"
    return None


def _without(token: str, event: Event) -> Event:
    """``event`` with the token masked, in case the server quoted it."""
    match event:
        case ErrorEvent(message=text):
            return replace(event, message=text.replace(token, _HIDDEN))
        case LockEvent(LockBusy(reason=text) as busy):
            return LockEvent(replace(busy, reason=text.replace(token, _HIDDEN)))
        case UnlockEvent(LockReleased(detail=text)):
            return UnlockEvent(LockReleased(text.replace(token, _HIDDEN)))
        case _:
            return event


def _no_answer(error: HttpError, *, departed: bool) -> TidegateError:
    if error.fault is Fault.CLIENT_CERT_REJECTED:  # in TLS 1.3 after the request was sent; the server did not read it
        return TidegateError(ErrorKind.LOCK_REFUSED, str(error), _CLIENT_CERT_REJECTED)
    if departed:
        return TidegateError(ErrorKind.LOCK_UNCERTAIN, str(error), RETRIED)
    return _not_sent(str(error), _remedy(error.fault))


def _remedy(fault: Fault) -> str:
    match fault:
        case Fault.UNREACHABLE:
            return RETRIED
        case Fault.UNTRUSTED:
            return _UNTRUSTED
        case Fault.CLIENT_CERT_REJECTED:
            return _CLIENT_CERT_REJECTED
        case Fault.NO_HTTP:
            return WRONG_SERVER
        case Fault.BAD_ADDRESS:
            return _NO_ADDRESS
        case Fault.BAD_CA_FILE | Fault.BAD_CLIENT_CERT:
            return _FILES
    assert_never(fault)


def _not_sent(why: str, remedy: str) -> TidegateError:
    return TidegateError(ErrorKind.LOCK_UNREACHABLE, why, remedy)


def _where(request: LockRequest) -> str:
    return where(request.account, request.verb)


def _tag(release: ReleaseTag | None) -> dict[str, object] | None:
    return None if release is None else {"version": release.version, "digest": release.digest}


def _present(**fields: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}
