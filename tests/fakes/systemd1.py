"""systemd's manager: enough for the agent to read units from, and for a real systemd-logind to run beside."""

from __future__ import annotations

from dataclasses import dataclass, field

from tidegate.bus.bus import Bus
from tidegate.bus.interface import Caller, Interface, Method, Property
from tidegate.services.systemd import MANAGER, UNIT_INTERFACE, UnitState

LISTING = {"states": "as", "patterns": "as"}
NOT_FOUND = UnitState("not-found", "inactive", "dead")
DEFAULT_UNITS = {"reboot.target": UnitState("loaded", "inactive", "dead")}
"""A real logind reads the state of what it starts; of one that is not there it says "Permission denied"."""


@dataclass
class FakeSystemd1:
    """The manager. ``soft_reboots`` is None on systemd before 254, which has no such property."""

    units: dict[str, UnitState] = field(default_factory=DEFAULT_UNITS.copy)
    soft_reboots: int | None = None
    started: list[str] = field(default_factory=list[str])
    """The units that StartUnit was called for."""
    _bus: Bus | None = None

    async def serve(self, bus: Bus) -> None:
        """Be systemd on ``bus``."""
        self._bus = bus
        bus.export(MANAGER.path, self._interface())
        for name in self.units:
            self._export(name)
        await bus.request_name(MANAGER.destination)

    async def leave(self) -> None:
        """Be nobody any more."""
        assert self._bus is not None
        await self._bus.release_name(MANAGER.destination)

    def _interface(self) -> Interface:
        mode = {"name": "s", "mode": "s"}
        job = {"job": "o"}
        methods = (
            Method("LoadUnit", self._load_unit, takes={"name": "s"}, returns={"unit": "o"}),
            Method("StartUnit", self._start_unit, takes=mode, returns=job),
            Method("Subscribe", self._subscribe),
            Method("ListUnitsByPatterns", self._list_units, takes=LISTING, returns={"units": "a(ssssssouso)"}),
        )
        return Interface(MANAGER.interface, methods, self._properties())

    def _properties(self) -> tuple[Property, ...]:
        if self.soft_reboots is None:
            return ()
        return (Property("SoftRebootsCount", "u", lambda: self.soft_reboots),)

    async def _load_unit(self, _caller: Caller, name: str) -> tuple[object, ...]:
        return (self._export(name),)

    async def _start_unit(self, _caller: Caller, name: str, _mode: str) -> tuple[object, ...]:
        self.started.append(name)
        return (f"/org/freedesktop/systemd1/job/{len(self.started)}",)

    async def _list_units(
        self, _caller: Caller, states: tuple[str, ...], patterns: tuple[str, ...]
    ) -> tuple[object, ...]:
        """Those in one of ``states``; no pattern is every unit, and no other question is known here."""
        assert not patterns
        found = [(name, unit) for name, unit in self.units.items() if unit.active in states]
        return ([(name, "", unit.load, unit.active, unit.sub, "", "/", 0, "", "/") for name, unit in found],)

    async def _subscribe(self, _caller: Caller) -> tuple[object, ...]:
        return ()

    def _export(self, name: str) -> str:
        """Serve the object of ``name``; a unit that nobody has described is not found."""
        assert self._bus is not None
        path = MANAGER.path + "/unit/" + "".join(char if char.isalnum() else f"_{ord(char):02x}" for char in name)

        def state() -> UnitState:
            return self.units.get(name, NOT_FOUND)

        properties = (
            Property("LoadState", "s", lambda: state().load),
            Property("ActiveState", "s", lambda: state().active),
            Property("SubState", "s", lambda: state().sub),
        )
        self._bus.export(path, Interface(UNIT_INTERFACE, properties=properties))
        return path
