"""Phased rollouts: when a release is offered to a host, and rejection of invalid ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.discovery.base import Deferred, Offers
from tidegate.discovery.rollout import (
    DURATION_KEY,
    LAST,
    ROLLOUT_KEY,
    START_EPOCH_KEY,
    START_VALUE_KEY,
    NoTurn,
    OfferedNow,
    TurnAt,
    drawn_wariness,
    offered,
    phased,
)
from tidegate.errors import ErrorKind, TidegateError
from tidegate.release import Release

HOSTS = 10_000
MAX_DEVIATION = 0.02

EPOCH = 1_591_279_200
"""When the rollout of 32.20200601.1.1 in the example of Zincati's protocol page starts; it takes two days."""

TWO_DAYS_MINUTES = 2880
START = datetime.fromtimestamp(EPOCH, UTC)


def release(
    start: str | None = str(EPOCH),
    value: str | None = "0",
    minutes: str | None = str(TWO_DAYS_MINUTES),
    rollout: str | None = "true",
    payload: str = "c2",
) -> Release:
    texts = {ROLLOUT_KEY: rollout, START_EPOCH_KEY: start, START_VALUE_KEY: value, DURATION_KEY: minutes}
    return Release("2.0", payload, 2, {key: text for key, text in texts.items() if text is not None})


def after(hours: float) -> datetime:
    return START + timedelta(hours=hours)


@pytest.mark.parametrize(
    ("wariness", "hours", "turn"),
    [
        (0.5, -1, TurnAt(after(24), 0.0)),
        (0.5, 0, TurnAt(after(24), 0.0)),
        (0.5, 12, TurnAt(after(24), 0.25)),
        (0.5, 24, OfferedNow()),
        (0.5, 1000, OfferedNow()),
        (1.0, 47.9, TurnAt(after(48), 47.9 / 48)),
        (1.0, 48, OfferedNow()),
        (0.0, -1, OfferedNow()),
        (0.000001, -1, TurnAt(START + timedelta(seconds=1), 0.0)),
    ],
)
def test_a_host_is_offered_a_release_when_the_line_reaches_its_wariness(
    wariness: float, hours: float, turn: object
) -> None:
    found = offered(release(), wariness, after(hours))
    if isinstance(found, TurnAt) and isinstance(turn, TurnAt):
        assert found.share == pytest.approx(turn.share)
        found = replace(found, share=turn.share)
    assert found == turn


@pytest.mark.parametrize(
    ("wariness", "hours", "turn"),
    [
        (0.3, -1, TurnAt(START, 0.0)),
        (0.3, 0, OfferedNow()),
        (0.31, 0, NoTurn(0.3)),
        (0.31, 100_000, NoTurn(0.3)),
        (0.31, -1, NoTurn(0.0)),
    ],
)
def test_without_a_duration_a_rollout_stays_where_it_starts(wariness: float, hours: float, turn: object) -> None:
    assert offered(release(value="0.3", minutes=None), wariness, after(hours)) == turn


def test_the_latest_turn_that_there_can_be_is_a_date() -> None:
    turn = offered(release(start="250246627200", minutes="5270400"), 1.0, START)
    assert isinstance(turn, TurnAt)
    assert turn.at.year == 9910


def test_a_release_without_a_rollout_is_for_everybody() -> None:
    assert offered(release(rollout=None), 1.0, after(-1)) == OfferedNow()
    assert offered(release(rollout="false", start="nonsense"), None, after(-1)) == OfferedNow()


def test_what_is_left_away_means_what_it_means_to_a_server() -> None:
    nothing_else = release(start=None, value=None, minutes=None)
    assert offered(nothing_else, 0.5, START) == NoTurn(0.0)
    assert offered(nothing_else, 0.0, START) == OfferedNow()
    assert offered(release(start=None), 1.0, START) == OfferedNow()  # it began in 1970
    assert offered(release(minutes="0"), 1.0, START) == TurnAt(START + timedelta(minutes=1), 0.0)


@pytest.mark.parametrize(
    ("broken", "what"),
    [
        (release(start="soon"), f"{START_EPOCH_KEY} is 'soon', not a whole number"),
        (release(start="1591279200000"), f"{START_EPOCH_KEY} is '1591279200000', not a whole number from 0 to"),
        (release(start="-1"), START_EPOCH_KEY),
        (release(start="1_0"), START_EPOCH_KEY),
        (release(start="9" * 5000), START_EPOCH_KEY),
        (release(value="10"), f"{START_VALUE_KEY} is '10', not a number from 0 to 1"),
        (release(value="nan"), START_VALUE_KEY),
        (release(value="10 %"), START_VALUE_KEY),
        (release(minutes="1.5"), DURATION_KEY),
        (release(minutes="9999999999"), DURATION_KEY),
        (release(minutes=""), DURATION_KEY),
    ],
)
def test_numbers_that_make_no_sense_are_refused_rather_than_offered_to_all(broken: Release, what: str) -> None:
    with pytest.raises(TidegateError) as caught:
        offered(broken, 0.5, START)
    assert caught.value.kind is ErrorKind.DISCOVERY_NONSENSE
    assert caught.value.message.startswith("the rollout of 2.0: ")
    assert what in caught.value.message
    assert len(caught.value.message) < 300


# --------------------------------------------------------------------------- who comes when

MINUTES = st.none() | st.integers(0, 10_000)
VALUES = st.floats(0, 1, allow_subnormal=False)


def reference(rollout: tuple[int, float, int | None], epoch: float) -> float:
    """The share as Fedora's policy engine computes it (``throttle_rollouts()``), written anew from its rules."""
    start, value, minutes = rollout
    if epoch < start:
        return 0.0
    if minutes is None:
        return value
    end = start + max(minutes, 1) * 60
    return 1.0 if epoch > end else value + (1.0 - value) / (end - start) * (epoch - start)


@given(VALUES, MINUTES, VALUES, st.integers(-100_000, 1_000_000))
def test_a_host_is_offered_what_a_server_would_offer_it(
    value: float, minutes: int | None, wariness: float, secs: int
) -> None:
    rollout = release(value=repr(value), minutes=None if minutes is None else str(minutes))
    found = isinstance(offered(rollout, wariness, START + timedelta(seconds=secs)), OfferedNow)
    early, late = (reference((EPOCH, value, minutes), EPOCH + secs + slack) for slack in (-1, 1))
    if wariness < early - 1e-9:
        assert found
    if wariness > late + 1e-9:
        assert not found


@given(VALUES, MINUTES, st.none() | VALUES | st.text("0123456789abcdef", min_size=32, max_size=32))
def test_a_turn_comes_when_it_was_said_to_and_never_goes_away(
    value: float, minutes: int | None, host: float | str | None
) -> None:
    rollout = release(value=repr(value), minutes=None if minutes is None else str(minutes))
    turn = offered(rollout, host, START - timedelta(days=1))
    match turn:
        case TurnAt(at):
            assert isinstance(offered(rollout, host, at - timedelta(seconds=1)), TurnAt)
            assert all(offered(rollout, host, at + timedelta(hours=h)) == OfferedNow() for h in (0, 1, 100, 10_000))
        case NoTurn():
            assert isinstance(offered(rollout, host, START + timedelta(days=10_000)), NoTurn)
        case OfferedNow():
            assert host == 0.0


@settings(max_examples=12)
@given(VALUES, st.integers(1, 10_000), st.floats(0, 1.2), st.sampled_from(["c1", "c2", "a" * 64]))
def test_the_share_of_a_fleet_that_is_offered_a_release_follows_the_line(
    value: float, minutes: int, moment: float, payload: str
) -> None:
    rollout = release(value=repr(value), minutes=str(minutes), payload=payload)
    now = START + timedelta(minutes=minutes * moment)
    hosts = sum(isinstance(offered(rollout, f"{n:032x}", now), OfferedNow) for n in range(HOSTS))
    assert abs(hosts / HOSTS - reference((EPOCH, value, minutes), now.timestamp())) < MAX_DEVIATION


def test_a_host_keeps_its_place_for_a_release_and_takes_another_for_the_next() -> None:
    first, again = (drawn_wariness(f"{7:032x}", "c1") for _ in range(2))
    assert first == again
    assert 0.0 < first <= 1.0
    early = [n for n in range(HOSTS) if drawn_wariness(f"{n:032x}", "c1") < 0.1]
    early_again = sum(drawn_wariness(f"{n:032x}", "c2") < 0.1 for n in early)
    assert 0.05 < early_again / len(early) < 0.15  # a tenth of them: no host is for ever among the first


def test_a_host_without_an_id_comes_last() -> None:
    assert drawn_wariness(None, "c1") == LAST
    assert offered(release(), None, after(47)) == TurnAt(after(48), 47 / 48)


# --------------------------------------------------------------------------- offers


def test_what_has_not_come_to_this_host_is_held_back_with_its_time() -> None:
    free, later, stopped = (
        Release("1.5", "c1", 1),
        release(),
        release(value="0.999", minutes=None, payload="c3"),
    )
    behind = Deferred(Release("9.0", "c9", 9), "comes after 8.0")
    offers = Offers((free, later, stopped), Release("1.0", "c0", 0), None, (behind,))
    found = phased(offers, 1.0, after(16.4))
    assert found.candidates == (free,)
    assert found.deferred == (
        behind,
        Deferred(later, "is offered to 34 % of hosts now", after(48)),
        Deferred(stopped, "is offered to 99 % of hosts, and its rollout goes no further"),
    )
    assert (found.booted, found.dead_end) == (offers.booted, offers.dead_end)
    assert phased(offers, 0.1, after(16.4)).candidates == (free, later, stopped)
