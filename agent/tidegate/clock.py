"""The only place that reads the time.

Two readings, never mixed: wall time (UTC) for people, records and calendars; boot time (seconds since the kernel
started, suspend included, never stepped) for every duration and deadline.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

BUILT_AFTER = datetime(2026, 1, 1, tzinfo=UTC)
"""No build of this code is older, so a clock that shows less is wrong, whatever says that it is synchronised. Not the
time of a file: builds are reproducible, and OSTree gives every file the time 0."""


@dataclass(frozen=True, slots=True)
class Now:
    """One instant on both clocks. ``wall`` is aware and in UTC; ``boot_secs`` is CLOCK_BOOTTIME in seconds."""

    wall: datetime
    boot_secs: float


class Clock(Protocol):
    """Where the time comes from; tests bring their own."""

    def now(self) -> Now:
        """This instant on both clocks."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> Now:
        """This instant on both clocks."""
        return Now(datetime.now(UTC), time.clock_gettime(time.CLOCK_BOOTTIME))


def monotonic_usec() -> int:
    """CLOCK_MONOTONIC in microseconds, by which systemd orders a service's messages about itself."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def rfc3339(instant: datetime) -> str:
    """An aware instant as RFC 3339 in UTC with whole seconds, the one format in records, snapshots and JSON output."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_rfc3339(text: str) -> datetime:
    """The inverse of :func:`rfc3339`; any offset is accepted.

    Raises:
        ValueError: the text is no RFC 3339 instant, or names no offset.
    """
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} has no offset from UTC")
    return instant.astimezone(UTC)
