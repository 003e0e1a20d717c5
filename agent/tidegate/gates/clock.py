"""Gate ``clock``: no decision by a clock that may be wrong.

A clock that is set while a window is open or shut changes nothing here: the verdict is that of the moment, and whoever
asks asks again when the clock steps.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from tidegate.clock import BUILT_AFTER, rfc3339
from tidegate.errors import TidegateError
from tidegate.gates.base import Allow, Question, Verdict, Wait
from tidegate.release import Purpose

_REMEDY = (
    "timedatectl set-ntp true, and see timedatectl; where the clock is right without a time server: "
    'gates.clock.require = "never"; or tidegate apply --now --override clock --reason TEXT'
)


def always(_question: Question) -> bool:
    """The clock matters."""
    return True


def where_something_ends(question: Question) -> bool:
    """The clock matters where somebody before this gate allows the reboot only until some instant."""
    return question.shuts_at is not None


class ClockGate:
    """Waits while the clock is not to be trusted and ``matters``."""

    name = "clock"
    guards = frozenset({Purpose.UPDATE})
    overridable = True

    def __init__(self, matters: Callable[[Question], bool], synchronized: Callable[[], Awaitable[bool]]) -> None:
        self._matters = matters
        self._synchronized = synchronized

    async def ask(self, question: Question) -> Verdict:
        """Whether the clock may be gone by."""
        if not self._matters(question):
            return Allow(self.name, "nothing goes by the clock")
        wrong = await self._doubt(question.now.wall)
        return Allow(self.name) if wrong is None else Wait(self.name, wrong, remedy=_REMEDY)

    async def _doubt(self, wall: datetime) -> str | None:
        if wall < BUILT_AFTER:
            return f"the clock is wrong: it shows {rfc3339(wall)}, and Tidegate was built after {rfc3339(BUILT_AFTER)}"
        try:
            synchronized = await self._synchronized()
        except TidegateError as err:
            return f"it is not known whether the clock is right: {err.message}"
        return None if synchronized else "the clock is not synchronised with a time server, by the kernel's word"
