"""The protocol of a health check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tidegate.health.base import Weight


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Whether a check passed; ``detail`` is one printable line on what was found."""

    passed: bool
    detail: str


class Check(Protocol):
    """A condition that holds on a healthy boot."""

    @property
    def name(self) -> str:
        """Kind and configured name, such as ``unit/web``; unique on a host."""
        ...

    @property
    def weight(self) -> Weight:
        """Whether the check counts in the verdict."""
        ...

    async def run(self) -> CheckResult:
        """Run the check once, within a deadline that the check itself keeps.

        Raises:
            TidegateError: the check could not be run.
        """
        ...
