"""The messages between the agent and the net-worker: one JSON line each way.

Only the envelope: each job's requests and answers are in its own package. A request names the module that carries it
out, which offers ``work(fields, departed)``, so that a new job is one new file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self, TypeAlias, TypeVar, cast

from tidegate.errors import ErrorKind, TidegateError

MAX_REQUEST_BYTES = 64 * 1024
"""Far more than any address has; a longer request is a defect of the agent."""

MAX_EVENT_BYTES = 1024 * 1024
"""The most that the agent keeps in memory of one answer: some thousand releases with their metadata."""

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


class WireError(ValueError):
    """A line that this version did not write."""


class Request(Protocol):
    """A request to the worker. ``job`` is the name of the module that carries it out."""

    job: ClassVar[str]

    @property
    def timeout_secs(self) -> float:
        """The deadline for the whole, from the worker's start to its answer."""
        ...

    def fields(self) -> Mapping[str, object]:
        """The request as JSON."""
        ...


class Answer(Protocol):
    """An answer of the worker, other than an error."""

    def fields(self) -> Mapping[str, object]:
        """The answer as JSON; ``kind`` tells it from other answers."""
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
    """A request that failed. ``retry_after_secs`` is what the server asked for, if it did."""

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
    """A request that the worker is to carry out: within what time, how, and the answer when the time is over."""

    timeout_secs: float
    answer: Callable[[], Event]
    out_of_time: Callable[[], Event]


class NetError(TidegateError):
    """An :class:`ErrorEvent` as an exception."""

    def __init__(self, event: ErrorEvent) -> None:
        super().__init__(event.kind, event.message, event.remedy, event.retry_after_secs)


AnswerT = TypeVar("AnswerT", bound=Answer)


def error_event(error: TidegateError, where: str) -> ErrorEvent:
    """``error`` as an event, its message prefixed with ``where`` it happened."""
    return ErrorEvent(error.kind, f"{where}: {error.message}", error.remedy, error.retry_after_secs)


def encode_request(request: Request) -> bytes:
    """One line, at most :data:`MAX_REQUEST_BYTES` long.

    Raises:
        WireError: it would be longer.
    """
    return _to_line({"job": request.job, "request": request.fields()}, MAX_REQUEST_BYTES)


def decode_request(line: bytes) -> tuple[str, Json]:
    """The job of a request and its fields, the inverse of :func:`encode_request`.

    Raises:
        WireError: the line is no request.
    """
    match _parsed(line):
        case {"job": str(job), "request": fields}:
            return job, fields
        case _:
            raise WireError("not a request that this version knows")


def encode_event(event: Event) -> bytes:
    """One line, at most :data:`MAX_EVENT_BYTES` long.

    Raises:
        WireError: it would be longer.
    """
    return _to_line(event.fields(), MAX_EVENT_BYTES)


def decode_event(line: bytes, answer: type[AnswerT]) -> AnswerT | ErrorEvent:
    """The inverse of :func:`encode_event`, for a request to which ``answer`` is the answer.

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
        raise WireError(f"no kind of error is called {value!r}") from error


def _to_line(fields: Mapping[str, object], limit_bytes: int) -> bytes:
    line = json.dumps(fields, separators=(",", ":")).encode() + b"\n"
    if len(line) > limit_bytes:
        raise WireError(f"a line of {len(line)} bytes, more than {limit_bytes}")
    return line


def _parsed(line: bytes) -> Json:
    try:
        return cast(Json, json.loads(line))
    except (ValueError, RecursionError) as error:
        raise WireError(f"not JSON: {error}") from error
