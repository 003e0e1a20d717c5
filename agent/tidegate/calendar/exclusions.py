"""Dates on which no window opens: single days, ranges and recurrence rules."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from tidegate.calendar.recurrence import Rule, parse_rule
from tidegate.calendar.spec import parse_date

# Some years of days, so that looking ahead for windows asks about each once.
_KEPT_ANSWERS = 4096


@dataclass(frozen=True, slots=True)
class DateRange:
    """From ``first`` to ``last``, both included."""

    first: date
    last: date

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}..{self.last}"

    def contains(self, day: date) -> bool:
        """Whether ``day`` is excluded."""
        return self.first <= day <= self.last


Exclusion = DateRange | Rule


class Exclusions:
    """All that an operator excludes."""

    def __init__(self, entries: tuple[Exclusion, ...] = ()) -> None:
        self._entries = entries
        self._asked: dict[date, bool] = {}

    def __bool__(self) -> bool:
        return bool(self._entries)

    def contains(self, day: date) -> bool:
        """Whether no window opens on ``day``. The last few answers are kept: a day is asked about again and again."""
        if day not in self._asked:
            if len(self._asked) >= _KEPT_ANSWERS:
                self._asked.clear()
            self._asked[day] = any(entry.contains(day) for entry in self._entries)
        return self._asked[day]


def parse_exclusion(text: str) -> Exclusion:
    """Read ``2026-12-24``, ``2026-12-24..2027-01-02`` (both included) or ``FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=25``.

    Raises:
        ValueError: with a message that says what is wrong.
    """
    return parse_rule(text) if "=" in text else _parse_range(text.strip())


def _parse_range(text: str) -> DateRange:
    first, dots, last = text.partition("..")
    found = DateRange(parse_date(first), parse_date(last if dots else first))
    if found.last < found.first:
        raise ValueError(f"{found.last} is before {found.first}")
    return found
