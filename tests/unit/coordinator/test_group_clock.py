"""The time in a group, when clocks jump."""

from __future__ import annotations

from datetime import timedelta

from tests.fakes.clock import START, FakeClock
from tidegate.coordinator.group_clock import GroupClock, GroupTime


def seconds(secs: float) -> timedelta:
    return timedelta(seconds=secs)


def test_it_is_the_clocks() -> None:
    clock = FakeClock()
    time = GroupClock(clock)
    assert time.now(None) == GroupTime(START)
    clock.advance(90)
    assert time.now(START) == GroupTime(START + seconds(90))


def test_a_clock_that_is_set_back_does_not_take_it_back() -> None:
    clock = FakeClock()
    time = GroupClock(clock)
    time.now(None)
    clock.step_wall(-3600)
    clock.advance(60)
    assert time.now(None) == GroupTime(START + seconds(60), sure=False)


def test_it_is_sure_again_when_the_clock_is_set_right() -> None:
    clock = FakeClock()
    time = GroupClock(clock)
    time.now(None)
    clock.step_wall(-3600)
    time.now(None)
    clock.step_wall(3600)
    assert time.now(None) == GroupTime(START)


def test_a_clock_that_starts_behind_the_record_counts_on_from_there() -> None:
    """Neither earlier than what is written down, nor standing still: delays end."""
    clock = FakeClock()
    time = GroupClock(clock)
    written = START + seconds(86400)
    assert time.now(written) == GroupTime(written, sure=False)
    clock.advance(30)
    assert time.now(written) == GroupTime(written + seconds(30), sure=False)


def test_clocks_that_differ_a_little_are_sure() -> None:
    assert GroupClock(FakeClock()).now(START + seconds(2)).sure


def test_writing_often_does_not_make_it_run_ahead() -> None:
    clock = FakeClock()
    time, written = GroupClock(clock), None
    for _ in range(100):
        written = time.now(written).at
        clock.advance(0.001)
    assert time.now(written).at == clock.now().wall
