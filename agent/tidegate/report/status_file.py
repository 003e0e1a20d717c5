"""The file with the agent's snapshot, and whether the agent that wrote it still runs. Cheap to import."""

from __future__ import annotations

from tidegate.jsonread import Document, table
from tidegate.system.boot import start_ticks

PUBLIC_FOLDER = "/run/tidegate/public"
STATUS_NAME = "status.json"
STATUS_FILE = f"{PUBLIC_FOLDER}/{STATUS_NAME}"


def is_live(snapshot: Document) -> bool:
    """Whether the process that wrote ``snapshot`` still runs; its start time rules out a pid that was reused."""
    writer = table(snapshot, "writer")
    pid, started = writer.get("pid"), writer.get("start_ticks")
    return isinstance(pid, int) and isinstance(started, int) and start_ticks(pid) == started
