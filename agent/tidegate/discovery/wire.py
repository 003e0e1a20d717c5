"""Messages of the graph job between agent and net-worker: see :mod:`tidegate.net.wire`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from types import MappingProxyType
from typing import ClassVar, Self

from tidegate.clock import parse_rfc3339, rfc3339
from tidegate.discovery.base import Deferred, Offers
from tidegate.net.wire import Json, WireError
from tidegate.release import Release


@dataclass(frozen=True, slots=True)
class Trust:
    """The root of trust under which a graph has to be signed, and its place in a repository of The Update Framework.

    ``root_file`` is the path of the root metadata. The repository is at ``repository_url``, which ends in a slash; the
    graph is its target ``target``, and the metadata are in ``metadata/`` below it. ``folder`` keeps the latest trusted
    metadata, which protects against rollback attacks.
    """

    root_file: str
    repository_url: str
    target: str
    folder: str


@dataclass(frozen=True, slots=True)
class GraphRequest:
    """Fetch an update graph, and report its offers to the host that runs ``booted_payload``.

    ``url`` is http, https or file. ``timeout_secs`` is the total deadline, from the worker's start to its answer.
    ``max_bytes`` bounds the graph after decompression. ``ca_file`` replaces the system's certificate authorities.
    ``query`` has further parameters for the server, which messages leave out. With ``trust`` only a signed graph is
    accepted; ``url`` is then used in messages only.
    """

    url: str
    booted_payload: str
    timeout_secs: float
    max_bytes: int
    ca_file: str | None = None
    query: tuple[tuple[str, str], ...] = ()
    trust: Trust | None = None
    job: ClassVar[str] = "tidegate.discovery.request"

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
                "booted_payload": str(booted_payload),
                "timeout_secs": int() | float() as timeout_secs,
                "max_bytes": int(max_bytes),
                "ca_file": str() | None as ca_file,
                "query": list(query),
                "trust": trust,
            }:
                pairs = tuple(map(_pair, query))
                return cls(url, booted_payload, timeout_secs, max_bytes, ca_file, pairs, _trust(trust))
            case _:
                raise WireError("not a request for a graph")


@dataclass(frozen=True, slots=True)
class OffersEvent:
    """The answer to a :class:`GraphRequest`."""

    offers: Offers

    def fields(self) -> Mapping[str, object]:
        """The answer as JSON."""
        return {"kind": "offers", **_offers_to_wire(self.offers)}

    @classmethod
    def read(cls, fields: Json) -> Self:
        """The inverse of :meth:`fields`.

        Raises:
            WireError: the fields are not those of such an answer.
        """
        match fields:
            case {
                "kind": "offers",
                "candidates": list(candidates),
                "booted": booted,
                "dead_end": str() | None as dead_end,
                "deferred": list(deferred),
                "flaws": list(flaws),
                "flaw_count": int(flaw_count),
            }:
                return cls(
                    Offers(
                        candidates=tuple(map(_release_from_wire, candidates)),
                        booted=None if booted is None else _release_from_wire(booted),
                        dead_end=dead_end,
                        deferred=tuple(map(_deferred_from_wire, deferred)),
                        flaws=tuple(map(str, flaws)),
                        flaw_count=flaw_count,
                    )
                )
            case _:
                raise WireError("not the offers of a graph")


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
            raise WireError("not a root of trust")


def _pair(value: Json) -> tuple[str, str]:
    match value:
        case [str(key), str(text)]:
            return key, text
        case _:
            raise WireError("not a pair of strings")


def _offers_to_wire(offers: Offers) -> dict[str, object]:
    return {
        "candidates": [_release_to_wire(release) for release in offers.candidates],
        "booted": None if offers.booted is None else _release_to_wire(offers.booted),
        "dead_end": offers.dead_end,
        "deferred": [_deferred_to_wire(deferred) for deferred in offers.deferred],
        "flaws": list(offers.flaws),
        "flaw_count": offers.flaw_count,
    }


def _deferred_to_wire(deferred: Deferred) -> dict[str, object]:
    turn_at = None if deferred.turn_at is None else rfc3339(deferred.turn_at)
    return {"release": _release_to_wire(deferred.release), "reason": deferred.reason, "turn_at": turn_at}


def _deferred_from_wire(fields: Json) -> Deferred:
    match fields:
        case {"release": release, "reason": str(reason), "turn_at": str() | None as turn_at}:
            return Deferred(_release_from_wire(release), reason, None if turn_at is None else _instant(turn_at))
        case _:
            raise WireError("not a deferred release")


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
        raise WireError("metadata that is not a string")
    return MappingProxyType(texts)
