"""Excluded dates: what is accepted, and recurrence rules against dateutil's expansion from their start."""

from __future__ import annotations

import re
import time
from datetime import date, datetime, timedelta

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.calendar.exclusions import DateRange, Exclusions, parse_exclusion
from tidegate.calendar.recurrence import Rule

DAY = timedelta(days=1)


def dates_of(text: str, year: int) -> list[date]:
    exclusion = parse_exclusion(text)
    first = date(year, 1, 1)
    return [day for day in (first + n * DAY for n in range(366)) if day.year == year and exclusion.contains(day)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-12-24", [date(2026, 12, 24)]),
        ("2026-12-30..2027-01-02", [date(2026, 12, 30), date(2026, 12, 31)]),
        ("FREQ=YEARLY;BYMONTH=7;BYMONTHDAY=4", [date(2026, 7, 4)]),
        ("rrule:freq=yearly;bymonth=7;bymonthday=4", [date(2026, 7, 4)]),
        ("FREQ=YEARLY;BYEASTER=-2,1", [date(2026, 4, 3), date(2026, 4, 6)]),
        ("FREQ=YEARLY;BYMONTH=11;BYDAY=4TH", [date(2026, 11, 26)]),
        ("FREQ=MONTHLY;BYDAY=-1FR;UNTIL=20260228", [date(2026, 1, 30), date(2026, 2, 27)]),
        ("DTSTART:20260105 FREQ=WEEKLY;INTERVAL=26", [date(2026, 1, 5), date(2026, 7, 6)]),
        ("DTSTART:20261230\nRRULE:FREQ=DAILY", [date(2026, 12, 30), date(2026, 12, 31)]),
        ("FREQ=YEARLY;DTSTART=20201225", [date(2026, 12, 25)]),
        ("FREQ=MONTHLY;BYMONTHDAY=31;BYMONTH=2", []),
        ("FREQ=DAILY;BYMONTH=2", [date(2026, 2, day) for day in range(1, 29)]),
    ],
)
def test_what_is_excluded(text: str, expected: list[date]) -> None:
    assert dates_of(text, 2026) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not a date"),
        ("christmas", "not a date"),
        ("2026-02-30", "does not exist"),
        ("2026-1-1", "not a date"),
        ("2026-05-02..2026-05-01", "is before"),
        ("2026-05-02..", "not a date"),
        ("FREQ=HOURLY", "more often than daily"),
        ("FREQ=FORTNIGHTLY", "FREQ must be"),
        ("BYDAY=MO", "FREQ must be"),
        ("FREQ=DAILY", "selects no days"),
        ("FREQ=YEARLY;BYMONTH=8", "selects no days"),
        ("FREQ=WEEKLY;COUNT=3", "UNTIL"),
        ("FREQ=WEEKLY;BYDAY=MO;INTERVAL=2", "DTSTART"),
        ("FREQ=WEEKLY;BYDAY=XX", "BYDAY"),
        ("FREQ=WEEKLY;BYDAY=1MO", "FREQ=MONTHLY"),
        ("FREQ=MONTHLY;BYDAY=0MO", "BYDAY"),
        ("FREQ=WEEKLY;BYDAY=MO;BYSETPOS=1", "BYSETPOS"),
        ("FREQ=YEARLY;BYMONTH=13", "1 to 12"),
        ("FREQ=YEARLY;BYMONTH=", "1 to 12"),
        ("FREQ=YEARLY;BYMONTHDAY=0", "-31 to 31"),
        ("FREQ=YEARLY;FREQ=DAILY", "twice"),
        ("FREQ=YEARLY;BYHOUR=3;BYMONTH=1", "a part of a day"),
        ("FREQ=YEARLY;BYWEEK=3", "BYWEEKNO"),
        ("DTSTART:2026 FREQ=YEARLY", "not a date"),
        ("DTSTART:20260102 FREQ=YEARLY;UNTIL=20260101", "before DTSTART"),
        ("FREQ=YEARLY;BYMONTH=1;WKST=XX", "WKST"),
    ],
)
def test_what_is_rejected(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        parse_exclusion(text)
    assert len(str(caught.value)) < 200


starts = st.dates(date(2024, 1, 1), date(2025, 12, 31))
numbers = {
    "BYMONTH": st.integers(1, 12),
    "BYMONTHDAY": st.integers(-31, 31).filter(bool),
    "BYYEARDAY": st.integers(-366, 366).filter(bool),
    "BYWEEKNO": st.integers(-53, 53).filter(bool),
    "BYEASTER": st.integers(-60, 60),
}
weekdays = st.sampled_from(("MO", "TU", "WE", "TH", "FR", "SA", "SU"))


@st.composite
def rules(draw: st.DrawFn) -> tuple[str, date]:
    """A rule with a start, of any parts that go together."""
    frequency = draw(st.sampled_from(("YEARLY", "MONTHLY", "WEEKLY", "DAILY")))
    parts = [f"FREQ={frequency}", f"INTERVAL={draw(st.integers(1, 5))}", f"WKST={draw(weekdays)}"]
    names = draw(st.lists(st.sampled_from(tuple(numbers)), max_size=2, unique=True))
    drawn = {name: draw(st.lists(numbers[name], min_size=1, max_size=5)) for name in names}
    parts += [f"{name}={','.join(map(str, chosen))}" for name, chosen in drawn.items()]
    if draw(st.booleans()):
        which = draw(st.sampled_from(("", "1", "-1", "2"))) if frequency in {"YEARLY", "MONTHLY"} else ""
        parts.append(f"BYDAY={which}{draw(weekdays)}")
    if frequency in {"YEARLY", "MONTHLY"} and len(parts) > 3 and draw(st.booleans()):
        parts.append(f"BYSETPOS={draw(st.integers(-3, 3).filter(bool))}")
    return ";".join(parts), draw(starts)


@settings(max_examples=40)
@given(rules(), st.integers(0, 700))
def test_a_rule_means_what_dateutil_says(drawn: tuple[str, date], length_days: int) -> None:
    """UNTIL and a sentinel keep dateutil from walking to the year 9999 where a rule matches nothing."""
    text, start = drawn
    last = start + length_days * DAY
    ours = parse_exclusion(f"DTSTART:{start:%Y%m%d} {text};UNTIL={last:%Y%m%d}")
    assert isinstance(ours, Rule)
    begin = datetime(start.year, start.month, start.day)  # noqa: DTZ001 - dateutil's dates have no zone
    walked = rrulestr(text, dtstart=begin)
    expected: set[date] = set()
    for at in walked.xafter(begin, count=800, inc=True) if ours_matches_something(ours, start) else ():
        if at.date() > last:
            break
        expected.add(at.date())
    found = {day for day in (start + n * DAY for n in range(-3, length_days + 9)) if ours.contains(day)}
    assert found == expected


def ours_matches_something(rule: Rule, start: date) -> bool:
    """Whether the rule ever matches in twelve years: dateutil walks on to the year 9999 for one that does not."""
    unbounded = parse_exclusion(f"DTSTART:{start:%Y%m%d} {rule.text.split()[1].rpartition(';UNTIL=')[0]}")
    return any(unbounded.contains(start + n * DAY) for n in range(12 * 366))


def test_a_rule_that_matches_nothing_costs_no_more_than_others() -> None:
    never = parse_exclusion("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30")
    began = time.process_time()
    assert not any(never.contains(date(2026, 1, 1) + n * DAY) for n in range(3650))
    assert time.process_time() - began < 1


def test_the_cache_of_exclusions_is_bounded() -> None:
    exclusions = Exclusions((DateRange(date(2026, 1, 1), date(2026, 1, 1)),))
    assert sum(exclusions.contains(date(2020, 1, 1) + n * DAY) for n in range(10_000)) == 1
    assert exclusions.contains(date(2026, 1, 1))
    assert not Exclusions()
