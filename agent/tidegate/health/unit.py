"""The check ``[[health.unit]]``: a systemd unit is active."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidegate.health.base import Weight
from tidegate.health.check import CheckResult
from tidegate.services.systemd import Systemd, UnitState

if TYPE_CHECKING:
    from tidegate.health.checks.unit import UnitCheck

_RUNNING = frozenset({"active", "reloading", "refreshing"})  # the last one from systemd 257 on


class UnitActive:
    """Passes while the unit is active. A oneshot service needs ``RemainAfterExit=yes`` for that."""

    def __init__(self, check: UnitCheck, systemd: Systemd) -> None:
        self.name = f"unit/{check.name}"
        self.weight = Weight(check.weight)
        self._unit = check.unit
        self._systemd = systemd

    async def run(self) -> CheckResult:
        """Read the unit's state."""
        state = await self._systemd.unit_state(self._unit)
        if state.active in _RUNNING:
            return CheckResult(passed=True, detail=f"{self._unit} is {state.active}")
        return CheckResult(passed=False, detail=self._reason(state))

    def _reason(self, state: UnitState) -> str:
        match state.load:
            case "not-found":
                return f"there is no {self._unit}"
            case "masked":
                return f"{self._unit} is masked"
            case _:
                return f"{self._unit} is {state.active} ({state.sub}); see: systemctl status {self._unit}"
