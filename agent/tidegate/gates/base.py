"""What every gate answers: the host may reboot now, or it waits, for this reason and until then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Protocol

from tidegate.clock import Now
from tidegate.release import Purpose, Release


@dataclass(frozen=True, slots=True)
class Allow:
    """The gate has nothing against a reboot at this moment.

    ``until`` is the instant (UTC) at which that is known to end, where there is one: a window shuts.
    """

    gate: str
    detail: str = ""
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """People are to be told of the reboot, and given until ``until`` (UTC).

    ``terminals`` are those to write to, such as ``pts/3``; the text is for whoever sits there.
    """

    text: str
    until: datetime
    terminals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wait:
    """No reboot now.

    ``until`` is the instant (UTC) at which the answer is known to change, where there is one; ``remedy`` is what a
    person would do to lift it. ``notice`` is what has to be done first where nothing else holds the reboot.
    """

    gate: str
    reason: str
    until: datetime | None = None
    remedy: str = ""
    notice: Notice | None = None


Verdict = Allow | Wait

NOT_NOTICED: Mapping[str, Now] = MappingProxyType({})
"""Nobody was told of a reboot."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a gate is asked: may the host reboot into ``target`` for ``purpose``, now?

    ``shuts_at``: when the first of the gates before this one will no longer allow it, as far as they know. ``noticed``:
    when a notice was last given in this gate's name (by gate). Asking changes nothing anywhere: it is what `explain`
    does.
    """

    target: Release
    purpose: Purpose
    now: Now
    shuts_at: datetime | None = None
    noticed: Mapping[str, Now] = field(default_factory=lambda: NOT_NOTICED)


class Gate(Protocol):
    """One reason why a host may have to wait."""

    @property
    def name(self) -> str:
        """The gate's name in ``explain``, metrics and ``--override``."""
        ...

    @property
    def guards(self) -> frozenset[Purpose]:
        """The purposes that this gate is asked about."""
        ...

    @property
    def overridable(self) -> bool:
        """Whether a person may pass this gate over, once, by name."""
        ...

    async def ask(self, question: Question) -> Verdict:
        """Answer for this moment. Whatever it cannot find out is a reason to wait."""
        ...
