"""A client of systemd-logind: reboots, inhibitors, and sessions.

Flags, errors and their meaning by version: https://www.freedesktop.org/wiki/Software/systemd/logind/ and the man page
org.freedesktop.login1(5).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from tidegate.bus.bus import Bus
from tidegate.bus.errors import ABSENT, INVALID_ARGS, UNKNOWN_METHOD, CallFailed
from tidegate.bus.message import Emission, Endpoint, Match
from tidegate.bus.server import PROPERTIES
from tidegate.errors import ErrorKind, TidegateError
from tidegate.services.inhibitors import Inhibitor
from tidegate.services.sessions import GONE, SESSION_INTERFACE, Listed, Session, session_of

MANAGER = Endpoint("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager")

NO_FLAGS = 0
"""RebootWithFlags: none of the flags applies here; inhibitors hold a caller without root anyway."""

_NOT_IN_THIS_SYSTEMD = frozenset({UNKNOWN_METHOD, INVALID_ARGS})
"""The errors of systemd before 248 for RebootWithFlags, and of any version for an unknown flag."""


class Logind:
    """Calls to logind's manager, never with interactive authorisation, which an agent cannot give."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def reboot(self) -> None:
        """Request a reboot.

        Raises:
            CallFailed: logind refused; its error name and text say why.
            TidegateError: ``reboot.unreachable`` where logind is not running; ``bus.*`` where the outcome is unknown.
        """
        try:
            await self._call("RebootWithFlags", "t", NO_FLAGS)
        except CallFailed as err:
            if err.error_name not in _NOT_IN_THIS_SYSTEMD:
                raise
            await self._call("Reboot", "b", False)  # noqa: FBT003 - the method's own argument: not interactive

    async def set_wall_message(self, text: str) -> None:
        """Set the text that is shown to logged-in users when the shutdown begins; raise as :meth:`reboot` does."""
        await self._call("SetWallMessage", "sb", text, True)  # noqa: FBT003 - the method's own argument: enable the message

    async def inhibitors(self) -> tuple[Inhibitor, ...]:
        """Return all inhibitor locks; raise as :meth:`reboot` does."""
        (found,) = await self._call("ListInhibitors", returns="a(ssssuu)")
        rows = cast("tuple[tuple[str, str, str, str, int, int], ...]", found)
        return tuple(Inhibitor(frozenset(what.split(":")), who, why, mode) for what, who, why, mode, _, _ in rows)

    async def sessions(self) -> tuple[Session, ...]:
        """Return all sessions, of people and of programs, without those that end meanwhile.

        Raises as :meth:`reboot` does.
        """
        (found,) = await self._call("ListSessions", returns="a(susso)")
        rows = cast("tuple[tuple[str, int, str, str, str], ...]", found)
        read = [await self._session(Listed(name, uid, user, path)) for name, uid, user, _seat, path in rows]
        return tuple(session for session in read if session is not None)

    async def _session(self, row: Listed) -> Session | None:
        there = Endpoint(MANAGER.destination, row.path, PROPERTIES)
        try:
            (found,) = await self._bus.call(there, "GetAll", "s", SESSION_INTERFACE, returns="a{sv}")
        except CallFailed as err:
            if err.error_name in GONE:
                return None
            raise _explained(err) from err
        return session_of(row, cast("Mapping[str, object]", found))

    async def preparing_for_shutdown(self) -> bool:
        """Whether a shutdown has begun; raise as :meth:`reboot` does."""
        try:
            return bool(await self._bus.get_property(MANAGER, "PreparingForShutdown", "b"))
        except CallFailed as err:
            raise _explained(err) from err

    async def on_prepare_for_shutdown(self, handler: Callable[[bool], None]) -> Callable[[], None]:
        """Call ``handler(True)`` when a shutdown begins, ``handler(False)`` when it is cancelled.

        Returns what ends the subscription. Raises TidegateError where the bus is lost.
        """

        def on_signal(emission: Emission) -> None:
            handler(bool(emission.args[0]))

        return await self._bus.subscribe(Match(MANAGER, "PrepareForShutdown", "b"), on_signal)

    async def _call(self, member: str, signature: str = "", *args: object, returns: str = "") -> tuple[object, ...]:
        try:
            return await self._bus.call(MANAGER, member, signature, *args, returns=returns)
        except CallFailed as err:
            raise _explained(err) from err


def _explained(error: CallFailed) -> TidegateError:
    if error.error_name in ABSENT:
        return TidegateError(
            ErrorKind.REBOOT_UNREACHABLE,
            f"logind does not answer: {error.text or error.error_name}",
            "systemctl status systemd-logind.service",
        )
    return error
