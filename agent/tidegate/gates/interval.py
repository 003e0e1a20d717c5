"""Gate ``interval``: a host that has just been rebooted is left alone for a while."""

from __future__ import annotations

import os
from datetime import timedelta

from tidegate.gates.base import Allow, Question, Verdict, Wait
from tidegate.release import Purpose
from tidegate.system.boot import start_ticks

_REMEDY = "wait; a shorter gates.interval.min_secs; or tidegate apply --now --override interval --reason TEXT"


def boot_began_secs() -> float | None:
    """When this boot began, on the boot clock; None where it cannot be found out.

    That is when process 1 started: about 0 on a machine of its own, while a container has the machine's boot clock.
    A soft-reboot keeps process 1, and is not counted as a boot.
    """
    ticks = start_ticks(1)
    return None if ticks is None else ticks / os.sysconf("SC_CLK_TCK")


class Interval:
    """Waits until ``min_secs`` have passed since the boot began, on the boot clock."""

    name = "interval"
    guards = frozenset({Purpose.UPDATE})
    overridable = True

    def __init__(self, min_secs: int, began_secs: float | None) -> None:
        self._min_secs = min_secs
        self._began_secs = began_secs

    async def ask(self, question: Question) -> Verdict:
        """How much of the interval is left."""
        if self._began_secs is None:
            return Wait(self.name, "it is not known when this boot began: process 1 is hidden", remedy=_REMEDY)
        up_secs = question.now.boot_secs - self._began_secs
        left_secs = self._min_secs - up_secs
        if left_secs <= 0:
            return Allow(self.name)
        reason = f"up for {up_secs:.0f} s of the {self._min_secs} s between two reboots"
        return Wait(self.name, reason, question.now.wall + timedelta(seconds=left_secs), _REMEDY)
