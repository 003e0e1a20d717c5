"""Gate ``inhibitors``: programs that have asked logind to keep the host up (``systemd-inhibit``)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from tidegate.gates.base import Allow, Question, Verdict, Wait
from tidegate.release import Purpose
from tidegate.services.logind import Inhibitor, holding


class Inhibitors:
    """Waits while anybody blocks shutdowns.

    Not to be overridden: logind would refuse the reboot all the same. (Before systemd 257 it would let root through;
    the agent is not root, and holds back all the same where it is.) What only delays shutdowns holds nothing.
    """

    name = "inhibitors"
    guards = frozenset(Purpose)
    overridable = False

    def __init__(self, look: Callable[[], Awaitable[Sequence[Inhibitor]]]) -> None:
        self._look = look

    async def ask(self, question: Question) -> Verdict:  # noqa: ARG002 - the protocol's signature
        """Who blocks shutdowns at this moment.

        Raises:
            TidegateError: logind cannot be asked.
        """
        held = holding(await self._look())
        if held is None:
            return Allow(self.name)
        return Wait(self.name, held, remedy="wait for it, or end it: systemd-inhibit --list")
