"""What outlives a process and a boot: the intent, the watch over the boot that it led to, a rollback that is due, the
lock record, the deny list, the history, and what waits.

They live in one document, so that one atomic write moves all of them together: an attempt is closed, its release
denied, its intent forgotten and its lock marked to be given back in the same instant or not at all.

``purpose``, ``outcome`` and the lock's ``state`` are plain strings here, and everything has room for ``extra`` fields:
a newer agent may have words that this one has not, and this one may be booted again by a rollback. See
:mod:`.codec`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from tidegate.clock import Now
from tidegate.fleetlock.account import LockAccount, LockRelease
from tidegate.reboot import RebootKind
from tidegate.release import Purpose, Release
from tidegate.system.boot import BootInstance

HISTORY_LENGTH = 100
"""Attempts kept. A host that updates weekly keeps two years; the document stays under 64 KiB."""

_NOTHING: Mapping[str, object] = MappingProxyType({})


class Outcome(StrEnum):
    """What an attempt came to, decided after the boot."""

    APPLIED = "applied"
    REJECTED = "rejected"
    """It was booted and is to be left again, by the verdict of its health or of a person."""
    FELL_BACK = "fell_back"
    FINALIZE_FAILED = "finalize_failed"
    NOT_ATTEMPTED = "not_attempted"


_VERDICTS = frozenset({Outcome.APPLIED, Outcome.REJECTED, Outcome.FELL_BACK})


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
    ``failed_units`` had failed when the reboot was asked for, and are no news after it. ``rollback_floor``: a version
    below which the target does not let a host go back by itself, as its publisher says; empty where it says nothing.
    ``kind``: how the host goes down, as :class:`~tidegate.reboot.RebootKind` has it.
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
    failed_units: tuple[str, ...] = ()
    rollback_floor: str = ""
    kind: str = RebootKind.REBOOT
    extra: Mapping[str, object] = field(default_factory=lambda: _NOTHING, compare=False)


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """What has begun of a plan, written before it begins: an agent that is restarted undoes it from here.

    ``begun`` are the words of :class:`~tidegate.machine.plan.PlanStep`, those with an undo only; ``boot`` is the boot
    in which they were begun. ``next_boot`` is the payload that a reboot led to before; empty where that is not known.
    ``order``, ``purpose`` and ``reason`` are for people.
    """

    boot: BootInstance
    target: Release
    order: str
    purpose: str
    reason: str
    since: datetime
    next_boot: str = ""
    begun: tuple[str, ...] = ()
    extra: Mapping[str, object] = field(default_factory=lambda: _NOTHING, compare=False)


@dataclass(frozen=True, slots=True)
class Verification:
    """The watch over a boot into the target of the intent.

    It began when the boot clock of ``boot`` stood at ``began_secs``. ``boots`` into the target were watched so far,
    this one included: a power cut in the watch begins it anew. ``bad``: why this one was found not well, or empty.
    """

    boot: BootInstance
    began_secs: float
    boots: int = 1
    bad: str = ""
    extra: Mapping[str, object] = field(default_factory=lambda: _NOTHING, compare=False)


@dataclass(frozen=True, slots=True)
class RollbackDue:
    """The decision to leave ``origin``, which is booted, for ``target``; it stands until that has happened.

    ``failed_units`` had failed in ``target`` when it was left, as far as is known.
    """

    origin: Release
    target: Release
    reason: str
    since: datetime
    failed_units: tuple[str, ...] = ()
    extra: Mapping[str, object] = field(default_factory=lambda: _NOTHING, compare=False)


class DenialCause(StrEnum):
    """Who found a release wanting."""

    FELL_BACK = "fell_back"
    """The boot loader, or what else chose an older entry than the one that had been made the default."""
    UNHEALTHY = "unhealthy"
    """The agent, by the health of a boot into it."""
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Denial:
    """A release that is never staged again until somebody lifts this.

    ``boot_id`` and ``journal_cursor`` say where to look in the journal; they are empty where there is nothing to see.
    """

    release: Release
    cause: str
    evidence: str
    at: datetime
    boot_id: str = ""
    journal_cursor: str = ""
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


class LockState(StrEnum):
    """What is known of a lock. A word that this agent does not know is as good as the first."""

    MAYBE_HELD = "maybe_held"
    """It was asked for, and no answer is known."""

    HELD = "held"
    """It was granted."""

    RELEASE_OWED = "release_owed"
    """It has served, or was never used; the server is to be told, and that until it answers."""


@dataclass(frozen=True, slots=True)
class LockRecord:
    """A lock that this host may hold: written before the server is asked for it, gone when the server has it back.

    ``boot``: the boot in which it was taken. ``release``: see :class:`LockRelease`. ``tells``: whether the server is
    told the releases (:class:`~tidegate.fleetlock.protocol.UpdateParams`).
    """

    account: LockAccount
    boot: BootInstance
    state: str
    since: datetime
    release: str = LockRelease.AFTER_HEALTH
    tells: bool = False
    extra: Mapping[str, object] = field(default_factory=lambda: _NOTHING, compare=False)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Since when a staged release waits, and since when each gate (by name) says so.

    ``booted`` is the payload of the release that the host runs meanwhile: what waited in another one is history.
    """

    booted: str
    since: datetime
    gates: Mapping[str, datetime] = field(default_factory=dict[str, datetime])
    extra: Mapping[str, object] = field(default_factory=lambda: _NOTHING, compare=False)


@dataclass(frozen=True, slots=True)
class Records:
    """The whole document.

    ``settled``: the release that the host ran last without an attempt under way. ``first_seen``: when each payload on
    offer was first offered to this host, kept only where somebody asks for an age.
    """

    intent: Intent | None = None
    lock: LockRecord | None = None
    waiting: Waiting | None = None
    denied: tuple[Denial, ...] = ()
    history: tuple[Attempt, ...] = ()
    verification: Verification | None = None
    rollback: RollbackDue | None = None
    settled: Release | None = None
    first_seen: Mapping[str, datetime] = field(default_factory=dict[str, datetime])
    attempt: AttemptRecord | None = None
    extra: Mapping[str, object] = field(default_factory=lambda: _NOTHING, compare=False)

    def opened(self, intent: Intent) -> Records:
        """With ``intent`` as the attempt under way."""
        return replace(self, intent=intent)

    def closed(self, outcome: Outcome, detail: str, now: Now) -> Records:
        """With the attempt under way moved to the history, and the watch over it ended."""
        if self.intent is None:
            return self if self.verification is None else replace(self, verification=None)
        attempt = _close(self.intent, outcome, detail, now)
        history = (*self.history, attempt)[-HISTORY_LENGTH:]
        return replace(self, intent=None, attempt=None, verification=None, waiting=None, history=history)

    def abandoned(self) -> Records:
        """With the attempt under way forgotten: it was undone before it could count as one."""
        return replace(self, intent=None, attempt=None)

    @property
    def obligations(self) -> Records:
        """Without what is only a note: what the host can do without if the disk is full."""
        verification = self.verification if self.verification is not None and self.verification.bad else None
        return replace(self, waiting=None, verification=verification, settled=None, first_seen={})

    def lock_is(self, state: LockState) -> Records:
        """With what is known now of the lock, if there is one."""
        return self if self.lock is None else replace(self, lock=replace(self.lock, state=state))

    def with_denied(self, denial: Denial) -> Records:
        """With ``denial`` added; the first denial of a payload stands, with its evidence."""
        known = self.denial_of(denial.release.payload) is not None
        return self if known else replace(self, denied=(*self.denied, denial))

    def without_denied(self, payload: str) -> Records:
        """With the denial of ``payload`` lifted."""
        return replace(self, denied=tuple(denial for denial in self.denied if denial.release.payload != payload))

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

    def was_left(self, payload: str) -> bool:
        """Whether a rollback from ``payload`` was attempted before."""
        ways_back = (attempt for attempt in self.history if attempt.purpose == Purpose.ROLLBACK)
        return any(attempt.origin.payload == payload for attempt in ways_back)

    def has_run(self, payload: str) -> bool:
        """Whether some attempt began in ``payload``, or led there."""
        return any(
            payload == attempt.origin.payload
            or (payload == attempt.target.payload and attempt.outcome in (Outcome.APPLIED, Outcome.REJECTED))
            for attempt in self.history
        )


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
