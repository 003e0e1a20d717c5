"""The health of a boot as systemd sees it: ``boot-complete.target``."""

from __future__ import annotations

from tidegate.dbus.systemd import Systemd
from tidegate.machine.events import Health, HealthPending, Healthy

TARGET = "boot-complete.target"


class BootHealth:
    """A boot is well once the target is reached, for which every check ordered before it has passed.

    Our unit wants the target and is ordered after it, so that by now its job has come to an end. Where it did not get
    there this is not a verdict yet: a person may start it after mending what was in its way.
    """

    def __init__(self, systemd: Systemd) -> None:
        self._systemd = systemd

    async def look(self) -> Health:
        """One look."""
        unit = await self._systemd.unit_state(TARGET)
        if unit.active == "active":
            return Healthy()
        return HealthPending(f"{TARGET} is {unit.active}; see: systemctl list-dependencies --failed {TARGET}")
