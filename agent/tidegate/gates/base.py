"""What every gate answers: the host may reboot now, or it waits, for this reason and until then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from tidegate.clock import Now
from tidegate.purpose import Purpose
from tidegate.release import Release


@dataclass(frozen=True, slots=True)
class Allow:
    """The gate has nothing against a reboot at this moment, and at no other."""

    gate: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Wait:
    """No reboot now.

    ``until`` is the instant (UTC) at which the answer is known to change, where there is one; ``remedy`` is what a
    person would do to lift it.
    """

    gate: str
    reason: str
    until: datetime | None = None
    remedy: str = ""


Verdict = Allow | Wait


@dataclass(frozen=True, slots=True)
class Question:
    """What a gate is asked: may the host reboot into ``target`` for ``purpose``, now?"""

    target: Release
    purpose: Purpose
    now: Now


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

    async def ask(self, question: Question) -> Verdict:
        """Answer for this moment. Whatever it cannot find out is a reason to wait."""
        ...
