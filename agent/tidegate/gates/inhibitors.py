"""Gate ``inhibitors``: wait while a program holds a shutdown inhibitor lock of logind (``systemd-inhibit``)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from tidegate.gates.base import EVERY_PURPOSE, Allow, Gate, GateSpec, Question, Rank, SpecifiedGate, Verdict, Wait
from tidegate.services.inhibitors import Inhibitor, holding

if TYPE_CHECKING:
    from tidegate.gates.select import GateSources
    from tidegate.settings import Settings


def _build(_settings: Settings, sources: GateSources) -> Iterator[Gate]:
    yield Inhibitors(sources.logind.inhibitors)


SPEC = GateSpec(
    "inhibitors",
    "a program blocks shutdowns at logind (`systemd-inhibit --list`)",
    guards=EVERY_PURPOSE,
    overridable=False,
    rank=Rank.SERVICE,
    build=_build,
)


class Inhibitors(SpecifiedGate):
    """Waits for ``block`` inhibitors of ``shutdown``; ``delay`` inhibitors do not count.

    Not overridable, since logind would refuse the reboot. (Before systemd 257 it lets root pass; the agent is not root,
    and waits even where it runs as root.)
    """

    spec = SPEC

    def __init__(self, list_inhibitors: Callable[[], Awaitable[Sequence[Inhibitor]]]) -> None:
        self._list_inhibitors = list_inhibitors

    async def ask(self, question: Question) -> Verdict:  # noqa: ARG002 - the protocol's signature
        """List the inhibitors, and wait for the first that blocks.

        Raises:
            TidegateError: logind cannot be asked.
        """
        held = holding(await self._list_inhibitors())
        if held is None:
            return Allow(self.name)
        return Wait(self.name, held, remedy="wait for it, or end it: systemd-inhibit --list")
