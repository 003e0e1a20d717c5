"""Gate ``interval``: keep a minimum time between the last boot and a reboot for an update."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from tidegate.config.keys import key
from tidegate.config.kinds.scalar import MAX_INTERVAL_SECS, Integer
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
from tidegate.system.boot import start_ticks

if TYPE_CHECKING:
    from tidegate.gates.select import GateSources
    from tidegate.settings import Settings


@dataclass(frozen=True, slots=True)
class IntervalSettings:
    """``[gates.interval]``: a minimum time between two reboots."""

    min_secs: int = key(
        0, Integer(0, MAX_INTERVAL_SECS), "Seconds that must pass between the last boot and a reboot for an update."
    )


def _build(settings: Settings, sources: GateSources) -> Iterator[Gate]:
    if min_secs := settings.of(IntervalSettings).min_secs:
        yield Interval(min_secs, sources.boot_began_secs)


SPEC = GateSpec(
    "interval",
    "the host has been up for less than `gates.interval.min_secs`",
    guards=frozenset({Purpose.UPDATE}),
    overridable=True,
    etiquette=True,
    rank=Rank.CHEAP,
    table="gates.interval",
    section=IntervalSettings,
    build=_build,
)


def boot_began_secs() -> float | None:
    """When this boot began, in seconds on the boot clock; None where that cannot be determined.

    It is the start time of process 1: about 0 on a machine, while a container shares the boot clock of its machine.
    A soft-reboot keeps process 1, and does not count as a boot.
    """
    ticks = start_ticks(1)
    return None if ticks is None else ticks / os.sysconf("SC_CLK_TCK")


class Interval(SpecifiedGate):
    """Waits until ``min_secs`` have passed since the boot began, on the boot clock."""

    spec = SPEC

    _remedy = f"wait; a shorter gates.interval.min_secs; or {override_command(SPEC.name)}"

    def __init__(self, min_secs: int, began_secs: float | None) -> None:
        self._min_secs = min_secs
        self._began_secs = began_secs

    async def ask(self, question: Question) -> Verdict:
        """Compare the uptime with the interval."""
        if self._began_secs is None:
            return Wait(
                self.name, "it is not known when this boot began: process 1 cannot be read", remedy=self._remedy
            )
        up_secs = question.now.boot_secs - self._began_secs
        left_secs = self._min_secs - up_secs
        if left_secs <= 0:
            return Allow(self.name)
        reason = f"up for {up_secs:.0f} s of the {self._min_secs} s between two reboots"
        return Wait(self.name, reason, question.now.wall + timedelta(seconds=left_secs), self._remedy)
