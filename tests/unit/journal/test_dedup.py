"""Which lines are written, which are counted, and when."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.clock import START
from tidegate.clock import Now
from tidegate.journal.dedup import MAX_SOURCES, MAX_TEXTS, WINDOW_SECS, Line, Repeats

START_TEXT = "2026-03-02T10:00:00Z"


def at(secs: float) -> Now:
    return Now(START + timedelta(seconds=secs), 100.0 + secs)


def line(text: str, source: str = "here") -> Line:
    return Line(source, 4, text, {"K": text})


def texts(lines: tuple[Line, ...]) -> list[str]:
    return [told.text for told in lines]


def test_what_is_new_is_told_at_once_as_it_is() -> None:
    assert Repeats().pass_on(line("a"), at(0)) == (line("a"),)


def test_a_repeat_within_the_hour_is_held_back_and_told_with_the_next_one_after_it() -> None:
    repeats = Repeats()
    repeats.pass_on(line("a"), at(0))
    assert texts(repeats.pass_on(line("a"), at(1))) == []
    assert texts(repeats.pass_on(line("a"), at(WINDOW_SECS - 1))) == []
    assert texts(repeats.pass_on(line("a"), at(WINDOW_SECS))) == [f"a (3 times since {START_TEXT})"]
    assert texts(repeats.pass_on(line("a"), at(WINDOW_SECS + 1))) == []


def test_what_was_not_repeated_is_told_again_after_the_hour_without_a_number() -> None:
    repeats = Repeats()
    repeats.pass_on(line("a"), at(0))
    assert texts(repeats.pass_on(line("a"), at(WINDOW_SECS))) == ["a"]


def test_a_repeat_that_came_to_its_end_is_told_once_with_whatever_comes_next() -> None:
    repeats = Repeats()
    repeats.pass_on(line("a"), at(0))
    repeats.pass_on(line("a"), at(1))
    later = repeats.pass_on(line("b", "elsewhere"), at(WINDOW_SECS))
    assert texts(later) == [f"a (1 time since {START_TEXT})", "b"]
    assert later[0].fields == {"K": "a"}
    assert texts(repeats.pass_on(line("c"), at(WINDOW_SECS + 1))) == ["c"]
    assert texts(tuple(repeats.rest())) == []


def test_the_same_words_from_elsewhere_are_other_words() -> None:
    repeats = Repeats()
    repeats.pass_on(line("a"), at(0))
    assert texts(repeats.pass_on(line("a", "elsewhere"), at(1))) == ["a"]


def test_a_flood_of_different_words_is_cut_off_and_counted() -> None:
    repeats = Repeats()
    told = [texts(repeats.pass_on(line(f"refused {number}"), at(0))) for number in range(1000)]
    assert sum(map(len, told)) == MAX_TEXTS
    assert texts(repeats.pass_on(line("other", "elsewhere"), at(1))) == ["other"]
    summary = f"{1000 - MAX_TEXTS} more like this since {START_TEXT}, the last: refused 999"
    assert texts(repeats.pass_on(line("b"), at(WINDOW_SECS))) == [summary, "b"]


def test_what_is_held_back_is_told_at_the_end() -> None:
    repeats = Repeats()
    for _ in range(3):
        repeats.pass_on(line("a"), at(0))
    assert texts(tuple(repeats.rest())) == [f"a (2 times since {START_TEXT})"]
    assert texts(tuple(repeats.rest())) == []


def test_a_wall_clock_that_is_set_changes_nothing() -> None:
    repeats = Repeats()
    repeats.pass_on(line("a"), at(0))
    assert texts(repeats.pass_on(line("a"), Now(at(5 * WINDOW_SECS).wall, at(10).boot_secs))) == []


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from("abc"), st.integers(0, 4000)), max_size=80))
def test_every_line_is_told_or_counted_exactly_once(steps: list[tuple[int, str, int]]) -> None:
    repeats, now_secs, told = Repeats(), 0, list[str]()
    for source, text, pause_secs in steps:
        now_secs += pause_secs
        told += texts(repeats.pass_on(line(text, str(source)), at(now_secs)))
    told += texts(tuple(repeats.rest()))
    assert sum(int(text.split("(")[1].split()[0]) if "(" in text else 1 for text in told) == len(steps)


def test_memory_is_bounded_whoever_says_how_much() -> None:
    repeats = Repeats()
    for number in range(MAX_SOURCES * 2):
        assert texts(repeats.pass_on(line("a", str(number)), at(0))) == ["a"]
    for number in range(MAX_SOURCES, MAX_SOURCES * 2):
        assert texts(repeats.pass_on(line("a", str(number)), at(1))) == []
