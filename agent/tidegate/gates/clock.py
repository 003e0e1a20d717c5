"""Gate ``clock``: hold back updates that depend on a clock which may be wrong.

The verdict is that of the moment. When the clock is stepped, the agent asks all gates again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from tidegate.clock import BUILT_AFTER, rfc3339
from tidegate.config.keys import key
from tidegate.config.kinds.scalar import Choice
from tidegate.errors import TidegateError
from tidegate.gates.base import (
    Allow,
    Gate,
    GateSpec,
    Question,
    Rank,
    SpecifiedGate,
    Verdict,
    Wait,
    override_command,
)
from tidegate.release import Purpose

if TYPE_CHECKING:
    from tidegate.gates.select import GateSources
    from tidegate.settings import Settings

REQUIREMENTS = ("auto", "always", "never")


@dataclass(frozen=True, slots=True)
class ClockSettings:
    """``[gates.clock]``: whether a reboot needs a synchronised clock."""

    require: str = key(
        "auto",
        Choice(REQUIREMENTS),
        "Whether the clock must be synchronised for a reboot; `auto`: only where windows, an expiry or "
        "`updates.min_release_age_secs` depend on it.",
    )


def _build(settings: Settings, sources: GateSources) -> Iterator[Gate]:
    """The gate, unless it is switched off.

    A strategy that depends on the clock may allow without an end (a window beyond the horizon), and a release of some
    age has none, which :func:`where_time_is_limited` alone would miss.
    """
    require = settings.of(ClockSettings).require
    if require == "never":
        return
    by_clock = any(spec.by_clock for spec in settings.strategies) or settings.updates.min_release_age_secs > 0
    depends = require == "always" or by_clock
    yield ClockGate(always if depends else where_time_is_limited, sources.timedate.synchronized)


SPEC = GateSpec(
    "clock",
    "the clock is not synchronised, or shows a time before this version was built",
    guards=frozenset({Purpose.UPDATE}),
    overridable=True,
    rank=Rank.CLOCK,
    table="gates.clock",
    section=ClockSettings,
    build=_build,
)


def always(_question: Question) -> bool:
    """The clock is needed for every update."""
    return True


def where_time_is_limited(question: Question) -> bool:
    """The clock is needed where a gate before this one allows the reboot only until some instant."""
    return question.allowed_until is not None


class ClockGate(SpecifiedGate):
    """Waits while the clock is needed and cannot be trusted: it is not synchronised, or shows an impossible time."""

    spec = SPEC

    _remedy = (
        "timedatectl set-ntp true, and see timedatectl; where the clock is right without a time server: "
        f'gates.clock.require = "never"; or {override_command(SPEC.name)}'
    )

    def __init__(self, needed: Callable[[Question], bool], synchronized: Callable[[], Awaitable[bool]]) -> None:
        self._needed = needed
        self._synchronized = synchronized

    async def ask(self, question: Question) -> Verdict:
        """Whether the clock is trustworthy enough for time-based gates."""
        if not self._needed(question):
            return Allow(self.name, "nothing depends on the clock")
        doubt = await self._doubt(question.now.wall)
        return Allow(self.name) if doubt is None else Wait(self.name, doubt, remedy=self._remedy)

    async def _doubt(self, wall: datetime) -> str | None:
        if wall < BUILT_AFTER:
            return f"the clock is wrong: it shows {rfc3339(wall)}, and Tidegate was built after {rfc3339(BUILT_AFTER)}"
        try:
            synchronized = await self._synchronized()
        except TidegateError as err:
            return f"it is not known whether the clock is right: {err.message}"
        return None if synchronized else "according to the kernel, the clock is not synchronised with a time server"
