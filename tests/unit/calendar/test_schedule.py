"""Windows, exclusions and spread, against a calendar that evaluates each window separately."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tidegate.calendar.exclusions import DateRange
from tidegate.calendar.preview import preview
from tidegate.calendar.schedule import Schedule, State
from tidegate.calendar.spec import MINUTES_A_WEEK, WindowSpec
from tidegate.errors import ErrorKind, TidegateError
from tidegate.gates.periodic import PeriodicSettings

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
MONDAY = datetime(2026, 6, 1, tzinfo=UTC)
SAT, SUN, MON = 5, 6, 0

days = st.lists(st.integers(0, 6), min_size=1, max_size=7, unique=True).map(tuple)
lengths = st.sampled_from((1, 30, 60, 1440, 1441, 4000, MINUTES_A_WEEK)) | st.integers(1, MINUTES_A_WEEK)
windows = st.lists(st.builds(WindowSpec, days, st.integers(0, 1439), lengths), min_size=1, max_size=4)
dates = st.integers(-8, 21).map(lambda n: MONDAY.date() + n * DAY)
ranges = st.tuples(dates, st.integers(0, 3)).map(lambda drawn: DateRange(drawn[0], drawn[0] + drawn[1] * DAY))
excluded = st.lists(ranges, max_size=3).map(tuple)
instants = st.integers(0, 14 * 86400).map(lambda secs: MONDAY + timedelta(seconds=secs))


@dataclass(frozen=True)
class Naive:
    """The rule in its own words, in UTC: window by window, day by day."""

    windows: list[WindowSpec]
    excluded: tuple[DateRange, ...]

    def is_open(self, at: datetime) -> bool:
        return not self._is_excluded(at.date()) and any(
            self._covers(one, at.date() - back * DAY, at) for one in self.windows for back in range(8)
        )

    def _covers(self, window: WindowSpec, day: date, at: datetime) -> bool:
        if day.weekday() not in window.days or self._is_excluded(day):
            return False
        start = datetime(day.year, day.month, day.day, tzinfo=UTC) + window.start_minute * MINUTE
        return start <= at < start + window.length_minutes * MINUTE

    def _is_excluded(self, day: date) -> bool:
        return any(one.first <= day <= one.last for one in self.excluded)


def schedule_of(*listed: WindowSpec, excluded: tuple[DateRange, ...] = (), spread_minutes: int = 0) -> Schedule:
    periodic = PeriodicSettings(windows=listed, exclude=excluded, spread_minutes=spread_minutes)
    return Schedule.of(periodic, "some host")


@settings(max_examples=40)
@given(windows, excluded, instants)
def test_open_means_in_a_window_that_is_not_excluded(
    listed: list[WindowSpec], excluded: tuple[DateRange, ...], at: datetime
) -> None:
    schedule = schedule_of(*listed, excluded=excluded)
    assert schedule.is_open(at) is Naive(listed, excluded).is_open(at)
    assert schedule.state(at).is_open is schedule.is_open(at)


@settings(max_examples=40)
@given(windows, excluded, instants)
def test_the_next_change_is_never_in_the_past_and_never_skipped(
    listed: list[WindowSpec], excluded: tuple[DateRange, ...], at: datetime
) -> None:
    naive = Naive(listed, excluded)
    state = schedule_of(*listed, excluded=excluded).state(at)
    assume(state.until is not None)
    assert state.until is not None
    assert state.until > at
    assert naive.is_open(state.until) is not state.is_open
    assert naive.is_open(state.until - timedelta(seconds=1)) is state.is_open
    step = max(MINUTE, (state.until - at) // 40)
    assert all(naive.is_open(at + n * step) is state.is_open for n in range(41) if at + n * step < state.until)


@settings(max_examples=40)
@given(windows, excluded, instants)
def test_openings_are_in_order_apart_and_open_throughout(
    listed: list[WindowSpec], excluded: tuple[DateRange, ...], at: datetime
) -> None:
    naive = Naive(listed, excluded)
    last = None
    for one in islice(schedule_of(*listed, excluded=excluded).openings(at), 5):
        if one.end is None:
            break
        assert one.end > at
        assert one.start < one.end
        assert last is None or last < one.start
        assert naive.is_open(one.start)
        assert naive.is_open(one.end - MINUTE)
        assert not naive.is_open(one.end)
        last = one.end


@settings(max_examples=40)
@given(windows, excluded, instants, st.integers(1, MINUTES_A_WEEK), st.text(min_size=1, max_size=5))
def test_each_host_opens_at_its_own_moment_in_every_window(
    listed: list[WindowSpec], excluded: tuple[DateRange, ...], at: datetime, spread_minutes: int, host: str
) -> None:
    periodic = PeriodicSettings(windows=tuple(listed), exclude=excluded, spread_minutes=spread_minutes)
    schedule = Schedule.of(periodic, host)
    shared = Schedule.of(PeriodicSettings(windows=tuple(listed), exclude=excluded), "")
    for mine, window in zip(islice(schedule.openings(at), 3), islice(shared.openings(at), 3), strict=True):
        assert (mine.start, mine.end) == (window.start, window.end)
        assert mine.start <= mine.opens
        assert mine.opens < mine.start + spread_minutes * MINUTE
        assert mine.end is None or mine.opens < mine.end
    assert schedule.is_open(at) is schedule.state(at).is_open
    assert shared.is_open(at) or not schedule.is_open(at)


def test_windows_wrap_over_midnight_and_into_monday() -> None:
    schedule = schedule_of(WindowSpec((SAT, SUN), 23 * 60 + 30, 60), WindowSpec((2,), 60, 30))
    assert schedule.weekly_minutes == 150
    found = [(one.start, one.length_minutes) for one in islice(schedule.openings(MONDAY + MINUTE * 30), 4)]
    assert found == [
        (MONDAY + 2 * DAY + MINUTE * 60, 30),
        (MONDAY + 5 * DAY + MINUTE * 1410, 60),
        (MONDAY + 6 * DAY + MINUTE * 1410, 60),
        (MONDAY + 9 * DAY + MINUTE * 60, 30),
    ]
    assert schedule.is_open(MONDAY + MINUTE * 29)


def test_windows_are_half_open() -> None:
    schedule = schedule_of(WindowSpec((MON,), 420, 60))
    second = timedelta(seconds=1)
    assert [schedule.is_open(MONDAY + MINUTE * 420 + n * second) for n in (-1, 0)] == [False, True]
    assert [schedule.is_open(MONDAY + MINUTE * 480 + n * second) for n in (-1, 0)] == [True, False]


def test_overlapping_and_touching_windows_are_one() -> None:
    schedule = schedule_of(WindowSpec((MON,), 60, 60), WindowSpec((MON,), 120, 30), WindowSpec((MON,), 100, 5))
    first = next(schedule.openings(MONDAY))
    assert (first.start, first.length_minutes) == (MONDAY + MINUTE * 60, 90)


@pytest.mark.parametrize(
    "listed",
    [(WindowSpec((3,), 777, MINUTES_A_WEEK),), (WindowSpec(tuple(range(7)), 0, 1440),)],
)
def test_a_whole_week_is_always_open(listed: tuple[WindowSpec, ...]) -> None:
    schedule = schedule_of(*listed)
    assert schedule.weekly_minutes == MINUTES_A_WEEK
    assert schedule.state(MONDAY) == State(is_open=True, until=None)
    assert preview(schedule, MONDAY, 3).upcoming == ()


def test_without_windows_nothing_opens() -> None:
    assert schedule_of().state(MONDAY) == State(is_open=False, until=None)


def test_a_permanent_exclusion_has_no_next_opening() -> None:
    for_good = DateRange(MONDAY.date(), date(2999, 1, 1))
    assert schedule_of(WindowSpec((SAT,), 0, 60), excluded=(for_good,)).state(MONDAY) == State(
        is_open=False, until=None
    )


def test_an_excluded_date_drops_its_windows_and_cuts_those_of_the_day_before() -> None:
    night = WindowSpec(tuple(range(7)), 23 * 60, 120)
    tuesday = MONDAY + DAY
    schedule = schedule_of(night, excluded=(DateRange(tuesday.date(), tuesday.date()),))
    found = [(one.start, one.end) for one in islice(schedule.openings(MONDAY + 2 * MINUTE * 60), 2)]
    assert found == [
        (MONDAY + 23 * 60 * MINUTE, tuesday),
        (tuesday + DAY + 23 * 60 * MINUTE, tuesday + 2 * DAY + 60 * MINUTE),
    ]


def test_spread_is_even_over_hosts() -> None:
    window = PeriodicSettings(windows=(WindowSpec((SAT,), 0, 120),), spread_minutes=60)
    late = [next(Schedule.of(window, f"host-{n}").openings(MONDAY)) for n in range(600)]
    quarters = [int((one.opens - one.start) / (15 * MINUTE)) for one in late]
    assert all(100 < quarters.count(quarter) < 200 for quarter in range(4))


def test_the_preview_lists_the_next_windows_of_this_host() -> None:
    schedule = schedule_of(WindowSpec((SAT,), 0, 120), spread_minutes=60)
    first = next(schedule.openings(MONDAY))
    assert first.opens > first.start
    before, after = preview(schedule, first.start, 1), preview(schedule, first.opens, 1)
    assert (before.state, before.upcoming) == (State(is_open=False, until=first.opens), (first,))
    assert after.state == State(is_open=True, until=first.end)
    assert after.upcoming[0].start == first.start + 7 * DAY


def test_a_zone_that_is_gone_is_a_config_error() -> None:
    with pytest.raises(TidegateError) as caught:
        Schedule.of(PeriodicSettings(time_zone="Nowhere/Town"), "")
    assert caught.value.kind is ErrorKind.CONFIG_INVALID
