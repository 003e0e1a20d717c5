"""What the agent is busy with: one phase at a time, so that nothing can be staged while a boot is being verified.

A phase that waits for a task holds its id; an answer under any other id is stale and dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tidegate.engines.base import Progress
from tidegate.gates.base import Verdict
from tidegate.health.judgement import CheckState
from tidegate.release import Purpose, Release


@dataclass(frozen=True, slots=True)
class Starting:
    """Reading the host. ``task`` is None between two tries; then ``retry_at`` says when."""

    task: int | None
    retry_at: float | None = None


@dataclass(frozen=True, slots=True)
class Verifying:
    """The host is up in the target of the intent and is watched; nothing counts until it is found well.

    ``began``: boot clock, when the watch did. ``task`` is a look under way, or ``look_at`` (boot clock) says when the
    next one is due. ``pending``: what is still waited for.
    """

    began: float
    task: int | None = None
    checks: tuple[CheckState, ...] = ()
    pending: str = ""
    look_at: float | None = None


@dataclass(frozen=True, slots=True)
class Accepting:
    """The boot counts as good, and the engine is being told; ``task`` is None between two tries.

    ``detail``: what is put on record with it.
    """

    detail: str
    checks: tuple[CheckState, ...] = ()
    task: int | None = None
    retry_at: float | None = None


@dataclass(frozen=True, slots=True)
class Leaving:
    """The rollback that is due waits, in the release that is to be left.

    ``evaluate_at``: boot clock, when the gates are asked next; None while only a person can start it. ``verdicts``:
    their last answers.
    """

    target: Release
    since: datetime
    evaluate_at: float | None
    verdicts: tuple[Verdict, ...] = ()


@dataclass(frozen=True, slots=True)
class Steady:
    """Nothing is staged by us. ``wanted`` is a release that could be, where there is one."""

    wanted: Release | None = None


@dataclass(frozen=True, slots=True)
class Staging:
    """The engine is staging ``target``."""

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

    target: Release
    since: datetime
    evaluate_at: float | None
    verdicts: tuple[Verdict, ...] = ()


@dataclass(frozen=True, slots=True)
class Order:
    """Why the host is to reboot, and on whose word. It is good for one attempt.

    ``request``: the person who waits for an answer. ``overrides``: the gates, by name, that this person passes over.
    """

    purpose: Purpose
    reason: str
    request: int | None = None
    overrides: frozenset[str] = frozenset()


AUTOMATIC = Order(Purpose.UPDATE, "automatic")
"""What the strategy decides by itself."""


@dataclass(frozen=True, slots=True)
class Finalizing:
    """What all phases between the question and the reboot know."""

    target: Release
    since: datetime
    order: Order
    task: int


@dataclass(frozen=True, slots=True)
class Deciding(Finalizing):
    """The gates are being asked; nothing has been done yet."""


@dataclass(frozen=True, slots=True)
class Locking(Finalizing):
    """Every gate allows, the lock record is on disk, the lock server is being asked."""


@dataclass(frozen=True, slots=True)
class Arming(Finalizing):
    """The intent is on disk, the engine is arming."""


@dataclass(frozen=True, slots=True)
class Relocking(Finalizing):
    """Armed; the lock server is asked once more whether the lock is ours."""


@dataclass(frozen=True, slots=True)
class Confirming(Finalizing):
    """Armed; the gates are asked once more."""


@dataclass(frozen=True, slots=True)
class Requesting(Finalizing):
    """Logind is being asked."""


@dataclass(frozen=True, slots=True)
class Rebooting:
    """Logind accepted, or may have. ``deadline`` (boot clock): when the host should have been down long ago.

    ``otherwise``: what the attempt came to if it is still up then.
    """

    target: Release
    since: datetime
    deadline: float
    otherwise: str


@dataclass(frozen=True, slots=True)
class Disarming:
    """Taking an arming back. The intent stays on disk until it is done; ``task`` is None between two tries.

    ``closing``: what the attempt came to, when it counts as one; None when it was called off before it could.
    """

    target: Release
    since: datetime
    task: int | None
    verdicts: tuple[Verdict, ...]
    closing: str | None = None
    retry_at: float | None = None


@dataclass(frozen=True, slots=True)
class Paused:
    """The host is up in a release that is not well. Nothing is done but looking again: a person may be mending it."""

    reason: str
    look_at: float
    checks: tuple[CheckState, ...] = ()
    task: int | None = None


Phase = (
    Starting
    | Verifying
    | Accepting
    | Leaving
    | Steady
    | Staging
    | Staged
    | Deciding
    | Locking
    | Arming
    | Relocking
    | Confirming
    | Requesting
    | Rebooting
    | Disarming
    | Paused
)
