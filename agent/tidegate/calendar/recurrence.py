"""Recurrence rules (RFC 5545) for excluded dates.

A rule recurs daily at most and has no count. Whether it contains a date can then be decided from the year or month of
that date alone: no evaluation iterates from the start of the rule, and a rule that matches nothing (30 February) costs
no more than others. dateutil expands that one period, and is imported on the first evaluation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Literal, get_args

from tidegate.calendar.spec import parse_date

Frequency = Literal["YEARLY", "MONTHLY", "WEEKLY", "DAILY"]
FREQUENCIES: tuple[Frequency, ...] = get_args(Frequency)

_COMPACT_DATE = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})(?:T[0-9]{6}Z?)?", re.ASCII)
_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_WEEKDAY = re.compile(r"([+-]?[0-9]{1,2})?(MO|TU|WE|TH|FR|SA|SU)", re.ASCII)
_NUMBER = re.compile(r"[+-]?[0-9]{1,4}", re.ASCII)

# The parts that select days, with their bounds, zero excluded, as in RFC 5545. BYEASTER is an extension of dateutil:
# days from Easter Sunday, zero included.
_DAY_PARTS: Mapping[str, tuple[int, int]] = {
    "BYMONTH": (1, 12),
    "BYMONTHDAY": (-31, 31),
    "BYYEARDAY": (-366, 366),
    "BYWEEKNO": (-53, 53),
    "BYEASTER": (-366, 366),
}
_SETPOS_BOUNDS = (-366, 366)
_MAX_INTERVAL = 1000
_KNOWN_PARTS = ("FREQ", "INTERVAL", "UNTIL", "WKST", "BYDAY", "BYSETPOS", *_DAY_PARTS)

# An interval of so many years (or months, for a monthly rule) ends after the year 9999, so that dateutil expands one
# period only.
_ONE_PERIOD = {False: 10_000, True: 120_000}
_RULE_CACHE_PERIODS = 512


@dataclass(frozen=True, slots=True)
class Rule:
    """A recurrence rule. ``text`` is the rule as configured; the other fields are parsed from it."""

    text: str
    frequency: Frequency = field(compare=False)
    interval: int = field(compare=False)
    start: date | None = field(compare=False)
    until: date | None = field(compare=False)
    week_start: int = field(compare=False)
    numbers: Mapping[str, tuple[int, ...]] = field(compare=False)
    weekdays: tuple[tuple[int, int], ...] = field(compare=False)

    def __str__(self) -> str:
        return self.text

    def contains(self, day: date) -> bool:
        """Whether the rule recurs on ``day``."""
        if (self.start and day < self.start) or (self.until and day > self.until):
            return False
        return self._in_chosen_period(day) and day in self._days_around(day)

    def _in_chosen_period(self, day: date) -> bool:
        return self.start is None or self._periods_between(self.start, day) % self.interval == 0

    def _periods_between(self, start: date, day: date) -> int:
        match self.frequency:
            case "YEARLY":
                return day.year - start.year
            case "MONTHLY":
                return 12 * (day.year - start.year) + day.month - start.month
            case "WEEKLY":
                return (self._week_of(day) - self._week_of(start)) // 7
            case "DAILY":
                return day.toordinal() - start.toordinal()

    def _week_of(self, day: date) -> int:
        return day.toordinal() - (day.weekday() - self.week_start) % 7

    def _days_around(self, day: date) -> frozenset[date]:
        """The days of the rule in the month (monthly rules) or year (all others) of ``day``.

        In weekly and daily rules every part filters single days, so that a year can be expanded at once.
        """
        return _expand(self, day.year, day.month if self.frequency == "MONTHLY" else 1)


def parse_rule(text: str) -> Rule:
    """Parse ``FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=25``, optionally after ``RRULE:`` and ``DTSTART:20260105``.

    Raises:
        ValueError: the text is not such a rule; the message is for operators.
    """
    start = None
    parts: dict[str, str] = {}
    for word in text.split():
        if word.upper().startswith(("DTSTART:", "DTSTART=")):
            start = _parse_compact_date(word[len("DTSTART:") :])
        else:
            parts |= _split_parts(word.upper().removeprefix("RRULE:"), parts)
    if "DTSTART" in parts:
        start = _parse_compact_date(parts.pop("DTSTART"))
    return _rule(text, parts, start)


def _split_parts(text: str, earlier: Mapping[str, str]) -> dict[str, str]:
    parts: dict[str, str] = {}
    for part in text.split(";"):
        name, _, value = part.partition("=")
        if name in parts or name in earlier:
            raise ValueError(f"{name} is given twice")
        if name not in (*_KNOWN_PARTS, "DTSTART"):
            raise ValueError(_unknown_part(name))
        parts[name] = value
    return parts


def _unknown_part(name: str) -> str:
    match name:
        case "COUNT":
            return "COUNT is not supported; use UNTIL"
        case "BYHOUR" | "BYMINUTE" | "BYSECOND":
            return f"{name} selects a part of a day; only whole dates can be excluded"
        case _:
            return f"{name[:40]!r} is not a part of a recurrence rule; use {', '.join(_KNOWN_PARTS)}"


def _rule(text: str, parts: Mapping[str, str], start: date | None) -> Rule:
    numbers = {name: _numbers(name, parts[name], _DAY_PARTS[name]) for name in _DAY_PARTS if name in parts}
    if "BYSETPOS" in parts:
        numbers["BYSETPOS"] = _numbers("BYSETPOS", parts["BYSETPOS"], _SETPOS_BOUNDS)
    rule = Rule(
        text=" ".join(text.split()),
        frequency=_frequency(parts.get("FREQ", "")),
        interval=_numbers("INTERVAL", parts.get("INTERVAL", "1"), (1, _MAX_INTERVAL))[0],
        start=start,
        until=_parse_compact_date(parts["UNTIL"]) if "UNTIL" in parts else None,
        week_start=_week_start(parts.get("WKST", "MO")),
        numbers=MappingProxyType(numbers),
        weekdays=_weekdays(parts.get("BYDAY")),
    )
    return _with_days(_checked(rule))


def _frequency(text: str) -> Frequency:
    for frequency in FREQUENCIES:
        if text == frequency:
            return frequency
    if text in {"HOURLY", "MINUTELY", "SECONDLY"}:
        raise ValueError(f"FREQ={text} is more often than daily; only whole dates can be excluded")
    raise ValueError(f"FREQ must be one of {', '.join(FREQUENCIES)}")


def _numbers(name: str, text: str, bounds: tuple[int, int]) -> tuple[int, ...]:
    low, high = bounds
    found: list[int] = []
    for word in text.split(","):
        number = int(word) if _NUMBER.fullmatch(word) else None
        if number is None or not low <= number <= high or (number == 0 and name != "BYEASTER"):
            raise ValueError(f"{name} takes numbers from {low} to {high}, not {word[:20]!r}")
        found.append(number)
    return tuple(found)


def _week_start(text: str) -> int:
    if text not in _WEEKDAYS:
        raise ValueError(f"WKST must be one of {', '.join(_WEEKDAYS)}")
    return _WEEKDAYS.index(text)


def _weekdays(text: str | None) -> tuple[tuple[int, int], ...]:
    """Pairs of a weekday (0 is Monday) and its ordinal, 0 for every one; ``-1FR`` is ``(4, -1)``, the last Friday."""
    found: list[tuple[int, int]] = []
    for word in text.split(",") if text is not None else ():
        match = _WEEKDAY.fullmatch(word)
        if match is None or (match[1] and not -53 <= int(match[1]) <= 53) or (match[1] and int(match[1]) == 0):
            raise ValueError(f"BYDAY takes days like MO or -1FR, not {word[:20]!r}")
        found.append((_WEEKDAYS.index(match[2]), int(match[1] or 0)))
    return tuple(found)


def _checked(rule: Rule) -> Rule:
    below_month = rule.frequency in {"WEEKLY", "DAILY"}
    if rule.interval > 1 and rule.start is None:
        raise ValueError("INTERVAL needs a DTSTART to count from, such as DTSTART:20260105")
    if below_month and "BYSETPOS" in rule.numbers:
        raise ValueError(f"BYSETPOS has no effect with FREQ={rule.frequency}; remove it")
    if below_month and any(which for _, which in rule.weekdays):
        raise ValueError(f"a numbered BYDAY has no meaning with FREQ={rule.frequency}; use FREQ=MONTHLY")
    if rule.start and rule.until and rule.until < rule.start:
        raise ValueError("UNTIL is before DTSTART")
    return rule


def _with_days(rule: Rule) -> Rule:
    """The rule with the days of DTSTART, where no part selects any: the default of RFC 5545."""
    if _selects_days(rule) or (rule.frequency == "DAILY" and (rule.start or rule.numbers)):
        return rule
    if rule.start is None:
        raise ValueError("the rule selects no days: add BYDAY, BYMONTHDAY or the like, or a DTSTART")
    return _with_days_of(rule.start, rule)


def _selects_days(rule: Rule) -> bool:
    """Whether a part selects days; BYMONTH and BYSETPOS only limit the days that other parts select."""
    return bool(rule.weekdays or rule.numbers.keys() - {"BYMONTH", "BYSETPOS"})


def _with_days_of(start: date, rule: Rule) -> Rule:
    if rule.frequency == "WEEKLY":
        return replace(rule, weekdays=((start.weekday(), 0),))
    implied: dict[str, tuple[int, ...]] = {"BYMONTHDAY": (start.day,)}
    if rule.frequency == "YEARLY":
        implied["BYMONTH"] = rule.numbers.get("BYMONTH", (start.month,))
    return replace(rule, numbers=MappingProxyType({**rule.numbers, **implied}))


def _parse_compact_date(text: str) -> date:
    match = _COMPACT_DATE.fullmatch(text)
    return parse_date("-".join(match.groups()) if match else text)


@lru_cache(maxsize=_RULE_CACHE_PERIODS)
def _expand(rule: Rule, year: int, month: int) -> frozenset[date]:
    from dateutil import rrule  # noqa: PLC0415 - takes 20 ms, and most hosts have no rule

    monthly = rule.frequency == "MONTHLY"
    found = rrule.rrule(
        rrule.MONTHLY if monthly else rrule.YEARLY,
        dtstart=datetime(year, month, 1),  # noqa: DTZ001 - dateutil wants a date as a naive datetime
        interval=_ONE_PERIOD[monthly],
        wkst=rule.week_start,
        byweekday=[rrule.weekday(day, which or None) for day, which in rule.weekdays] or None,
        bymonth=rule.numbers.get("BYMONTH"),
        bymonthday=rule.numbers.get("BYMONTHDAY", () if _selects_days(rule) else range(1, 32)),
        byyearday=rule.numbers.get("BYYEARDAY"),
        byweekno=rule.numbers.get("BYWEEKNO"),
        byeaster=rule.numbers.get("BYEASTER"),
        bysetpos=rule.numbers.get("BYSETPOS"),
    )
    return frozenset(at.date() for at in found)
