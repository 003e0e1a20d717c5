"""What the kernel tells of processes, in /proc (proc(5))."""

from __future__ import annotations

from pathlib import Path

_START_TIME = 19
"""Of the fields after the process's name: ``starttime`` is the 22nd in all, and the name is the 2nd."""


def start_ticks(pid: int) -> int | None:
    """When process ``pid`` started, in clock ticks since the kernel did; None without such a process.

    With the pid it names one process for good: a pid alone is given out again.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return int(text.rpartition(")")[2].split()[_START_TIME])
