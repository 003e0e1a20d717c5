"""The snapshot as metrics are made from it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from tidegate.jsonread import NOTHING, Document, table
from tidegate.system.boot import start_ticks

STATUS_FILE = Path("/run/tidegate/public/status.json")

MAX_SNAPSHOT_BYTES = 4 * 1024 * 1024
"""A snapshot has 64 KiB with a full history; a reader need not follow an agent that has gone mad."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the agent said last, and whether it is there still.

    ``document`` is empty where there is no snapshot or it cannot be read; ``readable`` is False for the latter only.
    """

    document: Document = field(default_factory=lambda: NOTHING)
    live: bool = False
    readable: bool = True


def read(path: Path) -> Reading:
    """The snapshot at ``path``; nothing is raised."""
    try:
        with path.open("rb") as file:
            document: object = json.loads(file.read(MAX_SNAPSHOT_BYTES))
    except FileNotFoundError:
        return Reading()
    except (OSError, ValueError, RecursionError):
        return Reading(readable=False)
    if not isinstance(document, dict):
        return Reading(readable=False)
    told = cast(Document, document)
    return Reading(told, live=_lives(table(told, "writer")))


def _lives(writer: Document) -> bool:
    """Whether the process that wrote the snapshot still runs (the same one: a pid alone is given out again)."""
    pid, began = writer.get("pid"), writer.get("start_ticks")
    return isinstance(pid, int) and isinstance(began, int) and start_ticks(pid) == began
