"""The check ``boot-complete``: systemd's own word that a boot is well."""

from __future__ import annotations

from tidegate.health.base import Weight
from tidegate.health.check import Seen
from tidegate.services.systemd import Systemd

TARGET = "boot-complete.target"


class BootComplete:
    """The target is reached, for which every check that is ordered before it has passed.

    Our unit wants the target, so that there is a job for it in every boot. Where it did not get there, a person may
    start it after mending what was in its way.
    """

    name = "boot-complete"
    weight = Weight.REQUIRED

    def __init__(self, systemd: Systemd) -> None:
        self._systemd = systemd

    async def ask(self) -> Seen:
        """Look at the target."""
        unit = await self._systemd.unit_state(TARGET)
        if unit.active == "active":
            return Seen(passed=True, detail=f"{TARGET} is reached")
        help_ = f"see: systemctl list-dependencies --failed {TARGET}"
        return Seen(passed=False, detail=f"{TARGET} is {unit.active}; {help_}")
