"""What people are told of a gate, and when things were or will be."""

from __future__ import annotations

from datetime import datetime

from tidegate.cli.snapshot_file import text
from tidegate.jsonread import Document
from tidegate.printable import duration


def reason_of(gate: Document, now: datetime) -> str:
    """What a gate says, since when, and until when."""
    since, until = text(gate, "since"), text(gate, "until")
    parts = (
        text(gate, "reason"),
        f"since {when(since, now)}" if since else "",
        f"until {until} ({when(until, now)})" if until else "",
    )
    return ", ".join(part for part in parts if part)


def when(instant: str, now: datetime) -> str:
    """An instant as people tell it: how long ago, or in how long."""
    try:
        secs = (datetime.fromisoformat(instant) - now).total_seconds()
    except (ValueError, TypeError):  # no instant, or one without an offset: nothing that the agent writes
        return instant
    return f"in {duration(secs)}" if secs > 0 else f"{duration(abs(secs))} ago"
