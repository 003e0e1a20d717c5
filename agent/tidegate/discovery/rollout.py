"""Phased rollouts: when a release is offered to this host, from the release's metadata. Pure.

A release may define a linear ramp: the share of hosts to which it is offered at its start, and the time until it is
offered to all. Each host has a position on that ramp, its *wariness*: as configured, else derived from a hash of its id
and the release, so that hosts are spread evenly, each keeps its position for a release, and no host is always the
first. So a static graph is rolled out in phases as by a Cincinnati server, with the same metadata.

Source: coreos/fedora-coreos-cincinnati, ``throttle_rollouts()`` in commons/src/policy.rs for the ramp and its defaults,
``compute_wariness()`` in fcos-policy-engine/src/main.rs for the order of hosts. Unlike there, invalid numbers are
errors: with a default in place of a mistyped start, a release would be offered to every host at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, TypeAlias, assert_never

from tidegate.discovery.base import Deferred, Offers
from tidegate.errors import ErrorKind, TidegateError
from tidegate.release import Release

ROLLOUT_KEY = "org.fedoraproject.coreos.updates.rollout"
START_EPOCH_KEY = "org.fedoraproject.coreos.updates.start_epoch"
START_VALUE_KEY = "org.fedoraproject.coreos.updates.start_value"
DURATION_KEY = "org.fedoraproject.coreos.updates.duration_minutes"

LAST = 1.0
"""The wariness of the last hosts, and of a host without an id."""

_MAX_EPOCH: Final = int(datetime(9900, 1, 1, tzinfo=UTC).timestamp())
"""Early enough that the end of every rollout is a valid datetime; milliseconds in place of seconds are far beyond."""

_MAX_DURATION_MINUTES: Final = 10 * 366 * 24 * 60
_HASH_BYTES: Final = 6  # as many as a float holds exactly
_REMEDY = "the publisher of the graph has to correct it"


@dataclass(frozen=True, slots=True)
class Rollout:
    """The ramp: ``start_value`` of all hosts at ``start_epoch`` (seconds since 1970), and all ``duration_secs`` later.

    Without a duration it stays at ``start_value``.
    """

    start_epoch: int
    start_value: float
    duration_secs: int | None

    def share(self, now: datetime) -> float:
        """The share of all hosts to which the release is offered at ``now``, from 0 to 1."""
        passed_secs = now.timestamp() - self.start_epoch
        if passed_secs < 0:
            return 0.0
        if self.duration_secs is None:
            return self.start_value
        return min(1.0, self.start_value + (1.0 - self.start_value) * passed_secs / self.duration_secs)

    def reaches(self, wariness: float) -> int | None:
        """When (seconds since 1970, rounded up) the ramp reaches a host of this wariness; None for never.

        A wariness of 0 is reached before the start: such hosts try announced releases.
        """
        if wariness <= 0.0:
            return 0
        if wariness <= self.start_value:
            return self.start_epoch
        if self.duration_secs is None:
            return None
        progress = (wariness - self.start_value) / (1.0 - self.start_value)
        return self.start_epoch + min(self.duration_secs, math.ceil(progress * self.duration_secs))


@dataclass(frozen=True, slots=True)
class OfferedNow:
    """The release is offered to this host."""


@dataclass(frozen=True, slots=True)
class TurnAt:
    """The release will be offered to this host at ``at`` (aware, in UTC); now it is to ``share`` of all hosts."""

    at: datetime
    share: float


@dataclass(frozen=True, slots=True)
class NoTurn:
    """The rollout stops at ``share``, before this host, until the publisher changes it."""

    share: float


Turn: TypeAlias = OfferedNow | TurnAt | NoTurn


def offered(release: Release, host: float | str | None, now: datetime) -> Turn:
    """Whether ``release`` is offered to this host at ``now``, and otherwise when it will be.

    ``host`` is its wariness (a number), else its id (None where it has none). Monotonic: once offered, a release stays
    so while its metadata do not change.

    Raises:
        TidegateError: ``discovery.nonsense``; the release has an invalid rollout.
    """
    rollout = rollout_of(release)
    if rollout is None:
        return OfferedNow()
    wariness = drawn_wariness(host, release.payload) if host is None or isinstance(host, str) else host
    turn_epoch = rollout.reaches(wariness)
    if turn_epoch is None:
        return NoTurn(rollout.share(now))
    if now.timestamp() >= turn_epoch:
        return OfferedNow()
    return TurnAt(datetime.fromtimestamp(turn_epoch, UTC), rollout.share(now))


def phased(offers: Offers, host: float | str | None, now: datetime) -> Offers:
    """``offers``, with the candidates that are not offered to this host yet among the deferred releases.

    Raises:
        TidegateError: as :func:`offered`.
    """
    turns = [(release, offered(release, host, now)) for release in offers.candidates]
    candidates = tuple(release for release, turn in turns if isinstance(turn, OfferedNow))
    deferred = tuple(_deferred(release, turn) for release, turn in turns if not isinstance(turn, OfferedNow))
    return replace(offers, candidates=candidates, deferred=offers.deferred + deferred)


def rollout_of(release: Release) -> Rollout | None:
    """The rollout of ``release``; None where it is offered to all hosts.

    Raises:
        TidegateError: ``discovery.nonsense``; its rollout is invalid.
    """
    if release.metadata.get(ROLLOUT_KEY, "false") == "false":
        return None
    try:
        return _rollout(release.metadata)
    except ValueError as error:
        what = f"the rollout of {release.version}: {error}"
        raise TidegateError(ErrorKind.DISCOVERY_NONSENSE, what, _REMEDY) from error


def drawn_wariness(node_uuid: str | None, payload: str) -> float:
    """The wariness of a host without a configured one: above 0, up to 1, uniform over hosts and over releases."""
    if node_uuid is None:
        return LAST
    import hashlib  # noqa: PLC0415 - only for releases that are rolled out

    digest = hashlib.sha256(f"{node_uuid} {payload}".encode()).digest()
    return (int.from_bytes(digest[:_HASH_BYTES], "big") + 1) / 256.0**_HASH_BYTES


def _deferred(release: Release, turn: TurnAt | NoTurn) -> Deferred:
    match turn:
        case TurnAt(at, share):
            return Deferred(release, f"is offered to {_percent(share)} of hosts now", at)
        case NoTurn(share):
            return Deferred(release, f"is offered to {_percent(share)} of hosts, and its rollout goes no further")
    assert_never(turn)


def _percent(share: float) -> str:
    """Rounded down: 100 % is all of them."""
    return f"{math.floor(share * 100)} %"


def _rollout(metadata: Mapping[str, str]) -> Rollout:
    minutes = metadata.get(DURATION_KEY)
    return Rollout(
        start_epoch=_whole(START_EPOCH_KEY, metadata.get(START_EPOCH_KEY, "0"), _MAX_EPOCH),
        start_value=_fraction(START_VALUE_KEY, metadata.get(START_VALUE_KEY, "0")),
        duration_secs=None if minutes is None else 60 * max(1, _whole(DURATION_KEY, minutes, _MAX_DURATION_MINUTES)),
    )


def _whole(key: str, text: str, limit: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(limit)) and int(text) <= limit):
        raise ValueError(f"{key} is {text[:40]!r}, not a whole number from 0 to {limit}")
    return int(text)


def _fraction(key: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 <= value <= 1.0:  # false for nan, too
        raise ValueError(f"{key} is {text[:40]!r}, not a number from 0 to 1")
    return value
