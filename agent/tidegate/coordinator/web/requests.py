"""Parse and validate a client's request. Pure.

Strict about who asks, because two parsers of one request must not see two different hosts: one protocol header, JSON in
UTF-8 without a byte order mark, no duplicate key where it matters, nothing after the document. Lenient about everything
else, so that newer clients are understood: unknown keys are ignored, and an ``update_params`` that is malformed or too
large counts as absent: it is informative only, and a host must be able to release its slot.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import cast

from tidegate.coordinator.model import Call, DenialKind, Denied
from tidegate.fleetlock.protocol import (
    GROUP_PATTERN,
    HEADER_NAME,
    HEADER_VALUE,
    MAX_ID_CHARS,
    ClientParams,
    ReleaseTag,
    UpdateParams,
    Verb,
)
from tidegate.jsonread import DuplicateKeys, mark_duplicate_keys

MAX_BODY_BYTES = 64 * 1024
"""A request with every field is under 2 KiB; the rest is room for newer clients."""

MAX_UPDATE_PARAMS_BYTES = 16 * 1024
MAX_GROUP_CHARS = 256
MAX_TAG_CHARS = 256
"""For a version or a digest: "sha512:" with its digits has 135."""

MAX_AGENT_CHARS = 128
MAX_UPTIME_SECS = 100 * 366 * 24 * 3600

_BOOT_ID = re.compile(r"[0-9a-f]{32}")
_HEADER = HEADER_NAME.encode()
_OWS = b" \t"


class _Refused(Exception):
    """The request is invalid; the text says why."""


def read_call(verb: Verb, body: bytes, address: str) -> Call | Denied:
    """Parse a body into a call, or a denial that says what is wrong. ``address`` is that of the client."""
    try:
        document = _object(_parsed(body), "the body")
        client = _client(_object(document.get("client_params"), "`client_params`"))
    except _Refused as refused:
        return Denied(DenialKind.INVALID_REQUEST, str(refused))
    return Call(verb, client, address, _update(document.get("update_params"), len(body)))


def denied_headers(headers: Iterable[tuple[bytes, bytes]]) -> Denied | None:
    """The denial for a request without the protocol's header; None where it is there. The first of several counts.

    The header protects against requests forged across sites: browsers do not send it without a CORS preflight. Other
    servers take the first of several, too (airlock a3585ed, poseidon/fleetlock c42d494).
    """
    value = next((value.strip(_OWS) for name, value in headers if name == _HEADER), None)
    if value == HEADER_VALUE.encode():
        return None
    found = "is missing" if value is None else "has another value"
    return Denied(DenialKind.MISSING_HEADER, f"the header `{HEADER_NAME}: true` of FleetLock {found}")


def _parsed(body: bytes) -> object:
    if not body:
        raise _Refused("the body is empty; send a JSON object with `client_params`")
    try:
        return json.loads(body.decode(), object_pairs_hook=mark_duplicate_keys, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise _Refused(f"the body is not UTF-8 (byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise _Refused(f"the body is not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise _Refused("the body is nested too deeply") from None
    except ValueError:  # int() takes 4,300 digits at most (Python 3.11)
        raise _Refused("the body has a number with too many digits") from None


def _no_constant(name: str) -> object:
    raise _Refused(f"the body is not JSON: {name} is not a number")


def _object(value: object, name: str) -> Mapping[str, object]:
    if isinstance(value, DuplicateKeys):
        raise _Refused(f"{name} has a duplicate key, so that its meaning is ambiguous")
    if not isinstance(value, dict):
        raise _Refused(f"{name} is missing or not an object")
    return cast(dict[str, object], value)


def _client(params: Mapping[str, object]) -> ClientParams:
    client_id, group = params.get("id"), params.get("group")
    if not isinstance(client_id, str) or not client_id:
        raise _Refused("`client_params.id` is missing, empty or not a string")
    if len(client_id) > MAX_ID_CHARS:
        raise _Refused(f"`client_params.id` has more than {MAX_ID_CHARS} characters")
    if not client_id.isprintable():  # it goes to logs and terminals
        raise _Refused("`client_params.id` has characters that cannot be printed")
    if not isinstance(group, str) or not group:
        raise _Refused("`client_params.group` is missing, empty or not a string")
    if len(group) > MAX_GROUP_CHARS or not GROUP_PATTERN.fullmatch(group):
        raise _Refused(f"`client_params.group` takes letters, digits, dots and dashes, {MAX_GROUP_CHARS} at most")
    return ClientParams(client_id, group)


def _update(value: object, body_bytes: int) -> UpdateParams | None:
    """Parse ``update_params`` field by field; a malformed field is left out. None without a usable field."""
    if not isinstance(value, dict) or isinstance(value, DuplicateKeys):
        return None
    fields = cast(dict[str, object], value)
    if body_bytes > MAX_UPDATE_PARAMS_BYTES and _is_large(fields):
        return None
    update = UpdateParams(
        agent=_text(fields.get("agent"), MAX_AGENT_CHARS),
        boot_id=_boot_id(fields.get("boot_id")),
        current=_tag(fields.get("current")),
        target=_tag(fields.get("target")),
        uptime_secs=_count(fields.get("uptime_secs")),
    )
    return None if update == UpdateParams() else update


def _is_large(fields: Mapping[str, object]) -> bool:
    try:
        return len(json.dumps(fields)) > MAX_UPDATE_PARAMS_BYTES
    except RecursionError:
        return True


def _tag(value: object) -> ReleaseTag | None:
    if not isinstance(value, dict) or isinstance(value, DuplicateKeys):
        return None
    fields = cast(dict[str, object], value)
    version, digest = _text(fields.get("version"), MAX_TAG_CHARS), _text(fields.get("digest"), MAX_TAG_CHARS)
    return None if version is None or digest is None else ReleaseTag(version, digest)


def _boot_id(value: object) -> str | None:
    """A boot id, which may be written as the kernel does or without dashes; None where it is malformed."""
    text = value.replace("-", "").lower() if isinstance(value, str) else ""
    return text if _BOOT_ID.fullmatch(text) else None


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= MAX_UPTIME_SECS else None


def _text(value: object, max_chars: int) -> str | None:
    usable = isinstance(value, str) and 0 < len(value) <= max_chars and value.isprintable()
    return cast(str, value) if usable else None
