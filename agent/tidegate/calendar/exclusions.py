"""Excluded dates, on which no window opens: single days, ranges and recurrence rules."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from tidegate.calendar.recurrence import Rule, parse_rule
from tidegate.calendar.spec import parse_date

_CACHED_DAYS = 4096
"""Some years, so that a search for the next window evaluates each day once."""


@dataclass(frozen=True, slots=True)
class DateRange:
    """The days from ``first`` to ``last``, both included."""

    first: date
    last: date

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}..{self.last}"

    def contains(self, day: date) -> bool:
        """Whether ``day`` is in the range."""
        return self.first <= day <= self.last


Exclusion = DateRange | Rule


class Exclusions:
    """A set of excluded dates, with a cache of the days that were asked for."""

    def __init__(self, entries: tuple[Exclusion, ...] = ()) -> None:
        self._entries = entries
        self._cached: dict[date, bool] = {}

    def __bool__(self) -> bool:
        return bool(self._entries)

    def contains(self, day: date) -> bool:
        """Whether any entry contains ``day``."""
        if day not in self._cached:
            if len(self._cached) >= _CACHED_DAYS:
                self._cached.clear()
            self._cached[day] = any(entry.contains(day) for entry in self._entries)
        return self._cached[day]


def parse_exclusion(text: str) -> Exclusion:
    """Parse ``2026-12-24``, ``2026-12-24..2027-01-02`` (both included) or ``FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=25``.

    Raises:
        ValueError: the text is none of these, or ends before it starts; the message is for operators.
    """
    return parse_rule(text) if "=" in text else _parse_range(text.strip())


def _parse_range(text: str) -> DateRange:
    first, dots, last = text.partition("..")
    found = DateRange(parse_date(first), parse_date(last if dots else first))
    if found.last < found.first:
        raise ValueError(f"{found.last} is before {found.first}")
    return found
