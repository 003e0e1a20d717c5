"""The grace period: the time that logged-in users have between the notice of a reboot and the reboot. Pure.

It is measured on the boot clock, from the notice. Wall-clock instants are derived from that, and hold as long as the
wall clock is not set.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from tidegate.clock import Now

STALE_SECS = 3600.0
"""How long after the end of a grace period its notice remains valid. The fleet lock or a short hold may take that long;
after that users no longer expect the reboot, and a new notice is given."""


@dataclass(frozen=True, slots=True)
class NotStarted:
    """No valid notice has been given. Given now, it would leave time until ``until``."""

    until: datetime


@dataclass(frozen=True, slots=True)
class TooLong:
    """No valid notice has been given, and a grace period begun now would end at ``until``: not before
    ``allowed_until``, from which on the reboot is no longer allowed."""

    until: datetime
    allowed_until: datetime


@dataclass(frozen=True, slots=True)
class Running:
    """The notice has been given, and leaves time until ``until``."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Over:
    """The notice was given ``noticed_secs`` ago, and the grace period has ended."""

    noticed_secs: float


Grace = NotStarted | TooLong | Running | Over


def grace(length_secs: float, now: Now, noticed: Now | None, allowed_until: datetime | None) -> Grace:
    """The state of a grace period of ``length_secs``.

    ``noticed`` is when the last notice was given, None without one. ``allowed_until`` is when the reboot is no longer
    allowed for other reasons, None without such a limit.
    """
    noticed_secs = None if noticed is None else now.boot_secs - noticed.boot_secs
    if noticed_secs is not None and 0 <= noticed_secs <= length_secs + STALE_SECS:
        left_secs = length_secs - noticed_secs
        return Running(_after(now, left_secs)) if left_secs > 0 else Over(noticed_secs)
    until = _after(now, length_secs)
    return NotStarted(until) if allowed_until is None or until < allowed_until else TooLong(until, allowed_until)


def _after(now: Now, secs: float) -> datetime:
    return now.wall + timedelta(seconds=secs)
