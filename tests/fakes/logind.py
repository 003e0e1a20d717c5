"""systemd-logind as far as the agent talks to it: inhibitors, polkit's verdict, one shutdown at a time.

``version`` chooses between the manners that were seen on systemd 252 and on 257; ``polkit_allows`` stands for the rule
that lets the agent reboot.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tidegate.dbus.bus import Bus, Exported
from tidegate.dbus.errors import (
    ACCESS_DENIED,
    INTERACTIVE_AUTHORIZATION_REQUIRED,
    INVALID_ARGS,
    UNKNOWN_METHOD,
    ErrorReply,
)
from tidegate.dbus.interface import Caller, Interface, Method, Property, Signal
from tidegate.dbus.logind import MANAGER

OPERATION_IN_PROGRESS = "org.freedesktop.login1.OperationInProgress"


@dataclass
class FakeLogind:
    """What logind knows and has been asked for; change it to make the next answer another one."""

    version: int = 252
    polkit_allows: bool = True
    inhibitors: list[tuple[str, str, str, str, int, int]] = field(
        default_factory=list[tuple[str, str, str, str, int, int]]
    )
    preparing: bool = False
    reboots: list[str] = field(default_factory=list[str])
    """The methods that reboots were asked for with, those that were refused left out."""
    wall_messages: list[str] = field(default_factory=list[str])
    _exported: Exported | None = None

    async def serve(self, bus: Bus) -> None:
        """Be logind on ``bus``."""
        self._exported = bus.export(MANAGER.path, self._interface())
        await bus.request_name(MANAGER.destination)

    def inhibit(self, who: str, why: str, mode: str = "block", what: str = "shutdown:sleep") -> None:
        """Somebody holds something back."""
        self.inhibitors.append((what, who, why, mode, 0, 1))

    def prepare(self, active: bool) -> None:
        """A shutdown begins, or is called off."""
        self.preparing = active
        assert self._exported is not None
        self._exported.emit("PrepareForShutdown", active)

    def _interface(self) -> Interface:
        reboot = Method("Reboot", self._reboot, takes={"interactive": "b"})
        with_flags = Method("RebootWithFlags", self._reboot_with_flags, takes={"flags": "t"})
        others = (
            Method("ListInhibitors", self._list_inhibitors, returns={"inhibitors": "a(ssssuu)"}),
            Method("SetWallMessage", self._set_wall_message, takes={"message": "s", "enable": "b"}),
        )
        return Interface(
            MANAGER.interface,
            methods=(reboot, with_flags, *others),
            properties=(Property("PreparingForShutdown", "b", lambda: self.preparing),),
            signals=(Signal("PrepareForShutdown", {"start": "b"}),),
        )

    async def _reboot(self, _caller: Caller, interactive: bool) -> tuple[object, ...]:
        assert not interactive, "the agent must never ask for a password"
        return self._go_down("Reboot")

    async def _reboot_with_flags(self, _caller: Caller, flags: int) -> tuple[object, ...]:
        if self.version < 248:
            raise ErrorReply(UNKNOWN_METHOD, "Unknown method RebootWithFlags or interface")
        if flags != 0:
            raise ErrorReply(INVALID_ARGS, "Invalid flags parameter")
        return self._go_down("RebootWithFlags")

    def _go_down(self, method: str) -> tuple[object, ...]:
        if self.preparing:
            raise ErrorReply(OPERATION_IN_PROGRESS, "There's already a shutdown or sleep operation in progress")
        blocked = any(mode == "block" and "shutdown" in what for what, _, _, mode, _, _ in self.inhibitors)
        if blocked and self.version >= 257:
            raise ErrorReply(ACCESS_DENIED, "Access denied due to active block inhibitor")
        if blocked or not self.polkit_allows:
            raise ErrorReply(INTERACTIVE_AUTHORIZATION_REQUIRED, "Interactive authentication required.")
        self.reboots.append(method)
        self.prepare(True)
        return ()

    async def _list_inhibitors(self, _caller: Caller) -> tuple[object, ...]:
        return (self.inhibitors,)

    async def _set_wall_message(self, _caller: Caller, message: str, _enable: bool) -> tuple[object, ...]:
        if not self.polkit_allows:
            raise ErrorReply(INTERACTIVE_AUTHORIZATION_REQUIRED, "Interactive authentication required.")
        self.wall_messages.append(message)
        return ()
