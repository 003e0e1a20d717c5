"""The envelope of messages between the agent and the net-worker: one JSON line each way.

===========  ===================================================================================================
request      ``{"job": "tidegate.discovery.request", "request": {...}}``, on the worker's stdin
answer       ``{"kind": "offers", ...}``, on its stdout: the fields of one of the job's answers
error        ``{"kind": "error", "error": "net.unreachable", "message": ..., "remedy": ..., "retry_after_secs": ...}``
===========  ===================================================================================================

A job is named by its module, which the worker imports; requests and answers are defined in the job's own package. To
add a job, write

- a :class:`Request`, whose ``job`` is the module's name, and its :class:`Answer` (both as dataclasses with ``fields()``
  and ``read()``);
- the module, with ``work(fields, departed) -> Work``: parse the request, and say how to answer it and what to answer at
  the deadline. Set ``departed`` (:class:`threading.Event`) when the request leaves this host, where that matters;
- in the agent, ``await NetClient().run(request, AnswerType)``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self, TypeAlias, TypeVar, cast

from tidegate.errors import ErrorKind, TidegateError

MAX_REQUEST_BYTES = 64 * 1024
"""Far more than any URL needs; a longer request is a defect of the agent."""

MAX_EVENT_BYTES = 1024 * 1024
"""The most of one answer that the agent buffers: some thousand releases with their metadata."""

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


class WireError(ValueError):
    """A line that is not a valid message of this version."""


class Request(Protocol):
    """A request to the worker. ``job`` is the name of the module that carries it out."""

    job: ClassVar[str]

    @property
    def timeout_secs(self) -> float:
        """The total deadline, from the worker's start to its answer."""
        ...

    def fields(self) -> Mapping[str, object]:
        """The request as JSON."""
        ...


class Answer(Protocol):
    """A successful answer of the worker."""

    def fields(self) -> Mapping[str, object]:
        """The answer as JSON, with a ``kind`` that is unique among the job's answers and not ``error``."""
        ...

    @classmethod
    def read(cls, fields: Json) -> Self:
        """The inverse of :meth:`fields`.

        Raises:
            WireError: the fields are not those of such an answer.
        """
        ...


@dataclass(frozen=True, slots=True)
class ErrorEvent:
    """A failed request. ``retry_after_secs`` is the delay that the server asked for, None without one."""

    kind: ErrorKind
    message: str
    remedy: str = ""
    retry_after_secs: float | None = None

    def fields(self) -> Mapping[str, object]:
        """The error as JSON."""
        fields = {"error": self.kind, "message": self.message, "remedy": self.remedy}
        return {"kind": "error", **fields, "retry_after_secs": self.retry_after_secs}


Event: TypeAlias = Answer | ErrorEvent


@dataclass(frozen=True, slots=True)
class Work:
    """A request that the worker is to carry out.

    ``timeout_secs`` is the total deadline. ``answer`` carries it out, on the main thread; ``out_of_time`` makes the
    answer for the deadline, on another thread while ``answer`` still runs.
    """

    timeout_secs: float
    answer: Callable[[], Event]
    out_of_time: Callable[[], Event]


class NetError(TidegateError):
    """An :class:`ErrorEvent` as an exception."""

    def __init__(self, event: ErrorEvent) -> None:
        super().__init__(event.kind, event.message, event.remedy, event.retry_after_secs)


AnswerT = TypeVar("AnswerT", bound=Answer)


def error_event(error: TidegateError, where: str) -> ErrorEvent:
    """``error`` as an event; ``where`` (a URL) is put before its message."""
    return ErrorEvent(error.kind, f"{where}: {error.message}", error.remedy, error.retry_after_secs)


def encode_request(request: Request) -> bytes:
    """The request as one line of at most :data:`MAX_REQUEST_BYTES`.

    Raises:
        WireError: the line would be longer.
    """
    return _to_line({"job": request.job, "request": request.fields()}, MAX_REQUEST_BYTES)


def decode_request(line: bytes) -> tuple[str, Json]:
    """The job of a request and its fields: the inverse of :func:`encode_request`.

    Raises:
        WireError: the line is not a request.
    """
    match _parsed(line):
        case {"job": str(job), "request": fields}:
            return job, fields
        case _:
            raise WireError("not a request that this version knows")


def encode_event(event: Event) -> bytes:
    """The event as one line of at most :data:`MAX_EVENT_BYTES`.

    Raises:
        WireError: the line would be longer.
    """
    return _to_line(event.fields(), MAX_EVENT_BYTES)


def decode_event(line: bytes, answer: type[AnswerT]) -> AnswerT | ErrorEvent:
    """The inverse of :func:`encode_event`, for a request whose answer has the type ``answer``.

    Raises:
        WireError: the line is neither such an answer nor an error.
    """
    match _parsed(line):
        case {
            "kind": "error",
            "error": str(error),
            "message": str(message),
            "remedy": str(remedy),
            "retry_after_secs": int() | float() | None as retry_after_secs,
        }:
            return ErrorEvent(_error_kind(error), message, remedy, retry_after_secs)
        case fields:
            return answer.read(fields)


def _error_kind(value: str) -> ErrorKind:
    try:
        return ErrorKind(value)
    except ValueError as error:
        raise WireError(f"{value!r} is not a kind of error") from error


def _to_line(fields: Mapping[str, object], limit_bytes: int) -> bytes:
    line = json.dumps(fields, separators=(",", ":")).encode() + b"\n"
    if len(line) > limit_bytes:
        raise WireError(f"a line of {len(line)} bytes; the limit is {limit_bytes}")
    return line


def _parsed(line: bytes) -> Json:
    try:
        return cast(Json, json.loads(line))
    except (ValueError, RecursionError) as error:
        raise WireError(f"not JSON: {error}") from error
