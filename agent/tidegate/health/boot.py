"""The check ``boot-complete``: systemd has reached ``boot-complete.target``."""

from __future__ import annotations

from tidegate.health.base import Weight
from tidegate.health.check import CheckResult
from tidegate.services.systemd import Systemd

TARGET = "boot-complete.target"


class BootComplete:
    """Passes once the target is active, which needs every unit that is required by it and ordered before it.

    The agent's unit wants the target, so that every boot has a start job for it. Where that job failed, an operator may
    start the target again once the cause is fixed, so a failure is not final.
    """

    name = "boot-complete"
    weight = Weight.REQUIRED

    def __init__(self, systemd: Systemd) -> None:
        self._systemd = systemd

    async def run(self) -> CheckResult:
        """Read the target's state."""
        unit = await self._systemd.unit_state(TARGET)
        if unit.active == "active":
            return CheckResult(passed=True, detail=f"{TARGET} is reached")
        help_ = f"see: systemctl list-dependencies --failed {TARGET}"
        return CheckResult(passed=False, detail=f"{TARGET} is {unit.active}; {help_}")
