"""Reboot the host through logind, on the machine's request."""

from __future__ import annotations

import logging

from tidegate.bus import errors
from tidegate.bus.errors import CallFailed
from tidegate.errors import TidegateError
from tidegate.services.inhibitors import holding
from tidegate.services.logind import Logind
from tidegate.system.reboot import RebootAccepted, RebootAnswer, RebootKind, RebootRefused

OPERATION_IN_PROGRESS = "org.freedesktop.login1.OperationInProgress"

_log = logging.getLogger(__name__)


class LogindPower:
    """Implements :class:`tidegate.runner.Power` with logind."""

    def __init__(self, logind: Logind) -> None:
        self._logind = logind

    async def shutting_down(self) -> bool:
        """Whether a shutdown is under way.

        Raises:
            TidegateError: logind cannot be asked.
        """
        return await self._logind.preparing_for_shutdown()

    async def go_down(self, kind: RebootKind, announcement: str) -> RebootAnswer:
        """Request a reboot of this kind, and return whether logind accepted or refused it.

        Inhibitors are checked once more just before: systemd 252 lets some callers through that 257 refuses.

        Raises:
            TidegateError: logind is not running, or whether it accepted is not known.
        """
        if kind is not RebootKind.REBOOT:
            return RebootRefused(f"a {kind} is not supported here", "leave it to the default, a reboot")
        blocked = holding(await self._logind.inhibitors())
        if blocked is not None:
            return RebootRefused(blocked, "wait for it, or end it: systemd-inhibit --list")
        await self._announce(announcement)
        try:
            await self._logind.reboot()
        except CallFailed as err:
            return _refused(err)
        return RebootAccepted()

    async def _announce(self, text: str) -> None:
        """Set the wall message; a failure does not prevent the reboot."""
        try:
            await self._logind.set_wall_message(text)
        except TidegateError as err:
            _log.info("the shutdown is not announced on terminals: %s", err.message)


def _refused(error: CallFailed) -> RebootRefused:
    if error.error_name == OPERATION_IN_PROGRESS:
        return RebootRefused("another shutdown or sleep is in progress", "wait for it; tidegate status")
    if error.error_name in {errors.ACCESS_DENIED, errors.INTERACTIVE_AUTHORIZATION_REQUIRED}:
        return RebootRefused(
            f"logind does not allow it: {error.text}",
            "polkitd must run with /usr/share/polkit-1/rules.d/50-tidegate.rules in place (tidegate install); "
            "see who holds shutdowns back: systemd-inhibit --list",
        )
    return RebootRefused(f"logind refuses: {error.text or error.error_name}", "journalctl -u systemd-logind.service")
