"""A client of polkit: check whether a caller is authorised (org.freedesktop.PolicyKit1.Authority)."""

from __future__ import annotations

import logging
from typing import cast

from tidegate.bus.bus import Bus
from tidegate.bus.interface import Caller
from tidegate.bus.message import Endpoint, Typed
from tidegate.errors import TidegateError

AUTHORITY = Endpoint(
    "org.freedesktop.PolicyKit1", "/org/freedesktop/PolicyKit1/Authority", "org.freedesktop.PolicyKit1.Authority"
)
_NO_INTERACTION = 0
_ALLOW_USER_INTERACTION = 1

ANSWER_SECS = 10.0
"""Without interaction polkit answers at once. A call that waits for it counts against the limits on calls."""

PROMPT_SECS = 120.0
"""For a person to type a password."""

_log = logging.getLogger(__name__)


async def check_authorization(bus: Bus, caller: Caller, action: str) -> bool:
    """Whether polkit authorises ``caller`` for ``action``, after a prompt if the caller may be prompted.

    False where polkit does not answer.
    """
    subject = ("system-bus-name", {"name": Typed("s", caller.unique_name)})
    no_details: dict[str, str] = {}
    try:
        (answer,) = await bus.call(
            AUTHORITY,
            "CheckAuthorization",
            "(sa{sv})sa{ss}us",
            subject,
            action,
            no_details,
            _ALLOW_USER_INTERACTION if caller.may_interact else _NO_INTERACTION,
            "",
            returns="(bba{ss})",
            timeout_secs=PROMPT_SECS if caller.may_interact else ANSWER_SECS,
        )
    except TidegateError as err:
        _log.warning("polkit does not answer, so %s is refused: %s", action, err.message)
        return False
    allowed, _challenge, _details = cast("tuple[bool, bool, object]", answer)
    return allowed
