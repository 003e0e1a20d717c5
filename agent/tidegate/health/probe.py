"""HTTP health checks, as agent and net-worker exchange them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar, Self

from tidegate.net.wire import Json, WireError


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """Get ``url`` and see whether its status is from ``low`` to ``high`` and ``contains`` is in it.

    ``timeout_secs`` is for the whole, from the worker's start to its answer. ``ca_file`` replaces the system's
    authorities.
    """

    url: str
    low: int
    high: int
    contains: str | None
    timeout_secs: float
    ca_file: str | None
    job: ClassVar[str] = "tidegate.health.probe_request"

    def fields(self) -> Mapping[str, object]:
        """The request as JSON."""
        return asdict(self)

    @classmethod
    def read(cls, fields: Json) -> Self:
        """The inverse of :meth:`fields`.

        Raises:
            WireError: the fields are not those of such a request.
        """
        match fields:
            case {
                "url": str(url),
                "low": int(low),
                "high": int(high),
                "contains": str() | None as contains,
                "timeout_secs": int() | float() as timeout_secs,
                "ca_file": str() | None as ca_file,
            }:
                return cls(url, low, high, contains, timeout_secs, ca_file)
            case _:
                raise WireError("not a request for a health check")


@dataclass(frozen=True, slots=True)
class ProbeEvent:
    """The answer to a :class:`ProbeRequest`; no answer at all is one as well. ``detail`` is one printable line."""

    passed: bool
    detail: str

    def fields(self) -> Mapping[str, object]:
        """The answer as JSON."""
        return {"kind": "probed", **asdict(self)}

    @classmethod
    def read(cls, fields: Json) -> Self:
        """The inverse of :meth:`fields`.

        Raises:
            WireError: the fields are not those of such an answer.
        """
        match fields:
            case {"kind": "probed", "passed": bool(passed), "detail": str(detail)}:
                return cls(passed, detail)
            case _:
                raise WireError("not the answer to a health check")
