"""The result of a health probe, as the machine receives it, and the protocol of what probes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Weight(StrEnum):
    """Whether a check counts in the verdict on a boot."""

    REQUIRED = "required"
    """The check counts: the boot is bad if too many of these fail."""

    ADVISORY = "advisory"
    """The check is shown and recorded, and never decides."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check in one probe.

    ``check`` is the check's name, as people and metrics have it. ``detail`` is one printable line: what was found, or
    why the check did not pass, with the end of its output where it is a program.
    """

    check: str
    weight: Weight
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One run of every configured check; there is at least one.

    ``journal_cursor`` is the end of the journal at that time, as ``journalctl --after-cursor`` takes it. It is empty
    where no required check failed, or where it could not be determined.
    """

    findings: tuple[Finding, ...]
    journal_cursor: str = ""


class HealthProber(Protocol):
    """Probes the health of the running boot."""

    async def probe(self, failed_before: frozenset[str]) -> ProbeResult:
        """Run every check once, concurrently, each within its own deadline.

        A check that cannot be run has not passed, and its finding says why. ``failed_before`` are the units that had
        failed in the previous release already; they do not count as failures of this one.

        Raises:
            TidegateError: no check at all could be run.
        """
        ...
