"""Choose the target among the offered releases. Pure.

Each rule excludes the releases that it forbids, with a reason; the newest of the others is the target.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tidegate.discovery.base import Offers
from tidegate.discovery.graph_keys import SCHEME_KEY
from tidegate.engines.entry import CHECKSUM_SCHEME
from tidegate.release import Release
from tidegate.versions import compare


class Cause(StrEnum):
    """Why an offered release is not the target."""

    UNUSABLE = "unusable"
    DENIED = "denied"
    PINNED = "pinned"
    ABOVE_MAX = "above-max"
    YOUNG = "young"
    DOWNGRADE = "downgrade"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class PassedOver:
    """An offered release that is not the target. ``reason`` completes a sentence that begins with the release."""

    release: Release
    cause: Cause
    reason: str


@dataclass(frozen=True, slots=True)
class Choice:
    """The result of a choice. ``target`` is None where every offer is excluded."""

    target: Release | None
    passed_over: tuple[PassedOver, ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """The releases that this host accepts.

    ``denied`` maps denied payloads to the cause. ``scheme`` is the kind of payload that the engine stages; releases of
    another one, or of none, are excluded. ``pin`` is the only accepted version, ``max_version`` the newest; None means
    any. ``young`` maps payloads that have not been on offer for long enough to the reason.
    """

    denied: Mapping[str, str]
    allow_downgrade: bool = False
    scheme: str = CHECKSUM_SCHEME
    pin: str | None = None
    max_version: str | None = None
    young: Mapping[str, str] = field(default_factory=dict[str, str])


def choose(offers: Offers, rules: Rules) -> Choice:
    """The newest of the allowed offers, and the reason against each other one.

    Of releases of the same age index the one with the higher payload wins, so that all hosts choose the same.
    """
    judged = [(release, _objection(release, offers.booted, rules)) for release in offers.candidates]
    objections = tuple(objection for _, objection in judged if objection is not None)
    allowed = sorted((release for release, objection in judged if objection is None), key=_order, reverse=True)
    if not allowed:
        return Choice(None, objections)
    target, *rest = allowed
    return Choice(target, objections + tuple(_superseded(release, target) for release in rest))


def _objection(release: Release, booted: Release | None, rules: Rules) -> PassedOver | None:
    """The first rule that excludes ``release``, in order of how long it lasts; None where it is allowed."""
    scheme = release.metadata.get(SCHEME_KEY)
    if scheme != rules.scheme:
        names = f"is of scheme {scheme!r}" if scheme else f"names no scheme ({SCHEME_KEY})"
        return PassedOver(release, Cause.UNUSABLE, f"{names}, this host stages {rules.scheme!r}")
    if release.payload in rules.denied:
        return PassedOver(release, Cause.DENIED, f"is denied: {rules.denied[release.payload]}")
    if not rules.allow_downgrade and not _is_newer(release, booted):
        return PassedOver(release, Cause.DOWNGRADE, _downgrade(release, booted))
    return unwanted(release, rules)


def unwanted(release: Release, rules: Rules) -> PassedOver | None:
    """The operator's version policy that excludes ``release``; None where it is allowed."""
    if rules.pin is not None and release.version != rules.pin:
        return PassedOver(
            release, Cause.PINNED, f"is not the release {rules.pin}, to which updates.pin keeps this host"
        )
    if rules.max_version is not None and compare(release.version, rules.max_version) > 0:
        return PassedOver(release, Cause.ABOVE_MAX, f"is above updates.max_version, {rules.max_version}")
    if release.payload in rules.young:
        return PassedOver(release, Cause.YOUNG, rules.young[release.payload])
    return None


def _is_newer(release: Release, booted: Release | None) -> bool:
    """Whether ``release`` is known to be newer; False where either has no age index."""
    if booted is None or release.age_index is None or booted.age_index is None:
        return False
    return release.age_index > booted.age_index


def _downgrade(release: Release, booted: Release | None) -> str:
    if booted is None or release.age_index is None or booted.age_index is None:
        return "is not known to be newer than the booted release, and downgrades are not allowed"
    ages = f"age index {release.age_index}, booted {booted.version} has {booted.age_index}"
    return f"is not newer than the booted release ({ages}), and downgrades are not allowed"


def _superseded(release: Release, target: Release) -> PassedOver:
    return PassedOver(release, Cause.SUPERSEDED, f"is superseded by {target.version}, which is offered as well")


def _order(release: Release) -> tuple[int, str]:
    return (-1 if release.age_index is None else release.age_index, release.payload)
