"""The phases of the agent: it is in one at a time, so that nothing is staged while a boot is being verified.

A phase that waits for a task holds its id; an answer under any other id is stale and dropped. ``word`` is its public
name, from the closed set of ``status --json``; ``activity`` completes "the agent is ..." in messages to people.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from tidegate.engines.base import Progress
from tidegate.gates.base import Verdict
from tidegate.health.judgement import CheckState
from tidegate.release import Purpose, Release


@dataclass(frozen=True, slots=True)
class Starting:
    """Reading the host. ``task`` is None between two tries; then ``retry_at`` says when."""

    word: ClassVar[str] = "verifying"
    activity: ClassVar[str] = "reading the state of the host"

    task: int | None
    retry_at: float | None = None


@dataclass(frozen=True, slots=True)
class Verifying:
    """The host is up in the target of the intent and is watched; nothing counts until it is found well.

    ``began``: boot clock, when the watch did. ``task`` is a look under way, or ``look_at`` (boot clock) says when the
    next one is due. ``pending``: what is still waited for.
    """

    word: ClassVar[str] = "verifying"
    activity: ClassVar[str] = "verifying this boot"

    began: float
    task: int | None = None
    checks: tuple[CheckState, ...] = ()
    pending: str = ""
    look_at: float | None = None


@dataclass(frozen=True, slots=True)
class MarkingGood:
    """The boot counts as good, and the engine is being told; ``task`` is None between two tries.

    ``detail``: what is put on record with it.
    """

    word: ClassVar[str] = "verifying"
    activity: ClassVar[str] = "marking this boot as good"

    detail: str
    checks: tuple[CheckState, ...] = ()
    task: int | None = None
    retry_at: float | None = None


@dataclass(frozen=True, slots=True)
class RollbackPending:
    """The rollback that is due waits, in the release that is to be left.

    ``evaluate_at``: boot clock, when the gates are asked next; None while only a person can start it. ``verdicts``:
    their last answers.
    """

    word: ClassVar[str] = "paused"
    activity: ClassVar[str] = "waiting to roll back"

    target: Release
    since: datetime
    evaluate_at: float | None
    verdicts: tuple[Verdict, ...] = ()


@dataclass(frozen=True, slots=True)
class Steady:
    """Nothing is staged by us. ``wanted`` is a release that could be, where there is one."""

    word: ClassVar[str] = "steady"
    activity: ClassVar[str] = "idle"

    wanted: Release | None = None


@dataclass(frozen=True, slots=True)
class Staging:
    """The engine is staging ``target``."""

    word: ClassVar[str] = "staging"
    activity: ClassVar[str] = "staging a release"

    target: Release
    since: datetime
    task: int
    progress: Progress | None = None


@dataclass(frozen=True, slots=True)
class Staged:
    """``target`` is staged and locked, and waits.

    ``since``: from when the host could have rebooted; a newer release takes it over. ``evaluate_at``: boot clock, when
    the gates are asked next; None while only a person can start it. ``verdicts``: their last answers.
    """

    word: ClassVar[str] = "staged"
    activity: ClassVar[str] = "waiting to reboot into the staged release"

    target: Release
    since: datetime
    evaluate_at: float | None
    verdicts: tuple[Verdict, ...] = ()


@dataclass(frozen=True, slots=True)
class Mandate:
    """Why the host is to reboot, and on whose word. It is good for one attempt.

    ``request``: the person who waits for an answer. ``overrides``: the gates, by name, that this person passes over.
    """

    purpose: Purpose
    reason: str
    request: int | None = None
    overrides: frozenset[str] = frozenset()


AUTOMATIC = Mandate(Purpose.UPDATE, "automatic")
"""What the strategy decides by itself."""


@dataclass(frozen=True, slots=True)
class Finalizing:
    """What all phases between the question and the reboot know."""

    word: ClassVar[str] = "finalizing"
    activity: ClassVar[str] = "preparing a reboot"

    target: Release
    since: datetime
    mandate: Mandate
    task: int


@dataclass(frozen=True, slots=True)
class CheckingGates(Finalizing):
    """The gates are being asked; nothing has been done yet."""


@dataclass(frozen=True, slots=True)
class Locking(Finalizing):
    """Every gate allows, the lock record is on disk, the lock server is being asked."""


@dataclass(frozen=True, slots=True)
class Arming(Finalizing):
    """The intent is on disk, the engine is arming."""


@dataclass(frozen=True, slots=True)
class ConfirmingLock(Finalizing):
    """Armed; the lock server is asked once more whether the lock is ours."""


@dataclass(frozen=True, slots=True)
class RecheckingGates(Finalizing):
    """Armed; the gates are asked once more."""


@dataclass(frozen=True, slots=True)
class RequestingReboot(Finalizing):
    """Logind is being asked."""


@dataclass(frozen=True, slots=True)
class Rebooting:
    """Logind accepted, or may have. ``deadline`` (boot clock): when the host should have been down long ago.

    ``otherwise``: what the attempt came to if it is still up then.
    """

    word: ClassVar[str] = "rebooting"
    activity: ClassVar[str] = "waiting for the host to go down"

    target: Release
    since: datetime
    deadline: float
    otherwise: str


@dataclass(frozen=True, slots=True)
class Disarming:
    """Taking an arming back. The intent stays on disk until it is done; ``task`` is None between two tries.

    ``closing``: what the attempt came to, when it counts as one; None when it was called off before it could.
    """

    word: ClassVar[str] = "finalizing"
    activity: ClassVar[str] = "undoing a reboot that was called off"

    target: Release
    since: datetime
    task: int | None
    verdicts: tuple[Verdict, ...]
    closing: str | None = None
    retry_at: float | None = None


@dataclass(frozen=True, slots=True)
class Paused:
    """The host is up in a release that is not well. Nothing is done but looking again: a person may be mending it."""

    word: ClassVar[str] = "paused"
    activity: ClassVar[str] = "paused after a bad update"

    reason: str
    look_at: float
    checks: tuple[CheckState, ...] = ()
    task: int | None = None


Phase = (
    Starting
    | Verifying
    | MarkingGood
    | RollbackPending
    | Steady
    | Staging
    | Staged
    | CheckingGates
    | Locking
    | Arming
    | ConfirmingLock
    | RecheckingGates
    | RequestingReboot
    | Rebooting
    | Disarming
    | Paused
)
