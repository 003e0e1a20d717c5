"""What the agent asks of the net-worker and what it hears back: one JSON object a line, in both directions.

Both ends are of the same version, so the format is nobody else's business and carries no version. It is read strictly
all the same: the worker handles what strangers send, and the agent takes nothing from it that it did not ask for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import TypeAlias, cast

from tidegate.discovery.base import Offers
from tidegate.errors import ErrorKind, TidegateError
from tidegate.release import Release

MAX_REQUEST_BYTES = 64 * 1024
"""Far more than any address has: a request that is longer is a mistake of ours."""

MAX_EVENT_BYTES = 1024 * 1024
"""What the agent is ready to hold in memory for one answer: some thousand releases with their metadata."""


@dataclass(frozen=True, slots=True)
class GraphRequest:
    """Fetch an update graph and tell what it offers to the host that runs ``booted_payload``.

    ``url`` is http, https or file. ``timeout_secs`` is for the whole, from the worker's start to its answer.
    ``max_bytes`` bounds the graph as it is after decompression. ``ca_file`` replaces the system's authorities.
    """

    url: str
    booted_payload: str
    timeout_secs: float
    max_bytes: int
    ca_file: str | None = None


@dataclass(frozen=True, slots=True)
class OffersEvent:
    """The answer to a :class:`GraphRequest`."""

    offers: Offers


@dataclass(frozen=True, slots=True)
class ErrorEvent:
    """A request that came to nothing. ``retry_after_secs`` is the server's wish, if it had one."""

    kind: ErrorKind
    message: str
    remedy: str = ""
    retry_after_secs: float | None = None


Request: TypeAlias = GraphRequest
Event: TypeAlias = OffersEvent | ErrorEvent

_Json: TypeAlias = "bool | int | float | str | list[_Json] | dict[str, _Json] | None"


class WireError(ValueError):
    """A line that is none of ours."""


class NetError(TidegateError):
    """An :class:`ErrorEvent` as an exception. ``retry_after_secs``: ask no sooner than this, in seconds from now."""

    def __init__(self, event: ErrorEvent) -> None:
        super().__init__(event.kind, event.message, event.remedy)
        self.retry_after_secs = event.retry_after_secs


def error_event(error: TidegateError, where: str) -> ErrorEvent:
    """``error`` as an event, its message led by ``where`` it happened."""
    retry_after_secs = error.retry_after_secs if isinstance(error, NetError) else None
    return ErrorEvent(error.kind, f"{where}: {error.message}", error.remedy, retry_after_secs)


def encode_request(request: Request) -> bytes:
    """One line, at most :data:`MAX_REQUEST_BYTES` long.

    Raises:
        WireError: it would be longer.
    """
    match request:
        case GraphRequest():
            return _line({"kind": "graph", **asdict(request)}, MAX_REQUEST_BYTES)


def decode_request(line: bytes) -> Request:
    """The inverse of :func:`encode_request`.

    Raises:
        WireError: the line is no request.
    """
    match _parsed(line):
        case {
            "kind": "graph",
            "url": str(url),
            "booted_payload": str(booted_payload),
            "timeout_secs": int() | float() as timeout_secs,
            "max_bytes": int(max_bytes),
            "ca_file": str() | None as ca_file,
        }:
            return GraphRequest(url, booted_payload, timeout_secs, max_bytes, ca_file)
        case _:
            raise WireError("not a request that this version knows")


def encode_event(event: Event) -> bytes:
    """One line, at most :data:`MAX_EVENT_BYTES` long.

    Raises:
        WireError: it would be longer.
    """
    match event:
        case OffersEvent(offers):
            return _line({"kind": "offers", **_offers_to_wire(offers)}, MAX_EVENT_BYTES)
        case ErrorEvent(kind, message, remedy, retry_after_secs):
            fields = {"error": kind, "message": message, "remedy": remedy, "retry_after_secs": retry_after_secs}
            return _line({"kind": "error", **fields}, MAX_EVENT_BYTES)


def decode_event(line: bytes) -> Event:
    """The inverse of :func:`encode_event`.

    Raises:
        WireError: the line is no event.
    """
    match _parsed(line):
        case {"kind": "offers", "candidates": list(candidates), "booted": booted, "dead_end": str() | None as dead_end}:
            return OffersEvent(_offers_from_wire(candidates, booted, dead_end))
        case {
            "kind": "error",
            "error": str(error),
            "message": str(message),
            "remedy": str(remedy),
            "retry_after_secs": int() | float() | None as retry_after_secs,
        }:
            return ErrorEvent(_error_kind(error), message, remedy, retry_after_secs)
        case _:
            raise WireError("not an event that this version knows")


def _line(fields: Mapping[str, object], limit_bytes: int) -> bytes:
    line = json.dumps(fields, separators=(",", ":")).encode() + b"\n"
    if len(line) > limit_bytes:
        raise WireError(f"a line of {len(line)} bytes, more than {limit_bytes}")
    return line


def _parsed(line: bytes) -> _Json:
    try:
        return cast(_Json, json.loads(line))
    except (ValueError, RecursionError) as error:
        raise WireError(f"not JSON: {error}") from error


def _error_kind(value: str) -> ErrorKind:
    try:
        return ErrorKind(value)
    except ValueError as error:
        raise WireError(f"no kind of error is called {value!r}") from error


def _offers_to_wire(offers: Offers) -> dict[str, object]:
    return {
        "candidates": [_release_to_wire(release) for release in offers.candidates],
        "booted": None if offers.booted is None else _release_to_wire(offers.booted),
        "dead_end": offers.dead_end,
    }


def _offers_from_wire(candidates: list[_Json], booted: _Json, dead_end: str | None) -> Offers:
    return Offers(
        candidates=tuple(_release_from_wire(candidate) for candidate in candidates),
        booted=None if booted is None else _release_from_wire(booted),
        dead_end=dead_end,
    )


def _release_to_wire(release: Release) -> dict[str, object]:
    return {
        "version": release.version,
        "payload": release.payload,
        "age_index": release.age_index,
        "metadata": dict(release.metadata),
    }


def _release_from_wire(fields: _Json) -> Release:
    match fields:
        case {
            "version": str(version),
            "payload": str(payload),
            "age_index": int() | None as age_index,
            "metadata": dict(metadata),
        }:
            return Release(version, payload, age_index, _texts(metadata))
        case _:
            raise WireError("not a release")


def _texts(fields: Mapping[str, _Json]) -> Mapping[str, str]:
    texts = {key: value for key, value in fields.items() if isinstance(value, str)}
    if len(texts) < len(fields):
        raise WireError("metadata that is not text")
    return MappingProxyType(texts)
