"""Text for people: a gate's reason with its times, and times relative to now."""

from __future__ import annotations

from datetime import datetime

from tidegate.cli.snapshot_file import text
from tidegate.clock import parse_rfc3339
from tidegate.jsonread import Document
from tidegate.printable import duration, moment


def reason_of(gate: Document, now: datetime) -> str:
    """A gate's reason, since when it applies, and until when."""
    since, until = text(gate, "since"), text(gate, "until")
    parts = (
        text(gate, "reason"),
        f"since {when(since, now)}" if since else "",
        f"until {clock_time(until)}, {when(until, now)}" if until else "",
    )
    return ", ".join(part for part in parts if part)


def when(instant: str, now: datetime) -> str:
    """An RFC 3339 instant relative to ``now``: ``5 min ago`` or ``in 2 h 0 min``. Other text is returned as it is."""
    try:
        secs = (datetime.fromisoformat(instant) - now).total_seconds()
    except (ValueError, TypeError):  # not an instant, or one without an offset: not written by an agent
        return instant
    return f"in {duration(secs)}" if secs > 0 else f"{duration(abs(secs))} ago"


def clock_time(instant: str) -> str:
    """An RFC 3339 instant in UTC and in local time. Other text is returned as it is."""
    try:
        return moment(parse_rfc3339(instant))
    except ValueError:
        return instant
