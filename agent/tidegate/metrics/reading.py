"""Read the agent's snapshot for the metrics."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from tidegate.jsonread import NOTHING, Document
from tidegate.report.status_file import is_live

MAX_SNAPSHOT_BYTES = 4 * 1024 * 1024
"""A bound on memory. A snapshot with a full history has 64 KiB."""


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
        with path.open("rb") as file:
            document: object = json.loads(file.read(MAX_SNAPSHOT_BYTES))
    except FileNotFoundError:
        return Reading()
    except (OSError, ValueError, RecursionError):
        return Reading(readable=False)
    if not isinstance(document, dict):
        return Reading(readable=False)
    snapshot = cast(Document, document)
    return Reading(snapshot, live=is_live(snapshot))
