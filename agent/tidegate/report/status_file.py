"""The file with the agent's snapshot, and whether the agent that wrote it still runs. Cheap to import."""

from __future__ import annotations

import json
from typing import cast

from tidegate.jsonread import Document, table
from tidegate.system import regular_file
from tidegate.system.boot import start_ticks

PUBLIC_FOLDER = "/run/tidegate/public"
STATUS_NAME = "status.json"
STATUS_FILE = f"{PUBLIC_FOLDER}/{STATUS_NAME}"

MAX_SNAPSHOT_BYTES = 4 * 1024 * 1024
"""A bound on memory. A snapshot with a full history has 64 KiB."""


def read_snapshot(path: regular_file.AnyPath = STATUS_FILE) -> Document:
    """Read a snapshot. The agent's user owns its folder, and can put anything there; root reads it, too.

    Raises:
        OSError: it is missing, not a regular file, too large, or cannot be read.
        ValueError: it is not a JSON object.
    """
    try:
        document: object = json.loads(regular_file.read_nofollow(path, MAX_SNAPSHOT_BYTES))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(document, dict):
        raise ValueError("it is not a JSON object")
    return cast(Document, document)


def is_live(snapshot: Document) -> bool:
    """Whether the process that wrote ``snapshot`` still runs; its start time rules out a pid that was reused."""
    writer = table(snapshot, "writer")
    pid, started = writer.get("pid"), writer.get("start_ticks")
    return isinstance(pid, int) and isinstance(started, int) and start_ticks(pid) == started
