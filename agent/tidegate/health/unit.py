"""The check ``[[health.unit]]``: a unit of systemd is active."""

from __future__ import annotations

from tidegate.config.health import UnitCheck
from tidegate.health.base import Weight
from tidegate.health.check import Seen
from tidegate.services.systemd import Systemd, UnitState

_RUNNING = frozenset({"active", "reloading", "refreshing"})  # the last one from systemd 257 on


class UnitActive:
    """One unit. A oneshot service that does not remain after its exit is never active for long: it never passes."""

    def __init__(self, check: UnitCheck, systemd: Systemd) -> None:
        self.name = f"unit/{check.name}"
        self.weight = Weight(check.weight)
        self._unit = check.unit
        self._systemd = systemd

    async def ask(self) -> Seen:
        """Look at its state."""
        state = await self._systemd.unit_state(self._unit)
        if state.active in _RUNNING:
            return Seen(passed=True, detail=f"{self._unit} is {state.active}")
        return Seen(passed=False, detail=self._why(state))

    def _why(self, state: UnitState) -> str:
        match state.load:
            case "not-found":
                return f"there is no {self._unit}"
            case "masked":
                return f"{self._unit} is masked"
            case _:
                return f"{self._unit} is {state.active} ({state.sub}); see: systemctl status {self._unit}"
