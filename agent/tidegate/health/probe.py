"""The part of :mod:`tidegate.net.wire` that is about checks of health."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from tidegate.net.line import Json, WireError


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


@dataclass(frozen=True, slots=True)
class ProbeEvent:
    """The answer to a :class:`ProbeRequest`; no answer at all is one as well. ``detail`` is one printable line."""

    passed: bool
    detail: str


def probe_request_to_wire(request: ProbeRequest) -> dict[str, object]:
    """The fields of the line that asks ``request``."""
    return {"kind": "probe", **asdict(request)}


def probe_request_from_wire(fields: Json) -> ProbeRequest:
    """The request that the fields of a line stand for.

    Raises:
        WireError: they stand for none.
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
            return ProbeRequest(url, low, high, contains, timeout_secs, ca_file)
        case _:
            raise WireError("not a check of an address")


def probe_event_to_wire(event: ProbeEvent) -> dict[str, object]:
    """The fields of the line that tells ``event``."""
    return {"kind": "probed", **asdict(event)}
