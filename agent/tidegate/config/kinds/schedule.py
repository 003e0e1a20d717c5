"""Kinds of values of a schedule, windows and exclusions: arrays whose entries accumulate over all snippets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import ClassVar, cast

from tidegate.calendar.exclusions import Exclusion, parse_exclusion
from tidegate.calendar.spec import (
    DAY_NAMES,
    MINUTES_A_WEEK,
    WindowSpec,
    clock_text,
    day_words,
    parse_clock,
    parse_day,
)
from tidegate.config.keys import Kind
from tidegate.config.kinds.base import TableArrayKind, unknown_keys
from tidegate.config.problems import Fault, FaultyValueError, described, nearest, shown

_DAYS_REMEDY = 'use days in full or by three letters, such as ["Sat", "Sun"]'
_TIME_REMEDY = 'use "hh:mm" from "00:00" to "23:59"'
_LENGTH_REMEDY = f"use an integer from 1 to {MINUTES_A_WEEK} (a week)"
_EXCLUDE_REMEDY = 'use "2026-12-24", "2026-12-24..2027-01-02", or a rule such as "FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=25"'


@dataclass(frozen=True, slots=True)
class Windows(TableArrayKind[tuple[WindowSpec, ...]]):
    """``[[updates.periodic.window]]``: the weekly windows."""

    @property
    def wanted(self) -> str:
        """A description of valid values, for error messages."""
        return "an array of tables with `days`, `start_time` and `length_minutes`"

    def read(self, value: object) -> tuple[WindowSpec, ...]:
        """The window of one entry, as a tuple of one."""
        window = cast(dict[str, object], value)
        faults = list(unknown_keys(window, _PROPERTIES))
        read = {name: _property(window, name, reader, faults) for name, reader in _PROPERTIES.items()}
        if faults:
            raise FaultyValueError(*faults)
        days, start, length = (read[name] for name in _PROPERTIES)
        return (WindowSpec(cast(tuple[int, ...], days), cast(int, start), cast(int, length)),)

    def plain(self, setting: object) -> object:
        """The tables, with days by three letters."""
        return [
            {
                "days": [DAY_NAMES[day][:3] for day in one.days],
                "start_time": clock_text(one.start_minute),
                "length_minutes": one.length_minutes,
            }
            for one in cast(tuple[WindowSpec, ...], setting)
        ]


@dataclass(frozen=True, slots=True)
class Excludes(Kind[tuple[Exclusion, ...]]):
    """Dates, ranges of dates and recurrence rules, read one entry at a time."""

    accumulates: ClassVar[bool] = True

    @property
    def wanted(self) -> str:
        """A description of valid values, for error messages."""
        return "an array of dates, ranges and recurrence rules"

    def fits(self, value: object) -> bool:
        """Whether it is an array of strings and of TOML dates without a time."""
        return isinstance(value, list) and all(_is_date_like(one) for one in cast(list[object], value))

    def read(self, value: object) -> tuple[Exclusion, ...]:
        """The exclusion of one entry, as a tuple of one."""
        try:
            return (parse_exclusion(str(value)),)
        except ValueError as error:
            raise FaultyValueError(Fault(str(error), _EXCLUDE_REMEDY)) from None

    def plain(self, setting: object) -> object:
        """Each exclusion as text."""
        return [str(one) for one in cast(tuple[Exclusion, ...], setting)]


def _is_date_like(value: object) -> bool:
    return isinstance(value, (str, date)) and not isinstance(value, datetime)


def _property(window: dict[str, object], name: str, reader: Callable[[object], object], faults: list[Fault]) -> object:
    if name not in window:
        faults.append(Fault(f"the window has no `{name}`", f"add it: {_PROPERTY_REMEDIES[name]}"))
        return None
    try:
        return reader(window[name])
    except ValueError as error:
        faults.append(Fault(str(error), _PROPERTY_REMEDIES[name], (name,)))
        return None


def _read_days(value: object) -> tuple[int, ...]:
    if not isinstance(value, list):
        raise ValueError(f"{described(value)}, not an array of days")
    words = cast(list[object], value)
    if not words:
        raise ValueError("a window without days would never open")
    return tuple(dict.fromkeys(_read_day(word) for word in words))


def _read_day(word: object) -> int:
    day = parse_day(word) if isinstance(word, str) else None
    if day is None:
        close = nearest(word, day_words()) if isinstance(word, str) else None
        hint = f'; did you mean "{close}"?' if close else ""
        raise ValueError(f"{shown(word)} is not a day of the week{hint}")
    return day


def _read_start(value: object) -> int:
    minute = parse_clock(value) if isinstance(value, str) else None
    if minute is None:
        raise ValueError(f"{shown(value)} is not a time of day")
    return minute


def _read_length(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{described(value)}, not an integer")
    if not 1 <= value <= MINUTES_A_WEEK:
        raise ValueError(f"{shown(value)} minutes is {'too short' if value < 1 else 'longer than a week'}")
    return value


_PROPERTIES: dict[str, Callable[[object], object]] = {
    "days": _read_days,
    "start_time": _read_start,
    "length_minutes": _read_length,
}
_PROPERTY_REMEDIES = {"days": _DAYS_REMEDY, "start_time": _TIME_REMEDY, "length_minutes": _LENGTH_REMEDY}
