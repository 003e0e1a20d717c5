"""Parse durations on the command line: ``90``, ``90s``, ``5min``, ``1h30m``, ``2d``."""

from __future__ import annotations

import re

import click

MAX_SECS = 366 * 86400.0

_UNITS_SECS = {"": 1, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_PART = re.compile(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*([a-z]*)\s*", re.ASCII)


def duration(text: str) -> float:
    """Convert a duration to seconds. A number without a unit is in seconds.

    Raises:
        click.BadParameter: ``text`` is not a duration, or is longer than a year.
    """
    at, total_secs = 0, 0.0
    while at < len(text):
        part = _PART.match(text, at)
        if part is None or part[2] not in _UNITS_SECS:
            raise _bad(text)
        total_secs += float(part[1]) * _UNITS_SECS[part[2]]
        at = part.end()
    if not text.strip() or total_secs > MAX_SECS:
        raise _bad(text)
    return total_secs


def _bad(text: str) -> click.BadParameter:
    return click.BadParameter(f"{text!r} is not a duration of at most a year; write it as 90s, 5min or 1h30m")
