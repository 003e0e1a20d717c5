"""A client of systemd's manager: the states of units, and the number of soft-reboots in this boot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from tidegate.bus.bus import Bus
from tidegate.bus.errors import UNKNOWN_PROPERTY, CallFailed
from tidegate.bus.message import Endpoint

SERVICE = "org.freedesktop.systemd1"
MANAGER = Endpoint(SERVICE, "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")
UNIT_INTERFACE = "org.freedesktop.systemd1.Unit"


@dataclass(frozen=True, slots=True)
class UnitState:
    """The state of a unit: LoadState, ActiveState and SubState of ``systemctl show``."""

    load: str
    active: str
    sub: str


class Systemd:
    """Read-only calls to systemd's manager."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def unit_state(self, name: str) -> UnitState:
        """Return the state of the unit ``name``; one that does not exist is ``not-found`` and ``inactive``.

        Raises:
            TidegateError: systemd cannot be asked.
        """
        (path,) = await self._bus.call(MANAGER, "LoadUnit", "s", name, returns="o")
        unit = Endpoint(SERVICE, cast(str, path), UNIT_INTERFACE)
        load = await self._bus.get_property(unit, "LoadState", "s")
        active = await self._bus.get_property(unit, "ActiveState", "s")
        sub = await self._bus.get_property(unit, "SubState", "s")
        return UnitState(str(load), str(active), str(sub))

    async def failed_units(self) -> frozenset[str]:
        """Return the names of the failed units.

        Raises:
            TidegateError: systemd cannot be asked.
        """
        (units,) = await self._bus.call(MANAGER, "ListUnitsByPatterns", "asas", ["failed"], [], returns="a(ssssssouso)")
        return frozenset(unit[0] for unit in cast("Sequence[tuple[str, ...]]", units))

    async def soft_reboots_count(self) -> int:
        """Return the number of soft-reboots in this boot; 0 before systemd 254, which has none.

        Raises:
            TidegateError: systemd cannot be asked.
        """
        try:
            return int(cast(int, await self._bus.get_property(MANAGER, "SoftRebootsCount", "u")))
        except CallFailed as err:
            if err.error_name != UNKNOWN_PROPERTY:
                raise
            return 0
