"""What outlives a process and a boot: the intent, the deny list and the history.

They live in one document, so that one atomic write moves all of them together: an attempt is closed, its release
denied and its intent forgotten in the same instant or not at all.

``purpose`` and ``outcome`` are plain strings here, and everything has room for ``extra`` fields: a newer agent may have
words that this one has not, and this one may be booted again by a rollback. See :mod:`.recordcodec`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from tidegate.boot import BootInstance
from tidegate.clock import Now
from tidegate.release import Release

HISTORY_LENGTH = 100
"""Attempts kept. A host that updates weekly keeps two years; the document stays under 64 KiB."""

_NOTHING: Mapping[str, object] = MappingProxyType({})


class Outcome(StrEnum):
    """What an attempt came to, decided after the boot."""

    APPLIED = "applied"
    FELL_BACK = "fell_back"
    FINALIZE_FAILED = "finalize_failed"
    NOT_ATTEMPTED = "not_attempted"


_VERDICTS = frozenset({Outcome.APPLIED, Outcome.FELL_BACK})


@dataclass(frozen=True, slots=True)
class RebootRequest:
    """When logind was asked: ``boot_secs`` counts in the boot of the intent and in no other."""

    at: datetime
    boot_secs: float


@dataclass(frozen=True, slots=True)
class Intent:
    """An attempt under way, written before anything of it is done.

    ``id`` names the attempt in history and journal. ``had_entry``: the target had a boot entry already (a release that
    was once booted and left), so that finding one after the boot is no proof that this attempt made it.
    """

    id: str
    boot: BootInstance
    origin: Release
    target: Release
    purpose: str
    reason: str
    written_at: datetime
    had_entry: bool = False
    requested: RebootRequest | None = None
    extra: Mapping[str, object] = field(default_factory=lambda: _NOTHING, compare=False)


@dataclass(frozen=True, slots=True)
class Denial:
    """A release that is never staged again until somebody lifts this."""

    release: Release
    cause: str
    evidence: str
    at: datetime
    extra: Mapping[str, object] = field(default_factory=lambda: _NOTHING, compare=False)


@dataclass(frozen=True, slots=True)
class Attempt:
    """An intent that has come to its end."""

    id: str
    origin: Release
    target: Release
    purpose: str
    reason: str
    started_at: datetime
    ended_at: datetime
    outcome: str
    detail: str
    extra: Mapping[str, object] = field(default_factory=lambda: _NOTHING, compare=False)


@dataclass(frozen=True, slots=True)
class Records:
    """The whole document."""

    intent: Intent | None = None
    denied: tuple[Denial, ...] = ()
    history: tuple[Attempt, ...] = ()
    extra: Mapping[str, object] = field(default_factory=lambda: _NOTHING, compare=False)

    def opened(self, intent: Intent) -> Records:
        """With ``intent`` as the attempt under way."""
        return replace(self, intent=intent)

    def closed(self, outcome: Outcome, detail: str, now: Now) -> Records:
        """With the attempt under way moved to the history; unchanged when there is none."""
        if self.intent is None:
            return self
        attempt = _close(self.intent, outcome, detail, now)
        return replace(self, intent=None, history=(*self.history, attempt)[-HISTORY_LENGTH:])

    def abandoned(self) -> Records:
        """With the attempt under way forgotten: it was taken back before it could come to anything."""
        return replace(self, intent=None)

    def with_denied(self, denial: Denial) -> Records:
        """With ``denial`` added; the first denial of a payload stands, with its evidence."""
        known = self.denial_of(denial.release.payload) is not None
        return self if known else replace(self, denied=(*self.denied, denial))

    def denial_of(self, payload: str) -> Denial | None:
        """Why ``payload`` is denied, or None."""
        return next((denial for denial in self.denied if denial.release.payload == payload), None)

    def failures_in_a_row(self, payload: str) -> int:
        """How many of the latest attempts at ``payload`` came to nothing without a verdict on the release."""
        count = 0
        for attempt in reversed(self.history):
            if attempt.target.payload != payload or attempt.outcome in _VERDICTS:
                break
            count += 1
        return count


_INTENT_ONLY = frozenset({"boot", "requested"})
"""Objects of an intent that its attempt does not have."""


def _close(intent: Intent, outcome: Outcome, detail: str, now: Now) -> Attempt:
    return Attempt(
        id=intent.id,
        origin=intent.origin,
        target=intent.target,
        purpose=intent.purpose,
        reason=intent.reason,
        started_at=intent.written_at,
        ended_at=now.wall,
        outcome=outcome,
        detail=detail,
        extra={key: value for key, value in intent.extra.items() if key not in _INTENT_ONLY},
    )
