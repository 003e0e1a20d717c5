"""Phased rollouts: when a release comes to this host, from what the release says of itself. Pure.

A release may carry a line in time: to which share of all hosts it is offered at its start, and how long it takes to
reach all. Each host has a place on that line, its *wariness*: as configured, else drawn from its id and the release, so
that hosts are spread evenly, each keeps its place for a release, and nobody is always the first. Whoever publishes a
plain file so rolls out by phases as a Cincinnati server does, and a graph means the same in both.

Source: coreos/fedora-coreos-cincinnati, ``throttle_rollouts()`` in commons/src/policy.rs for the line and its defaults,
``compute_wariness()`` in fcos-policy-engine/src/main.rs for who comes when. Other than there, numbers that make no
sense are errors: read as defaults, a mistyped start would offer a release to every host at once.
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
"""The wariness of whoever comes last, and of a host without an id: it has no place of its own on the line."""

_MAX_EPOCH: Final = int(datetime(9900, 1, 1, tzinfo=UTC).timestamp())
"""So far before dates end that every turn has one; milliseconds where seconds are wanted are far beyond."""

_MAX_DURATION_MINUTES: Final = 10 * 366 * 24 * 60
_HASH_BYTES: Final = 6  # as many as a float holds exactly
_REMEDY = "whoever publishes the graph has to correct it"


@dataclass(frozen=True, slots=True)
class Rollout:
    """The line: ``start_value`` of all hosts at ``start_epoch`` (seconds since 1970), and all ``duration_secs`` later.

    Without a duration it stays at ``start_value``.
    """

    start_epoch: int
    start_value: float
    duration_secs: int | None

    def share(self, now: datetime) -> float:
        """To what share of all hosts the release is offered at ``now``, from 0 to 1."""
        passed_secs = now.timestamp() - self.start_epoch
        if passed_secs < 0:
            return 0.0
        if self.duration_secs is None:
            return self.start_value
        return min(1.0, self.start_value + (1.0 - self.start_value) * passed_secs / self.duration_secs)

    def reaches(self, wariness: float) -> int | None:
        """When (seconds since 1970, rounded up) the line reaches a host of this wariness; None for never.

        A wariness of nothing at all is reached before the start: such hosts are there to try what is announced.
        """
        if wariness <= 0.0:
            return 0
        if wariness <= self.start_value:
            return self.start_epoch
        if self.duration_secs is None:
            return None
        way = (wariness - self.start_value) / (1.0 - self.start_value)
        return self.start_epoch + min(self.duration_secs, math.ceil(way * self.duration_secs))


@dataclass(frozen=True, slots=True)
class OfferedNow:
    """The release is for this host."""


@dataclass(frozen=True, slots=True)
class TurnAt:
    """This host's turn comes at ``at`` (aware, in UTC); ``share`` of all hosts have had theirs."""

    at: datetime
    share: float


@dataclass(frozen=True, slots=True)
class NoTurn:
    """The rollout stops at ``share``, before this host: its turn comes when the publisher says more."""

    share: float


Turn: TypeAlias = OfferedNow | TurnAt | NoTurn


def offered(release: Release, host: float | str | None, now: datetime) -> Turn:
    """Whether ``release`` is for this host at ``now``, and otherwise when.

    ``host`` is its wariness, else its id (None where it has none). What was offered stays so, as time goes by.

    Raises:
        TidegateError: ``discovery.nonsense``; the release has a rollout that makes no sense.
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
    """``offers`` with what has not come to this host yet held back.

    Raises:
        TidegateError: as :func:`offered`.
    """
    turns = [(release, offered(release, host, now)) for release in offers.candidates]
    candidates = tuple(release for release, turn in turns if isinstance(turn, OfferedNow))
    waiting = tuple(_held_back(release, turn) for release, turn in turns if not isinstance(turn, OfferedNow))
    return replace(offers, candidates=candidates, deferred=offers.deferred + waiting)


def rollout_of(release: Release) -> Rollout | None:
    """The rollout that ``release`` is in; None where it is for everybody.

    Raises:
        TidegateError: ``discovery.nonsense``; it has one that makes no sense.
    """
    if release.metadata.get(ROLLOUT_KEY, "false") == "false":
        return None
    try:
        return _rollout(release.metadata)
    except ValueError as error:
        what = f"the rollout of {release.version}: {error}"
        raise TidegateError(ErrorKind.DISCOVERY_NONSENSE, what, _REMEDY) from error


def drawn_wariness(node_uuid: str | None, payload: str) -> float:
    """The place of a host without a configured one: above 0, up to 1, spread evenly over hosts and over releases."""
    if node_uuid is None:
        return LAST
    import hashlib  # noqa: PLC0415 - only for releases that are rolled out

    digest = hashlib.sha256(f"{node_uuid} {payload}".encode()).digest()
    return (int.from_bytes(digest[:_HASH_BYTES], "big") + 1) / 256.0**_HASH_BYTES


def _held_back(release: Release, turn: TurnAt | NoTurn) -> Deferred:
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
    if not 0.0 <= value <= 1.0:  # which nan is not, either
        raise ValueError(f"{key} is {text[:40]!r}, not a number from 0 to 1")
    return value
