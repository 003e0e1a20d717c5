"""The inhibitor locks of systemd-logind, and which of them hold a reboot back. Pure.

See https://systemd.io/INHIBITOR_LOCKS and the man page org.freedesktop.login1(5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tidegate.printable import one_line

_BLOCKING_MODES = frozenset({"block", "block-weak"})
"""Both hold callers other than root and the holder, on every version. From 257 on ``block`` holds those two as well,
and ``block-weak`` is what ``block`` was before. The agent respects both whatever its user: before 257 logind lets root
through."""

_SHOWN_CHARS = 120
"""Of the texts ``who`` and ``why`` of an inhibitor, each a sentence."""


@dataclass(frozen=True, slots=True)
class Inhibitor:
    """An inhibitor lock. ``what`` is a set of operations; ``mode`` is block, block-weak or delay."""

    what: frozenset[str]
    who: str
    why: str
    mode: str

    @property
    def blocks_shutdown(self) -> bool:
        """Whether a reboot has to wait until this lock is released."""
        return "shutdown" in self.what and self.mode in _BLOCKING_MODES


def holding(inhibitors: Sequence[Inhibitor]) -> str | None:
    """Return which inhibitor blocks a reboot, and why, for people; None where none does."""
    blockers = [inhibitor for inhibitor in inhibitors if inhibitor.blocks_shutdown]
    if not blockers:
        return None
    first, *rest = blockers
    more = f" (and {len(rest)} more)" if rest else ""
    who, why = one_line(first.who, _SHOWN_CHARS), one_line(first.why, _SHOWN_CHARS)
    return f"{who or 'somebody'} holds shutdowns back: {why or 'no reason given'}{more}"
