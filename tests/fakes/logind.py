"""systemd-logind as far as the agent talks to it: sessions, inhibitors, polkit's verdict, one shutdown at a time.

``version`` chooses between the manners that were seen on systemd 252 and on 257; ``polkit_allows`` stands for the rule
that lets the agent reboot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType

from tidegate.bus.bus import Bus, Exported
from tidegate.bus.errors import (
    ACCESS_DENIED,
    INTERACTIVE_AUTHORIZATION_REQUIRED,
    INVALID_ARGS,
    UNKNOWN_METHOD,
    ErrorReply,
)
from tidegate.bus.interface import Caller, Interface, Method, Property, Signal
from tidegate.bus.message import Typed
from tidegate.services.logind import MANAGER
from tidegate.services.sessions import SESSION_INTERFACE

UNCHANGED: Mapping[str, Typed | None] = MappingProxyType({})
OPERATION_IN_PROGRESS = "org.freedesktop.login1.OperationInProgress"


def session_properties(name: str, uid: int, user: str) -> dict[str, Typed]:
    """The properties of a login on a terminal, as systemd 245 to 257 have them in common."""
    return {
        "Id": Typed("s", name),
        "User": Typed("(uo)", (uid, f"/org/freedesktop/login1/user/_{uid}")),
        "Name": Typed("s", user),
        "Timestamp": Typed("t", 1_772_445_600_000_000),
        "TimestampMonotonic": Typed("t", 50_000_000),
        "TTY": Typed("s", "pts/3"),
        "Remote": Typed("b", False),
        "RemoteHost": Typed("s", ""),
        "Type": Typed("s", "tty"),
        "Class": Typed("s", "user"),
        "State": Typed("s", "active"),
        "IdleHint": Typed("b", False),
        "IdleSinceHint": Typed("t", 0),
    }


@dataclass(frozen=True, slots=True)
class FakeSession:
    """A session that is listed; without ``properties`` there is no object of it any more."""

    user: str
    uid: int
    properties: Mapping[str, Typed] | None


@dataclass
class FakeLogind:
    """What logind knows and has been asked for; change it to make the next answer another one."""

    version: int = 252
    polkit_allows: bool = True
    inhibitors: list[tuple[str, str, str, str, int, int]] = field(
        default_factory=list[tuple[str, str, str, str, int, int]]
    )
    sessions: dict[str, FakeSession] = field(default_factory=dict[str, FakeSession])
    sessions_readable: bool = True
    """Whether more is told of sessions than that they are there."""
    preparing: bool = False
    reboots: list[str] = field(default_factory=list[str])
    """The methods that reboots were asked for with, those that were refused left out."""
    wall_messages: list[str] = field(default_factory=list[str])
    _exported: Exported | None = None

    async def serve(self, bus: Bus) -> None:
        """Be logind on ``bus``."""
        self._exported = bus.export(MANAGER.path, self._interface())
        for name, session in self.sessions.items():
            if session.properties is not None:
                bus.export(_path(name), self._session_interface(session.properties))
        await bus.request_name(MANAGER.destination)

    def inhibit(self, who: str, why: str, mode: str = "block", what: str = "shutdown:sleep") -> None:
        """Somebody holds something back."""
        self.inhibitors.append((what, who, why, mode, 0, 1))

    def log_in(
        self, name: str, user: str = "core", uid: int = 1000, changed: Mapping[str, Typed | None] = UNCHANGED
    ) -> None:
        """Somebody opens a session; call it before :meth:`serve`. A property that is ``changed`` to None is missing."""
        there = {**session_properties(name, uid, user), **changed}
        self.sessions[name] = FakeSession(user, uid, {key: value for key, value in there.items() if value is not None})

    def log_out_when_listed(self, name: str) -> None:
        """Somebody's session ends between being listed and being read."""
        self.sessions[name] = FakeSession("gone", 1001, None)

    def prepare(self, active: bool) -> None:
        """A shutdown begins, or is called off."""
        self.preparing = active
        assert self._exported is not None
        self._exported.emit("PrepareForShutdown", active)

    def _interface(self) -> Interface:
        reboot = Method("Reboot", self._reboot, takes={"interactive": "b"})
        with_flags = Method("RebootWithFlags", self._reboot_with_flags, takes={"flags": "t"})
        others = (
            Method("ListSessions", self._list_sessions, returns={"sessions": "a(susso)"}),
            Method("ListInhibitors", self._list_inhibitors, returns={"inhibitors": "a(ssssuu)"}),
            Method("SetWallMessage", self._set_wall_message, takes={"message": "s", "enable": "b"}),
        )
        return Interface(
            MANAGER.interface,
            methods=(reboot, with_flags, *others),
            properties=(Property("PreparingForShutdown", "b", lambda: self.preparing),),
            signals=(Signal("PrepareForShutdown", {"start": "b"}),),
        )

    def _session_interface(self, there: Mapping[str, Typed]) -> Interface:
        properties = [Property(name, typed.signature, partial(_value, typed)) for name, typed in there.items()]
        return Interface(SESSION_INTERFACE, properties=tuple(properties), admit=self._admit)

    async def _admit(self, _caller: Caller) -> None:
        if not self.sessions_readable:
            raise ErrorReply(ACCESS_DENIED, "not for you")

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
        modes = {mode for what, _, _, mode, _, _ in self.inhibitors if "shutdown" in what.split(":")}
        blocked = bool(modes & {"block", "block-weak"})
        if blocked and self.version >= 257:
            raise ErrorReply(ACCESS_DENIED, "Access denied due to active block inhibitor")
        if blocked or not self.polkit_allows:
            raise ErrorReply(INTERACTIVE_AUTHORIZATION_REQUIRED, "Interactive authentication required.")
        self.reboots.append(method)
        self.prepare(True)
        return ()

    async def _list_sessions(self, _caller: Caller) -> tuple[object, ...]:
        return ([(name, one.uid, one.user, "", _path(name)) for name, one in self.sessions.items()],)

    async def _list_inhibitors(self, _caller: Caller) -> tuple[object, ...]:
        return (self.inhibitors,)

    async def _set_wall_message(self, _caller: Caller, message: str, _enable: bool) -> tuple[object, ...]:
        if not self.polkit_allows:
            raise ErrorReply(INTERACTIVE_AUTHORIZATION_REQUIRED, "Interactive authentication required.")
        self.wall_messages.append(message)
        return ()


def _path(name: str) -> str:
    return f"/org/freedesktop/login1/session/_3{name}"


def _value(typed: Typed) -> object:
    return typed.value
