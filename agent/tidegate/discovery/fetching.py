"""Getting one file of a source of updates: over http, https or from the disk, with an account of what went wrong."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
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

ASKED_AGAIN = "it is asked again at the next check; if this stays, try the address from this host with curl"
WRONG_SERVER = "check the address in the configuration: is it the update graph itself, and no login or error page?"

_DISTRUST = "check this host's clock and the server's certificate; authorities of your own go into ca_file"
_ABSENT = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
"""Object stores say 403 of what is not there to whoever may not list it."""


class NotThereError(TidegateError):
    """The file is not there, by its server's or the disk's word."""


@dataclass(frozen=True, slots=True)
class Fetcher:
    """How files are got.

    ``max_bytes`` bounds each, after decompression. ``timeout_secs`` bounds each wait, not their sum. ``ca_file``
    replaces the system's authorities.
    """

    max_bytes: int
    timeout_secs: float
    ca_file: str | None = None

    def fetch(self, url: str) -> bytes:
        """What is at ``url``; where that is more than ``max_bytes``, the beginning, one byte longer than that.

        Raises:
            NotThereError: of whatever kind.
            TidegateError: ``discovery.unreachable``, ``discovery.refused``, ``discovery.nonsense`` or
                ``config.invalid``. The message follows the address and a colon.
        """
        parts = checked(url)
        return self._read(file_path(parts)) if parts.scheme == "file" else self._get(url)

    def _read(self, path: str) -> bytes:
        try:
            with Path(path).open("rb") as file:
                return file.read(self.max_bytes + 1)
        except OSError as error:
            refusal = NotThereError if isinstance(error, FileNotFoundError) else TidegateError
            message = f"the file cannot be read: {error.strerror}"
            remedy = f"put the update graph at {path}, readable for the user tidegate"
            raise refusal(ErrorKind.DISCOVERY_UNREACHABLE, message, remedy) from error

    def _get(self, url: str) -> bytes:
        # Here and not above: a graph in a file does without httpx, which is most of the worker's time and memory.
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
            return ErrorKind.DISCOVERY_UNREACHABLE, ASKED_AGAIN
        case Fault.UNTRUSTED | Fault.TURNED_AWAY:
            return ErrorKind.DISCOVERY_UNREACHABLE, _DISTRUST
        case Fault.NO_HTTP:
            return ErrorKind.DISCOVERY_NONSENSE, WRONG_SERVER
        case Fault.BAD_ADDRESS:
            return ErrorKind.CONFIG_INVALID, "correct the address in the configuration"
        case Fault.BAD_CA_FILE | Fault.BAD_CLIENT_CERT:
            return ErrorKind.CONFIG_INVALID, "name a file of certificates in PEM form, readable for the user tidegate"
    assert_never(fault)


def _refused(response: HttpResponse) -> TidegateError:
    if redirect := redirect_text(response):
        return TidegateError(ErrorKind.DISCOVERY_REFUSED, redirect, "if you trust that address, configure it")
    status, said = status_text(response.status), error_text(response.body)
    message = f"answers {status}: {said}" if said else f"answers {status}"
    refusal = NotThereError if response.status in _ABSENT else TidegateError
    wait_secs = retry_after_secs(response.headers)
    return refusal(ErrorKind.DISCOVERY_REFUSED, message, _refusal_remedy(response.status), wait_secs)


def _refusal_remedy(status: int) -> str:
    match status:
        case 401 | 403:
            return "the server wants credentials or does not let this host in: check the address and its user"
        case 404 | 410:
            return WRONG_SERVER
        case _:
            return ASKED_AGAIN
