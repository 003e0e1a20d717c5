"""The check ``failed-units``, where nothing else is asked for: no unit has failed that was well before the update."""

from __future__ import annotations

from tidegate.health.base import Weight
from tidegate.health.check import Seen
from tidegate.services.systemd import Systemd

MAX_NAMED = 10
"""Whoever has more failed units sees to systemctl anyway."""


class NoneFailed:
    """All units but those in ``excused``: what had failed in the release before, and what nobody cares for."""

    name = "failed-units"
    weight = Weight.REQUIRED

    def __init__(self, systemd: Systemd, excused: frozenset[str]) -> None:
        self._systemd = systemd
        self._excused = excused

    async def ask(self) -> Seen:
        """Look for units that have failed."""
        failed = sorted(await self._systemd.failed_units())
        news = [unit for unit in failed if unit not in self._excused]
        if news:
            return Seen(passed=False, detail=f"failed: {_listed(news)}; see: systemctl --failed")
        old = f" but what had failed before or is ignored: {_listed(failed)}" if failed else ""
        return Seen(passed=True, detail=f"no unit has failed{old}")


def _listed(units: list[str]) -> str:
    more = len(units) - MAX_NAMED
    return ", ".join(units[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")
