"""The specification of windows, and parsers for its days, times and dates."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

MINUTES_A_DAY = 24 * 60
MINUTES_A_WEEK = 7 * MINUTES_A_DAY

DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

# Zincati parses each half as an unsigned number, so "7:5", "07:5" and "007:05" are all 07:05.
_CLOCK = re.compile(r"0*([0-9]{1,2}):0*([0-9]{1,2})", re.ASCII)

# Since Python 3.11, date.fromisoformat() alone would also accept 20261224 and 2026-W52-4.
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)

_DAY_BY_WORD = {name[:length].lower(): day for day, name in enumerate(DAY_NAMES) for length in (3, None)}
# Zincati misspells the full name in its list of days, so configurations with that spelling exist.
_DAY_BY_WORD["tuesady"] = 1


@dataclass(frozen=True, slots=True)
class WindowSpec:
    """One ``[[updates.periodic.window]]``.

    ``days``: 0 is Monday. The window starts on each of them at ``start_minute`` (minutes after midnight, by the wall
    clock of the zone), is ``length_minutes`` long, 1 to a week, and may reach into the days that follow.
    """

    days: tuple[int, ...]
    start_minute: int
    length_minutes: int


def day_words() -> tuple[str, ...]:
    """The words to suggest for a misspelt day."""
    return tuple(name[:length] for name in DAY_NAMES for length in (3, None))


def parse_day(word: str) -> int | None:
    """The weekday that ``word`` names in full or by three letters, in any case; 0 is Monday. None if it names none."""
    return _DAY_BY_WORD.get(word.lower())


def parse_clock(text: str) -> int | None:
    """Parse ``hh:mm`` into minutes after midnight; None if the text is not a time of day."""
    match = _CLOCK.fullmatch(text)
    if match is None:
        return None
    hour, minute = int(match[1]), int(match[2])
    return hour * 60 + minute if hour < 24 and minute < 60 else None


def parse_date(text: str) -> date:
    """Parse ``yyyy-mm-dd``.

    Raises:
        ValueError: the text is not a date; the message is for operators.
    """
    if not _DATE.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not a date")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"the date {text} does not exist") from None


def clock_text(minute: int) -> str:
    """Format minutes after midnight as ``hh:mm``."""
    return f"{minute // 60:02}:{minute % 60:02}"
