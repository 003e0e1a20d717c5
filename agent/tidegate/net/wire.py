"""What the agent asks of the net-worker and what it hears back: one JSON object a line, in both directions.

Both ends are of the same version, so the format is nobody else's business and carries no version. It is read strictly
all the same: the worker handles what strangers send, and the agent takes nothing from it that it did not ask for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from types import MappingProxyType
from typing import TypeAlias

from tidegate.clock import parse_rfc3339, rfc3339
from tidegate.discovery.base import HeldBack, Offers
from tidegate.errors import ErrorKind, TidegateError
from tidegate.fleetlock.account import LockBusy, LockGranted, LockReleased
from tidegate.fleetlock.wire import LockEvent, LockRequest, UnlockEvent, lock_answer_to_wire, lock_request_from_wire
from tidegate.health.probe import (
    ProbeEvent,
    ProbeRequest,
    probe_event_to_wire,
    probe_request_from_wire,
    probe_request_to_wire,
)
from tidegate.net.line import Json, WireError, parsed, to_line
from tidegate.release import Release

MAX_REQUEST_BYTES = 64 * 1024
"""Far more than any address has: a request that is longer is a mistake of ours."""

MAX_EVENT_BYTES = 1024 * 1024
"""What the agent is ready to hold in memory for one answer: some thousand releases with their metadata."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Under which root of trust a graph has to be signed, and as what.

    ``root_file`` is the path of that root's metadata. The repository (TUF's word) is at ``repository_url``, which ends
    in a slash; the graph is its target ``target``, and its metadata are in ``metadata/`` below it. ``folder`` is where
    what was once trusted is kept, so that nothing older is taken later.
    """

    root_file: str
    repository_url: str
    target: str
    folder: str


@dataclass(frozen=True, slots=True)
class GraphRequest:
    """Fetch an update graph and tell what it offers to the host that runs ``booted_payload``.

    ``url`` is http, https or file. ``timeout_secs`` is for the whole, from the worker's start to its answer.
    ``max_bytes`` bounds the graph as it is after decompression. ``ca_file`` replaces the system's authorities.
    ``query`` is what a server is told beside the address; messages name the address alone. With ``trust`` only what is
    signed is taken; ``url`` is then for messages.
    """

    url: str
    booted_payload: str
    timeout_secs: float
    max_bytes: int
    ca_file: str | None = None
    query: tuple[tuple[str, str], ...] = ()
    trust: Trust | None = None


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


Request: TypeAlias = GraphRequest | LockRequest | ProbeRequest
Event: TypeAlias = OffersEvent | LockEvent | UnlockEvent | ProbeEvent | ErrorEvent


class NetError(TidegateError):
    """An :class:`ErrorEvent` as an exception."""

    def __init__(self, event: ErrorEvent) -> None:
        super().__init__(event.kind, event.message, event.remedy, event.retry_after_secs)


def error_event(error: TidegateError, where: str) -> ErrorEvent:
    """``error`` as an event, its message led by ``where`` it happened."""
    return ErrorEvent(error.kind, f"{where}: {error.message}", error.remedy, error.retry_after_secs)


def encode_request(request: Request) -> bytes:
    """One line, at most :data:`MAX_REQUEST_BYTES` long.

    Raises:
        WireError: it would be longer.
    """
    match request:
        case GraphRequest():
            return to_line({"kind": "graph", **asdict(request)}, MAX_REQUEST_BYTES)
        case LockRequest():
            return to_line({"kind": "lock", **asdict(request)}, MAX_REQUEST_BYTES)
        case ProbeRequest():
            return to_line(probe_request_to_wire(request), MAX_REQUEST_BYTES)


def decode_request(line: bytes) -> Request:
    """The inverse of :func:`encode_request`.

    Raises:
        WireError: the line is no request.
    """
    match parsed(line):
        case {
            "kind": "graph",
            "url": str(url),
            "booted_payload": str(booted_payload),
            "timeout_secs": int() | float() as timeout_secs,
            "max_bytes": int(max_bytes),
            "ca_file": str() | None as ca_file,
            "query": list(query),
            "trust": trust,
        }:
            pairs = tuple(map(_pair, query))
            return GraphRequest(url, booted_payload, timeout_secs, max_bytes, ca_file, pairs, _trust(trust))
        case {"kind": "lock", "verb": str(verb), "account": account, "update": update}:
            return lock_request_from_wire(verb, account, update)
        case {"kind": "probe"} as fields:
            return probe_request_from_wire(fields)
        case _:
            raise WireError("not a request that this version knows")


def encode_event(event: Event) -> bytes:
    """One line, at most :data:`MAX_EVENT_BYTES` long.

    Raises:
        WireError: it would be longer.
    """
    match event:
        case OffersEvent(offers):
            return to_line({"kind": "offers", **_offers_to_wire(offers)}, MAX_EVENT_BYTES)
        case LockEvent(answer) | UnlockEvent(answer):
            return to_line(lock_answer_to_wire(answer), MAX_EVENT_BYTES)
        case ProbeEvent():
            return to_line(probe_event_to_wire(event), MAX_EVENT_BYTES)
        case ErrorEvent(kind, message, remedy, retry_after_secs):
            fields = {"error": kind, "message": message, "remedy": remedy, "retry_after_secs": retry_after_secs}
            return to_line({"kind": "error", **fields}, MAX_EVENT_BYTES)


def decode_event(line: bytes) -> Event:
    """The inverse of :func:`encode_event`.

    Raises:
        WireError: the line is no event.
    """
    match parsed(line):
        case {
            "kind": "offers",
            "candidates": list(candidates),
            "booted": booted,
            "dead_end": str() | None as dead_end,
            "held_back": list(held_back),
        }:
            return OffersEvent(
                Offers(
                    candidates=tuple(map(_release_from_wire, candidates)),
                    booted=None if booted is None else _release_from_wire(booted),
                    dead_end=dead_end,
                    held_back=tuple(map(_held_back_from_wire, held_back)),
                )
            )
        case {"kind": "granted"}:
            return LockEvent(LockGranted())
        case {"kind": "busy", "reason": str(reason), "retry_after_secs": int() | float() | None as retry_after_secs}:
            return LockEvent(LockBusy(reason, retry_after_secs))
        case {"kind": "released", "detail": str(detail)}:
            return UnlockEvent(LockReleased(detail))
        case {"kind": "probed", "passed": bool(passed), "detail": str(detail)}:
            return ProbeEvent(passed, detail)
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


def _error_kind(value: str) -> ErrorKind:
    try:
        return ErrorKind(value)
    except ValueError as error:
        raise WireError(f"no kind of error is called {value!r}") from error


def _trust(value: Json) -> Trust | None:
    match value:
        case None:
            return None
        case {
            "root_file": str(root_file),
            "repository_url": str(repository_url),
            "target": str(target),
            "folder": str(folder),
        }:
            return Trust(root_file, repository_url, target, folder)
        case _:
            raise WireError("not what a graph is to be trusted by")


def _pair(value: Json) -> tuple[str, str]:
    match value:
        case [str(key), str(text)]:
            return key, text
        case _:
            raise WireError("not a pair of texts")


def _offers_to_wire(offers: Offers) -> dict[str, object]:
    return {
        "candidates": [_release_to_wire(release) for release in offers.candidates],
        "booted": None if offers.booted is None else _release_to_wire(offers.booted),
        "dead_end": offers.dead_end,
        "held_back": [_held_back_to_wire(held) for held in offers.held_back],
    }


def _held_back_to_wire(held: HeldBack) -> dict[str, object]:
    turn_at = None if held.turn_at is None else rfc3339(held.turn_at)
    return {"release": _release_to_wire(held.release), "reason": held.reason, "turn_at": turn_at}


def _held_back_from_wire(fields: Json) -> HeldBack:
    match fields:
        case {"release": release, "reason": str(reason), "turn_at": str() | None as turn_at}:
            return HeldBack(_release_from_wire(release), reason, None if turn_at is None else _instant(turn_at))
        case _:
            raise WireError("not a release that is held back")


def _instant(text: str) -> datetime:
    try:
        return parse_rfc3339(text)
    except ValueError as error:
        raise WireError(str(error)) from error


def _release_to_wire(release: Release) -> dict[str, object]:
    return {
        "version": release.version,
        "payload": release.payload,
        "age_index": release.age_index,
        "metadata": dict(release.metadata),
    }


def _release_from_wire(fields: Json) -> Release:
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


def _texts(fields: Mapping[str, Json]) -> Mapping[str, str]:
    texts = {key: value for key, value in fields.items() if isinstance(value, str)}
    if len(texts) < len(fields):
        raise WireError("metadata that is not text")
    return MappingProxyType(texts)
