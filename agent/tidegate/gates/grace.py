"""The grace: how long people who are logged in have between being told of a reboot and the reboot.

It runs on the boot clock from the notice. Instants on the wall clock are what it comes to if that is not set meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from tidegate.clock import Now

STALE_SECS = 3600.0
"""From the end of a grace until its notice counts no more. A fleet's lock or a short hold may come between; who was
told of a reboot that then did not come for an hour is told anew."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """Nobody has been told. Told now, people have until ``until``."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Outlives:
    """Nobody has been told, and told now, people would have until ``until``: not before ``shuts_at``, when the reboot
    is no longer allowed."""

    until: datetime
    shuts_at: datetime


@dataclass(frozen=True, slots=True)
class Running:
    """People have been told and have until ``until``."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Over:
    """People were told ``told_secs`` ago, and their time is over."""

    told_secs: float


Grace = Ahead | Outlives | Running | Over


def grace(length_secs: float, now: Now, told: Now | None, shuts_at: datetime | None) -> Grace:
    """How things stand where people were told at ``told``, if they were, and all else allows until ``shuts_at``."""
    told_secs = None if told is None else now.boot_secs - told.boot_secs
    if told_secs is not None and 0 <= told_secs <= length_secs + STALE_SECS:
        left_secs = length_secs - told_secs
        return Running(_after(now, left_secs)) if left_secs > 0 else Over(told_secs)
    until = _after(now, length_secs)
    return Ahead(until) if shuts_at is None or until < shuts_at else Outlives(until, shuts_at)


def _after(now: Now, secs: float) -> datetime:
    return now.wall + timedelta(seconds=secs)
