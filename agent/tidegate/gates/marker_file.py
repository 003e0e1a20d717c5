"""Strategy ``marker_file``: finalize while a file says so."""

from __future__ import annotations

from pathlib import Path

from tidegate.clock import rfc3339
from tidegate.gates.base import Allow, Question, Verdict, Wait
from tidegate.gates.marker import UnusableMarker, read_marker, write_anew
from tidegate.purpose import Purpose

_OVERRIDE = "tidegate apply --now --override marker_file --reason TEXT"


class MarkerFile:
    """Allows while the marker is there, good and not expired.

    Asking does not use it up: it allows until it expires or is removed.
    """

    name = "marker_file"
    guards = frozenset({Purpose.UPDATE})
    overridable = True

    def __init__(self, path: Path) -> None:
        self._path = path

    async def ask(self, question: Question) -> Verdict:
        """What the file says at this moment."""
        try:
            not_after = read_marker(self._path)
        except UnusableMarker as err:
            return Wait(self.name, err.reason, remedy=f"{err.remedy}; or {_OVERRIDE}")
        if not_after is not None and question.now.wall >= not_after:
            reason = f"the marker {self._path} expired at {rfc3339(not_after)}"
            return Wait(self.name, reason, remedy=f"{write_anew(self._path)}; or {_OVERRIDE}")
        return Allow(self.name, f"{self._path} is there", not_after)
