"""Read the time: no other module does.

There are two clocks, which are never mixed. The wall clock (UTC) is for people, records and calendars. The boot clock
(CLOCK_BOOTTIME: seconds since the kernel started, suspend included, never stepped) is for durations and deadlines.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

BUILT_AFTER = datetime(2026, 1, 1, tzinfo=UTC)
"""A lower bound for the current time: a clock that shows less is wrong, even where it counts as synchronised. It is not
taken from a file's time, since builds are reproducible and OSTree sets every file's time to 0."""


@dataclass(frozen=True, slots=True)
class Now:
    """One instant on both clocks. ``wall`` is aware and in UTC; ``boot_secs`` is CLOCK_BOOTTIME in seconds."""

    wall: datetime
    boot_secs: float


class Clock(Protocol):
    """A source of time. Tests inject their own."""

    def now(self) -> Now:
        """This instant on both clocks."""
        ...


class SystemClock:
    """The clocks of the kernel."""

    def now(self) -> Now:
        """This instant on both clocks."""
        return Now(datetime.now(UTC), time.clock_gettime(time.CLOCK_BOOTTIME))


def monotonic_usec() -> int:
    """CLOCK_MONOTONIC in microseconds, as sd_notify(3) wants it in ``MONOTONIC_USEC=``."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def rfc3339(instant: datetime) -> str:
    """Format an aware instant as RFC 3339, in UTC with whole seconds, as records, snapshots and JSON output have it."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_rfc3339(text: str) -> datetime:
    """Parse an RFC 3339 instant with any offset; the result is in UTC.

    Raises:
        ValueError: the text is not an RFC 3339 instant, or has no offset.
    """
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} has no offset from UTC")
    return instant.astimezone(UTC)
