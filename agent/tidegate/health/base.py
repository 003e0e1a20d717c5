"""What a look at the health of a boot finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Weight(StrEnum):
    """What a check has to say in the verdict on a boot."""

    REQUIRED = "required"
    """It counts."""

    ADVISORY = "advisory"
    """It is shown and recorded, and never decides."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found at one look.

    ``check`` names it for people and in metrics. ``detail`` is one printable line: what was seen, or why it did not
    pass, with the end of its output where it is a program.
    """

    check: str
    weight: Weight
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True)
class HealthLook:
    """One look with every check that is configured, at least one.

    ``journal_cursor``: where the journal stood then, as ``journalctl --after-cursor`` takes it; empty where nothing
    that counts has failed, or where it is not known.
    """

    findings: tuple[Finding, ...]
    journal_cursor: str = ""


class HealthProbe(Protocol):
    """What looks at the health of a boot."""

    async def look(self, failed_before: frozenset[str]) -> HealthLook:
        """Look once, with every check side by side, each within its own time.

        A check that cannot be made has not passed, and says why. ``failed_before`` are the units that had failed in the
        release before this one: they are nothing new.
        """
        ...
