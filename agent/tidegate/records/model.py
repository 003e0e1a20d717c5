"""The records: all state of the agent that survives its process and the boot.

These are the intent of the attempt under way, the verification of the boot that it led to, a pending rollback, the lock
record, the deny list, the history of attempts, and since when a staged release has been waiting.

All of them are one document, so that one atomic write changes all of them together: an attempt is closed, its release
denied, its intent removed and its lock marked for release at once or not at all.

``purpose``, ``outcome``, ``cause`` and the lock's ``state`` are plain strings, and every record keeps unknown fields in
``extra``: a newer agent may write words and fields that this one does not know, and a rollback may boot this one again.
See :mod:`.codec`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from tidegate.clock import Now
from tidegate.fleetlock.account import LockAccount, LockRelease
from tidegate.release import Purpose, Release
from tidegate.system.boot import BootInstance
from tidegate.system.reboot import RebootKind

HISTORY_LENGTH = 100
"""Attempts kept: two years of a host that updates weekly. The document stays under 64 KiB."""

_NOTHING: Mapping[str, object] = MappingProxyType({})


class Outcome(StrEnum):
    """The result of an attempt, decided after the boot."""

    APPLIED = "applied"
    """The host runs the target."""

    REJECTED = "rejected"
    """The target was booted, and its health checks failed or a person rejected it."""

    FELL_BACK = "fell_back"
    """The target was the default of the boot loader, and another release was booted."""

    FINALIZE_FAILED = "finalize_failed"
    """The engine failed to apply the staged release while the host went down."""

    NOT_ATTEMPTED = "not_attempted"
    """The target never became the default of the boot loader: a power cut, or the attempt was undone."""


_VERDICTS = frozenset({Outcome.APPLIED, Outcome.REJECTED, Outcome.FELL_BACK})
"""Outcomes that say something about the release, rather than about the attempt."""


class EndCause(StrEnum):
    """What an outcome came of, where that changes what follows from it."""

    POWER_CUT = "power_cut"
    """The host stopped without a shutdown before the boot loader could see the switch to the target."""

    AFTER_HEALTHY_BOOTS = "boot_loader_after_healthy_boots"
    """The boot loader took another release, although the target has run and was healthy."""


CUTS_PER_FAILURE = 4
"""Power cuts that count as one failed attempt: they say nothing about a release, but a release on which the host dies
at each shutdown looks the same, and must not be tried for ever."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ends: the outcome, the detail for people, and a word of :class:`EndCause` or nothing."""

    outcome: Outcome
    detail: str
    cause: str = ""


@dataclass(frozen=True, slots=True)
class RebootRequest:
    """When logind was asked to reboot. ``boot_secs`` is a reading of the boot clock in the boot of the intent."""

    at: datetime
    boot_secs: float


@dataclass(frozen=True, slots=True)
class Intent:
    """An attempt under way, written before anything changes the next boot.

    ``id`` names the attempt in the history and in the journal. ``had_entry``: the target already had a boot entry (a
    release that was booted before), so that an entry found after the boot does not prove that this attempt made it.
    ``failed_units`` had failed before the reboot was requested, so that their failure after it says nothing about the
    target. ``rollback_floor``: the lowest version to which the target allows an automatic rollback, according to its
    publisher; empty if there is no such limit. ``kind``: how the host goes down
    (:class:`~tidegate.system.reboot.RebootKind`).
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
    """The steps of a plan that have begun, saved before they begin: a restarted agent undoes them from here.

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
    """The verification of a boot into the target of the intent.

    ``began_secs``: when it began, on the boot clock of ``boot``. ``boots``: how many boots into the target have been
    verified so far, this one included. ``cut_boots``: how many of those before ended without a shutdown.
    ``healthy_secs``: for how long the target was watched and found healthy in earlier boots; ``healthy_now_secs``: in
    this one, as of the last time that it was saved. ``bad``: why this boot is unhealthy; empty if it is not, or not
    yet.
    """

    boot: BootInstance
    began_secs: float
    boots: int = 1
    bad: str = ""
    cut_boots: int = 0
    healthy_secs: float = 0.0
    healthy_now_secs: float = 0.0
    extra: Mapping[str, object] = field(default_factory=lambda: _NOTHING, compare=False)


@dataclass(frozen=True, slots=True)
class RollbackDue:
    """A pending rollback from ``origin``, which is booted, to ``target``; kept until ``target`` is booted.

    ``failed_units`` had failed in ``target`` when the host left it, as far as is known.
    """

    origin: Release
    target: Release
    reason: str
    since: datetime
    failed_units: tuple[str, ...] = ()
    extra: Mapping[str, object] = field(default_factory=lambda: _NOTHING, compare=False)


class DenialCause(StrEnum):
    """Why a release was denied."""

    FELL_BACK = "fell_back"
    UNHEALTHY = "unhealthy"
    PERSON = "person"
    """A person denied it, rolled back from it, or left it without the agent."""


@dataclass(frozen=True, slots=True)
class Denial:
    """A release that is not staged again until a person lifts the denial (``tidegate allow``).

    ``boot_id`` and ``journal_cursor`` point to the evidence in the journal; they are empty if there is none.
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
    """An attempt that has ended, as the history keeps it.

    ``cause`` is a word of :class:`EndCause`, or empty. ``healthy_secs``: for how long the target was found healthy
    before another release was booted instead.
    """

    id: str
    origin: Release
    target: Release
    purpose: str
    reason: str
    started_at: datetime
    ended_at: datetime
    outcome: str
    detail: str
    cause: str = ""
    healthy_secs: float = 0.0
    extra: Mapping[str, object] = field(default_factory=lambda: _NOTHING, compare=False)


class LockState(StrEnum):
    """The state of a lock as this host knows it. An unknown word is treated as ``maybe_held``."""

    MAYBE_HELD = "maybe_held"
    """A request for it was sent, or was about to be; no answer is known."""

    HELD = "held"
    RELEASE_OWED = "release_owed"
    """It is not needed any more; its release is retried until the server answers."""


@dataclass(frozen=True, slots=True)
class LockRecord:
    """A lock that this host may hold: written before the request, removed when the server has confirmed the release.

    ``boot``: the boot in which it was requested. ``release``: when to release it, a word of :class:`LockRelease`.
    ``tells``: whether requests name the releases (:class:`~tidegate.fleetlock.protocol.UpdateParams`).
    ``unanswered_until_secs`` (boot clock of ``boot``): until when a request for the lock that was not answered may
    still be carried out; 0 when every request was answered. No unlock is sent before.
    """

    account: LockAccount
    boot: BootInstance
    state: str
    since: datetime
    release: str = LockRelease.AFTER_HEALTH
    tells: bool = False
    unanswered_until_secs: float = 0.0
    extra: Mapping[str, object] = field(default_factory=lambda: _NOTHING, compare=False)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Since when a staged release has been waiting, and since when each gate (by name) has been holding it.

    ``booted`` is the payload of the release that the host runs; in another one the record is stale. ``target`` is that
    of the release that waits; empty where an older agent has not said it.
    """

    booted: str
    since: datetime
    gates: Mapping[str, datetime] = field(default_factory=dict[str, datetime])
    target: str = ""
    extra: Mapping[str, object] = field(default_factory=lambda: _NOTHING, compare=False)


def _unless_ended(here: AttemptRecord | None, known: AttemptRecord | None) -> AttemptRecord | None:
    """``known`` where ``here`` is the same attempt, or none, with fewer steps left to undo."""
    if here is None or known is None:
        return here or known
    return known if replace(here, begun=known.begun) == known and {*here.begun} <= {*known.begun} else here


def _unless_released(here: LockRecord | None, known: LockRecord | None) -> LockRecord | None:
    """``known`` where ``here`` is the same lock, to be released, or none."""
    if here is None or known is None:
        return here or known
    owed = replace(known, state=LockState.RELEASE_OWED, unanswered_until_secs=here.unanswered_until_secs)
    return known if here == owed else here


@dataclass(frozen=True, slots=True)
class Records:
    """The whole document.

    ``settled``: the last release that the host ran with no attempt under way. ``first_seen``: when each payload on
    offer was first seen by this host; empty unless a policy depends on that age.
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

    def closed(self, ending: Ending, now: Now) -> Records:
        """With the attempt under way moved to the history and its verification ended."""
        if self.intent is None:
            return self if self.verification is None else replace(self, verification=None)
        attempt = _close(self.intent, ending, self.watched_healthy_secs, now)
        history = (*self.history, attempt)[-HISTORY_LENGTH:]
        return replace(self, intent=None, attempt=None, verification=None, waiting=None, history=history)

    @property
    def obligations(self) -> Records:
        """The records without those that the agent can do without while the disk is full.

        What remains has to be on disk before the agent acts on it.
        """
        verification = self.verification if self.verification is not None and self.verification.bad else None
        intent = None if self.intent is None else replace(self.intent, had_entry=False)
        return replace(self, intent=intent, waiting=None, verification=verification, settled=None, first_seen={})

    def only_ends(self, before: Records) -> bool:
        """Whether these differ from ``before`` only in that something which was under way has ended.

        That need not be on disk before the agent goes on: with the older records, another start ends it once more, and
        every end is idempotent: an undo, the release of a lock, the conclusion of an attempt.
        """
        known, here = before.obligations, self.obligations
        return known == replace(
            here,
            intent=here.intent or known.intent,
            attempt=_unless_ended(here.attempt, known.attempt),
            lock=_unless_released(here.lock, known.lock),
            verification=here.verification or known.verification,
            history=known.history,
        )

    def lock_is(self, state: LockState) -> Records:
        """With the lock record, if there is one, in ``state``."""
        return self if self.lock is None else replace(self, lock=replace(self.lock, state=state))

    def with_denied(self, denial: Denial) -> Records:
        """With ``denial`` added, unless its payload is denied already: the first evidence is kept."""
        known = self.denial_of(denial.release.payload) is not None
        return self if known else replace(self, denied=(*self.denied, denial))

    def without_denied(self, payload: str) -> Records:
        """With the denial of ``payload`` lifted."""
        return replace(self, denied=tuple(denial for denial in self.denied if denial.release.payload != payload))

    def denial_of(self, payload: str) -> Denial | None:
        """The denial of ``payload``; None if it is not denied."""
        return next((denial for denial in self.denied if denial.release.payload == payload), None)

    @property
    def watched_healthy_secs(self) -> float:
        """For how long the target of the attempt under way has been found healthy, in all of its boots."""
        known = self.verification
        return 0.0 if known is None else known.healthy_secs + known.healthy_now_secs

    def failures_in_a_row(self, payload: str) -> int:
        """The number of consecutive latest attempts at ``payload`` that failed without a verdict on the release.

        Of those that a power cut ended, :data:`CUTS_PER_FAILURE` count as one.
        """
        failures = cuts = 0
        for attempt in reversed(self.history):
            if attempt.target.payload != payload or _is_verdict(attempt):
                break
            if attempt.cause == EndCause.POWER_CUT:
                cuts += 1
            else:
                failures += 1
        return failures + cuts // CUTS_PER_FAILURE

    def healthy_before(self, payload: str) -> bool:
        """Whether the host has run ``payload`` and it was healthy: after an attempt, or before an update."""
        updates = (attempt for attempt in self.history if attempt.purpose != Purpose.ROLLBACK)
        return any(attempt.origin.payload == payload for attempt in updates) or any(
            attempt.target.payload == payload and _was_healthy(attempt) for attempt in self.history
        )

    def was_left(self, payload: str) -> bool:
        """Whether a rollback from ``payload`` was attempted before."""
        rollbacks = (attempt for attempt in self.history if attempt.purpose == Purpose.ROLLBACK)
        return any(attempt.origin.payload == payload for attempt in rollbacks)

    def has_run(self, payload: str) -> bool:
        """Whether the host has run ``payload``, according to the history."""
        return any(
            payload == attempt.origin.payload
            or (payload == attempt.target.payload and attempt.outcome in (Outcome.APPLIED, Outcome.REJECTED))
            for attempt in self.history
        )


_INTENT_ONLY = frozenset({"boot", "requested"})
"""Nested objects of an intent that an attempt does not have: their unknown fields are dropped with them."""


def _is_verdict(attempt: Attempt) -> bool:
    return attempt.outcome in _VERDICTS and attempt.cause != EndCause.AFTER_HEALTHY_BOOTS


def _was_healthy(attempt: Attempt) -> bool:
    return attempt.outcome == Outcome.APPLIED or attempt.healthy_secs > 0


def _close(intent: Intent, ending: Ending, healthy_secs: float, now: Now) -> Attempt:
    return Attempt(
        id=intent.id,
        origin=intent.origin,
        target=intent.target,
        purpose=intent.purpose,
        reason=intent.reason,
        started_at=intent.written_at,
        ended_at=now.wall,
        outcome=ending.outcome,
        detail=ending.detail,
        cause=ending.cause,
        healthy_secs=healthy_secs,
        extra={key: value for key, value in intent.extra.items() if key not in _INTENT_ONLY},
    )
