"""Instants on the command line: RFC 3339, ``HH:MM`` in the zone of the windows, or ``+2h`` from now."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo

import click

from tidegate.cli.durations import duration
from tidegate.clock import parse_rfc3339

# Zone rules of far years are guesses, and Python's years end at 9999.
FIRST_YEAR = 1970
LAST_YEAR = 2999

EXAMPLES = "2026-12-24T18:00:00Z, 22:30 or +2h"

_CLOCK_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)", re.ASCII)


def is_clock_time(text: str) -> bool:
    """Whether ``text`` is ``HH:MM``, whose meaning depends on a time zone."""
    return _CLOCK_TIME.fullmatch(text) is not None


def instant(text: str, now: datetime, zone: tzinfo) -> datetime:
    """The instant that ``text`` means at ``now``; of a clock time in ``zone``, the next one.

    Raises:
        click.BadParameter: ``text`` is none of the three forms, or is in a year for which no zone has rules.
    """
    try:
        at = _parsed(text, now, zone)
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{text!r} is not a time such as {EXAMPLES}", param_hint="'--at'") from None
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        years = f"{text!r} is not between the years {FIRST_YEAR} and {LAST_YEAR}"
        raise click.BadParameter(years, param_hint="'--at'")
    return at


def _parsed(text: str, now: datetime, zone: tzinfo) -> datetime:
    if text.startswith("+"):
        return now + timedelta(seconds=duration(text[1:]))
    if found := _CLOCK_TIME.fullmatch(text):
        return _next_clock_time(int(found[1]), int(found[2]), now, zone)
    return parse_rfc3339(text)


def _next_clock_time(hour: int, minute: int, now: datetime, zone: tzinfo) -> datetime:
    local = now.astimezone(zone)
    today = local.replace(hour=hour, minute=minute, second=0, microsecond=0)
    later = today if today.astimezone(now.tzinfo) >= now else today + timedelta(days=1)
    return later.astimezone(now.tzinfo)
