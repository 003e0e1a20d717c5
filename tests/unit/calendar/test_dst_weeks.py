"""Every minute of the weeks in which ten zones change their clocks, against a calendar of single minutes.

The other side of the comparison knows only this: a minute is in a window when the clock of the zone shows a minute that
is in a window.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from tidegate.calendar.exclusions import Exclusions
from tidegate.calendar.schedule import Schedule
from tidegate.calendar.spec import MINUTES_A_DAY, MINUTES_A_WEEK, WindowSpec
from tidegate.calendar.weekly import WallCalendar

MINUTE = timedelta(minutes=1)

# Each zone with a day of a clock change: whole and half hours, both hemispheres, midnight, a skipped and a doubled day,
# negative daylight saving, Ramadan.
CHANGES = [
    ("Europe/Berlin", "2026-03-29"),
    ("Europe/Berlin", "2026-10-25"),
    ("America/New_York", "2026-03-08"),
    ("America/New_York", "2026-11-01"),
    ("Australia/Lord_Howe", "2026-04-05"),
    ("Australia/Lord_Howe", "2026-10-04"),
    ("America/St_Johns", "2026-03-08"),
    ("America/St_Johns", "2026-11-01"),
    ("Africa/Casablanca", "2026-02-15"),
    ("Africa/Casablanca", "2026-03-22"),
    ("America/Santiago", "2026-04-05"),
    ("America/Santiago", "2026-09-06"),
    ("Asia/Beirut", "2026-03-29"),
    ("Asia/Beirut", "2026-10-25"),
    ("Europe/Dublin", "2026-10-25"),
    ("Antarctica/Troll", "2026-03-29"),
    ("Pacific/Apia", "2011-12-30"),
    ("Pacific/Kwajalein", "1969-09-30"),
]


def random_windows(rng: random.Random) -> list[WindowSpec]:
    """Some windows, many of them near the hours in which clocks change."""
    starts = (0, 30, 60, 90, 105, 120, 150, 180, 1410, rng.randrange(MINUTES_A_DAY))
    lengths = (1, 15, 30, 60, 90, 180, MINUTES_A_DAY, rng.randint(1, 4000))
    return [
        WindowSpec(tuple(rng.sample(range(7), rng.randint(1, 7))), rng.choice(starts), rng.choice(lengths))
        for _ in range(rng.randint(1, 4))
    ]


def minutes_of(windows: list[WindowSpec]) -> set[int]:
    """The minutes of the week, from Monday, that are in a window."""
    return {
        (day * MINUTES_A_DAY + one.start_minute + minute) % MINUTES_A_WEEK
        for one in windows
        for day in one.days
        for minute in range(one.length_minutes)
    }


def is_in(minutes: set[int], zone: ZoneInfo, at: datetime) -> bool:
    shown = at.astimezone(zone)
    return shown.weekday() * MINUTES_A_DAY + shown.hour * 60 + shown.minute in minutes


def runs_of(states: list[bool], start: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The times of which every minute is open, from edge to edge."""
    edges = [start + at * MINUTE for at, (one, two) in enumerate(pairwise([False, *states, False])) if one != two]
    yield from zip(edges[::2], edges[1::2], strict=True)


@pytest.mark.parametrize(("name", "day"), CHANGES)
def test_every_minute_of_the_week_of_a_clock_change(name: str, day: str) -> None:
    zone = ZoneInfo(name)
    start = datetime.fromisoformat(f"{day}T00:00:00Z") - timedelta(days=4)
    assert len({(start + n * timedelta(days=1)).astimezone(zone).utcoffset() for n in range(9)}) > 1
    rng = random.Random(f"{name} {day}")
    windows = random_windows(rng)
    schedule = Schedule(WallCalendar(windows, Exclusions()), zone)
    minutes = minutes_of(windows)
    states = [is_in(minutes, zone, start + at * MINUTE) for at in range(8 * MINUTES_A_DAY)]
    runs = list(runs_of(states, start))
    assert schedule.weekly_minutes == len(minutes)
    check_openings(schedule, runs, start)
    for at in rng.sample(range(len(states)), 600):
        assert schedule.is_open(start + at * MINUTE + timedelta(seconds=rng.randrange(60))) is states[at]
    for at in rng.sample(range(len(states)), 40):
        check_state(schedule, runs, start + at * MINUTE)


def check_openings(schedule: Schedule, runs: list[tuple[datetime, datetime]], start: datetime) -> None:
    """The openings are the runs; the first and last may go on outside of the minutes that were counted."""
    end = start + 8 * timedelta(days=1)
    found: list[tuple[datetime, datetime]] = []
    for opening in schedule.openings(start):
        if opening.start >= end:
            break
        found.append((max(opening.start, start), min(opening.end or end, end)))
        if opening.end is None or opening.end >= end:
            break
    assert found == runs


def check_state(schedule: Schedule, runs: list[tuple[datetime, datetime]], at: datetime) -> None:
    """Nothing is skipped: the state holds until the very next edge."""
    edges = [edge for run in runs for edge in run if edge > at]
    state = schedule.state(at)
    assert state.is_open is any(low <= at < high for low, high in runs)
    if len(edges) > 1:  # the last one may be the end of the counting
        assert state.until == edges[0]


def test_a_window_in_the_skipped_hour_does_not_open() -> None:
    schedule = Schedule(WallCalendar([WindowSpec((6,), 120, 60)], Exclusions()), ZoneInfo("Europe/Berlin"))
    first = next(schedule.openings(datetime(2026, 3, 28, tzinfo=UTC)))
    assert first.start == datetime(2026, 4, 5, 0, 0, tzinfo=UTC)
    (change,) = schedule.clock_changes(datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 4, 8, tzinfo=UTC))
    assert (change.is_forward, change.window_minutes) == (True, 60)


def test_a_window_in_the_repeated_hour_opens_twice() -> None:
    schedule = Schedule(WallCalendar([WindowSpec((6,), 135, 30)], Exclusions()), ZoneInfo("Europe/Berlin"))
    openings = schedule.openings(datetime(2026, 10, 24, tzinfo=UTC))
    found = [next(openings) for _ in range(3)]
    assert [one.start for one in found] == [
        datetime(2026, 10, 25, 0, 15, tzinfo=UTC),
        datetime(2026, 10, 25, 1, 15, tzinfo=UTC),
        datetime(2026, 11, 1, 1, 15, tzinfo=UTC),
    ]
    (change,) = schedule.clock_changes(datetime(2026, 10, 24, tzinfo=UTC), found[-1].start)
    assert (change.is_forward, change.window_minutes) == (False, 30)


def test_a_window_around_the_repeated_hour_has_its_real_length() -> None:
    schedule = Schedule(WallCalendar([WindowSpec((6,), 60, 180)], Exclusions()), ZoneInfo("Europe/Berlin"))
    assert next(schedule.openings(datetime(2026, 10, 24, tzinfo=UTC))).length_minutes == 240
    assert next(schedule.openings(datetime(2026, 3, 28, tzinfo=UTC))).length_minutes == 120
