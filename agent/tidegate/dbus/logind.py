"""systemd-logind: what takes the host down.

Flags, errors and their meaning by version: https://www.freedesktop.org/wiki/Software/systemd/logind/ and the man page
org.freedesktop.login1(5).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from tidegate.dbus.bus import Bus
from tidegate.dbus.errors import ABSENT, INVALID_ARGS, UNKNOWN_METHOD, CallFailed
from tidegate.dbus.match import Emission, Endpoint, Match
from tidegate.errors import ErrorKind, TidegateError

MANAGER = Endpoint("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager")

NO_FLAGS = 0
"""RebootWithFlags: none of the flags helps an honest caller; who asks without root is held by inhibitors anyway."""

_NOT_IN_THIS_SYSTEMD = frozenset({UNKNOWN_METHOD, INVALID_ARGS})
"""What systemd before 248 answers to RebootWithFlags, and any to a flag that it does not know."""


@dataclass(frozen=True, slots=True)
class Inhibitor:
    """Somebody who holds shutdowns back. ``what`` is a set of operations, ``mode`` block, block-weak or delay."""

    what: frozenset[str]
    who: str
    why: str
    mode: str

    @property
    def blocks_shutdown(self) -> bool:
        """Whether a reboot has to wait until this one is gone."""
        return "shutdown" in self.what and self.mode == "block"


class Logind:
    """Calls to logind's manager. Never asks for interactive authorisation: nobody sits in front of an agent."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def reboot(self) -> None:
        """Ask for a reboot.

        Raises:
            CallFailed: logind refused; its error name and text say why.
            TidegateError: ``reboot.unreachable`` where logind is not there; ``bus.*`` where nothing can be said.
        """
        try:
            await self._call("RebootWithFlags", "t", NO_FLAGS)
        except CallFailed as err:
            if err.error_name not in _NOT_IN_THIS_SYSTEMD:
                raise
            await self._call("Reboot", "b", False)  # noqa: FBT003 - the method's own argument: not interactive

    async def set_wall_message(self, text: str) -> None:
        """What whoever is logged in reads when the shutdown begins; raises as :meth:`reboot` does."""
        await self._call("SetWallMessage", "sb", text, True)  # noqa: FBT003 - the method's own argument: do send it

    async def inhibitors(self) -> tuple[Inhibitor, ...]:
        """Everybody who holds something back at the moment; raises as :meth:`reboot` does."""
        (found,) = await self._call("ListInhibitors", returns="a(ssssuu)")
        rows = cast("tuple[tuple[str, str, str, str, int, int], ...]", found)
        return tuple(Inhibitor(frozenset(what.split(":")), who, why, mode) for what, who, why, mode, _, _ in rows)

    async def preparing_for_shutdown(self) -> bool:
        """Whether a shutdown has begun; raises as :meth:`reboot` does."""
        try:
            return bool(await self._bus.get_property(MANAGER, "PreparingForShutdown", "b"))
        except CallFailed as err:
            raise _explained(err) from err

    async def on_prepare_for_shutdown(self, handler: Callable[[bool], None]) -> Callable[[], None]:
        """Call ``handler(True)`` when a shutdown begins, ``handler(False)`` when it is called off."""

        def heard(emission: Emission) -> None:
            handler(bool(emission.args[0]))

        return await self._bus.subscribe(Match(MANAGER, "PrepareForShutdown", "b"), heard)

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
