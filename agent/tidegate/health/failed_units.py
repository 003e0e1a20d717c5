"""The check ``failed-units``: no unit has failed that had not failed before the update.

It is run where no other check is required.
"""

from __future__ import annotations

from tidegate.health.base import Weight
from tidegate.health.check import CheckResult
from tidegate.services.systemd import Systemd

MAX_NAMED = 10
"""Units in one line of detail; ``systemctl --failed`` lists the rest."""


class NoFailedUnits:
    """Passes while every failed unit is in ``excused``: ignored by configuration, or failed before the update."""

    name = "failed-units"
    weight = Weight.REQUIRED

    def __init__(self, systemd: Systemd, excused: frozenset[str]) -> None:
        self._systemd = systemd
        self._excused = excused

    async def run(self) -> CheckResult:
        """List the failed units."""
        failed = sorted(await self._systemd.failed_units())
        new = [unit for unit in failed if unit not in self._excused]
        if new:
            return CheckResult(passed=False, detail=f"failed: {_listed(new)}; see: systemctl --failed")
        excused = f" but those that had failed before or are ignored: {_listed(failed)}" if failed else ""
        return CheckResult(passed=True, detail=f"no unit has failed{excused}")


def _listed(units: list[str]) -> str:
    more = len(units) - MAX_NAMED
    return ", ".join(units[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")
