"""Fetch one file of a source of updates, over http, https or from the disk."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import assert_never

from tidegate.errors import ErrorKind, TidegateError
from tidegate.net.answers import (
    Fault,
    HttpError,
    HttpResponse,
    error_text,
    redirect_text,
    retry_after_secs,
    status_text,
)
from tidegate.net.urls import checked, file_path
from tidegate.system import regular_file

RETRIED = "the agent retries at the next check; if it persists, try the address from this host with curl"
WRONG_SERVER = "check that the address in the configuration is the update graph itself, not a login or error page"

_UNTRUSTED = "check this host's clock and the server's certificate; name your own certificate authorities in ca_file"
_ABSENT = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
"""Object stores answer 403 for an absent object to clients that may not list them."""


class NotThereError(TidegateError):
    """The file does not exist, according to the server or the file system."""


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Fetches files within limits.

    ``max_bytes`` bounds each file, after decompression. ``timeout_secs`` bounds each read, not their sum. ``ca_file``
    replaces the system's certificate authorities.
    """

    max_bytes: int
    timeout_secs: float
    ca_file: str | None = None

    def fetch(self, url: str) -> bytes:
        """The content of ``url``; a longer one than ``max_bytes`` is cut one byte after that.

        Raises:
            NotThereError: there is no such file.
            TidegateError: ``discovery.unreachable``, ``discovery.refused``, ``discovery.nonsense`` or
                ``config.invalid``. The message is meant to follow the address and a colon.
        """
        parts = checked(url)
        return self._read(file_path(parts)) if parts.scheme == "file" else self._get(url)

    def _read(self, path: str) -> bytes:
        try:
            return regular_file.read_start(path, self.max_bytes + 1)
        except OSError as error:
            refusal = NotThereError if isinstance(error, FileNotFoundError) else TidegateError
            message = f"the file cannot be read: {error.strerror}"
            remedy = f"put the update graph at {path}, readable by the user tidegate"
            raise refusal(ErrorKind.DISCOVERY_UNREACHABLE, message, remedy) from error

    def _get(self, url: str) -> bytes:
        # Imported here, so that a graph in a file is read without httpx, most of the worker's start time and memory.
        from tidegate.net import http  # noqa: PLC0415  (the reason is above)

        try:
            response = http.get(url, self.max_bytes, self.timeout_secs, self.ca_file)
        except HttpError as error:
            kind, remedy = _no_answer(error.fault)
            raise TidegateError(kind, str(error), remedy) from error
        if response.status != HTTPStatus.OK:
            raise _refused(response)
        return response.body


def _no_answer(fault: Fault) -> tuple[ErrorKind, str]:
    match fault:
        case Fault.UNREACHABLE:
            return ErrorKind.DISCOVERY_UNREACHABLE, RETRIED
        case Fault.UNTRUSTED | Fault.CLIENT_CERT_REJECTED:
            return ErrorKind.DISCOVERY_UNREACHABLE, _UNTRUSTED
        case Fault.NO_HTTP:
            return ErrorKind.DISCOVERY_NONSENSE, WRONG_SERVER
        case Fault.BAD_ADDRESS:
            return ErrorKind.CONFIG_INVALID, "correct the address in the configuration"
        case Fault.BAD_CA_FILE | Fault.BAD_CLIENT_CERT:
            return ErrorKind.CONFIG_INVALID, "name a file of certificates in PEM form, readable by the user tidegate"
    assert_never(fault)


def _refused(response: HttpResponse) -> TidegateError:
    if redirect := redirect_text(response):
        return TidegateError(ErrorKind.DISCOVERY_REFUSED, redirect, "if you trust that address, configure it")
    status, text = status_text(response.status), error_text(response.body)
    message = f"answers {status}: {text}" if text else f"answers {status}"
    refusal = NotThereError if response.status in _ABSENT else TidegateError
    wait_secs = retry_after_secs(response.headers)
    return refusal(ErrorKind.DISCOVERY_REFUSED, message, _refusal_remedy(response.status), wait_secs)


def _refusal_remedy(status: int) -> str:
    match status:
        case 401 | 403:
            return "the server requires credentials or refuses this host: check the address and its user"
        case 404 | 410:
            return WRONG_SERVER
        case _:
            return RETRIED
