"""Wire format of HTTP health checks between the agent and its net-worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar, Self

from tidegate.net.wire import Json, WireError


@dataclass(frozen=True, slots=True)
class HttpCheckRequest:
    """GET ``url``, and check that the status is from ``low`` to ``high`` and the body has the text ``contains``.

    ``timeout_secs`` is the total, from the start of the worker to its answer. ``ca_file`` replaces the system's
    certificate authorities.
    """

    url: str
    low: int
    high: int
    contains: str | None
    timeout_secs: float
    ca_file: str | None
    job: ClassVar[str] = "tidegate.health.http_request"

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
class HttpCheckEvent:
    """The result of a :class:`HttpCheckRequest`, failures and timeouts included. ``detail`` is one printable line."""

    passed: bool
    detail: str

    def fields(self) -> Mapping[str, object]:
        """The result as JSON."""
        return {"kind": "probed", **asdict(self)}

    @classmethod
    def read(cls, fields: Json) -> Self:
        """The inverse of :meth:`fields`.

        Raises:
            WireError: the fields are not those of such a result.
        """
        match fields:
            case {"kind": "probed", "passed": bool(passed), "detail": str(detail)}:
                return cls(passed, detail)
            case _:
                raise WireError("not the answer to a health check")
