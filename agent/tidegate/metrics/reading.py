"""Read the agent's snapshot for the metrics."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tidegate.jsonread import NOTHING, Document
from tidegate.report.status_file import is_live, read_snapshot


@dataclass(frozen=True, slots=True)
class Reading:
    """The snapshot, and whether the agent that wrote it still runs (``live``).

    ``document`` is empty where there is no snapshot or it cannot be read; ``readable`` is False for the latter only.
    """

    document: Document = field(default_factory=lambda: NOTHING)
    live: bool = False
    readable: bool = True


def read(path: Path) -> Reading:
    """The snapshot at ``path``. Raises nothing: metrics say that it cannot be read."""
    try:
        snapshot = read_snapshot(path)
    except FileNotFoundError:
        return Reading()
    except (OSError, ValueError):
        return Reading(readable=False)
    return Reading(snapshot, live=is_live(snapshot))
