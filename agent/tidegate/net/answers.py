"""Results of an HTTP request: responses, faults, and texts for messages about unexpected responses. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from http import HTTPStatus

from tidegate.net.urls import masked

EXCERPT_CHARS = 200
MAX_RETRY_AFTER_SECS = 24 * 60 * 60.0
"""A day: no server, and nobody who impersonates one, can silence a host for longer."""


class Fault(Enum):
    """Why there is no answer, as far as the remedies differ."""

    UNREACHABLE = auto()
    UNTRUSTED = auto()
    """The server's certificate was not accepted."""
    CLIENT_CERT_REJECTED = auto()
    """The server rejected this host's certificate, or requires one."""
    NO_HTTP = auto()
    """The answer is not HTTP."""
    BAD_ADDRESS = auto()
    BAD_CA_FILE = auto()
    BAD_CLIENT_CERT = auto()


class HttpError(Exception):
    """There is no answer. The text says why; it is meant to follow the address and a colon."""

    def __init__(self, fault: Fault, why: str) -> None:
        super().__init__(why)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An answer, whatever its status. Header names are in lower case.

    ``body`` is decompressed; where there was more of it than allowed, it is cut one byte after the limit.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


def status_text(code: int) -> str:
    """A status code with its phrase: ``404 Not Found``."""
    try:
        return f"{code} {HTTPStatus(code).phrase}"
    except ValueError:
        return str(code)


def redirect_text(response: HttpResponse) -> str | None:
    """A sentence about a redirect, without a password in its target; None for any other answer."""
    if not 300 <= response.status < 400 or "location" not in response.headers:
        return None
    target = excerpt(masked(response.headers["location"]).encode(errors="replace"))
    return f"answers {status_text(response.status)} and points to {target}, but redirects are not followed"


def error_text(body: bytes) -> str:
    """The text of an error response: ``kind`` and ``value`` of an error object, else an excerpt of the body."""
    try:
        parsed: object = json.loads(body)
    except (ValueError, RecursionError):
        return excerpt(body)
    match parsed:
        case {"kind": str(kind), "value": str(value)}:
            return excerpt(f"{kind}: {value}".encode(errors="replace"))
        case _:
            return excerpt(body)


def excerpt(body: bytes) -> str:
    """The beginning of ``body`` on one line, without control characters."""
    text = " ".join(body[: EXCERPT_CHARS * 8].decode("utf-8", errors="replace").split())
    printable = "".join(filter(str.isprintable, text))
    return printable if len(printable) <= EXCERPT_CHARS else f"{printable[:EXCERPT_CHARS]}..."


def is_markup(body: bytes) -> bool:
    """Whether ``body`` is HTML or XML, whatever its content type: JSON never starts with ``<``."""
    return body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def retry_after_secs(headers: Mapping[str, str]) -> float | None:
    """The delay of a ``Retry-After`` header in either of its forms (seconds or a date); None without a valid one.

    A date is read against the server's own ``Date``: this host's clock may be wrong. Source: RFC 9110, 10.2.3.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value), MAX_RETRY_AFTER_SECS)
    until, since = _http_date(value), _http_date(headers.get("date", ""))
    if until is None or since is None:
        return None
    return min(max((until - since).total_seconds(), 0.0), MAX_RETRY_AFTER_SECS)


def _http_date(text: str) -> datetime | None:
    try:
        instant = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # the latter for a year or an offset that is out of range
        return None
    return instant if instant.tzinfo is not None else None
