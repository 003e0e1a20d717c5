"""A kind of health check as one file: the moon is full."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidegate.config.keys import key, required
from tidegate.config.kinds.scalar import Integer
from tidegate.health.base import Weight
from tidegate.health.check import Check, CheckResult
from tidegate.health.spec import NAME, NAME_DOC, WEIGHT, WEIGHT_DOC, CheckSpec

if TYPE_CHECKING:
    from tidegate.health.select import HealthSources


@dataclass(frozen=True, slots=True)
class MoonCheck:
    """``[[health.moon]]``."""

    name: str = required(NAME, NAME_DOC)
    day: int = key(0, Integer(0, 28), "The day of the moon.")
    weight: str = key("required", WEIGHT, WEIGHT_DOC)


class Moon:
    """Passes on day 14."""

    def __init__(self, check: MoonCheck) -> None:
        self.name = f"moon/{check.name}"
        self.weight = Weight(check.weight)
        self._day = check.day

    async def run(self) -> CheckResult:
        """Compare the day."""
        return CheckResult(self._day == 14, f"day {self._day} of the moon")


def _build(checks: Sequence[MoonCheck], _sources: HealthSources) -> Iterator[Check]:
    yield from (Moon(check) for check in checks)


SPEC = CheckSpec("moon", "Moons that must be full.", MoonCheck, _build)
