"""Times as people tell them, and a gate in one line."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tidegate.cli.wording import reason_of, when
from tidegate.printable import duration

NOW = datetime(2026, 3, 2, 10, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("secs", "text"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (150, "2 min"),
        (3599, "59 min"),
        (3600, "1 h 0 min"),
        (86399, "23 h 59 min"),
        (86400, "1 d 0 h"),
        (10**7, "115 d 17 h"),
    ],
)
def test_durations_have_two_units_at_most(secs: float, text: str) -> None:
    assert duration(secs) == text


@pytest.mark.parametrize(
    ("instant", "told"),
    [
        ("2026-03-02T10:10:00Z", "0 s ago"),
        ("2026-03-02T10:09:59Z", "1 s ago"),
        ("2026-03-02T10:10:30Z", "in 30 s"),
        ("2026-03-02T13:40:00+02:00", "in 1 h 30 min"),
        ("2026-02-28T10:10:00Z", "2 d 0 h ago"),
        ("yesterday", "yesterday"),
        ("", ""),
    ],
)
def test_an_instant_is_told_from_now(instant: str, told: str) -> None:
    assert when(instant, NOW) == told


def test_an_instant_without_an_offset_is_told_as_it_is() -> None:
    assert when("2026-03-02T10:10:00", NOW) == "2026-03-02T10:10:00"


@pytest.mark.parametrize(
    ("gate", "told"),
    [
        ({}, ""),
        ({"reason": "shut", "since": None, "until": None}, "shut"),
        ({"reason": "shut", "since": "2026-03-02T10:00:00Z", "until": None}, "shut, since 10 min ago"),
        ({"reason": "", "until": "2026-03-02T11:10:00Z"}, "until 2026-03-02 11:10 UTC, in 1 h 0 min"),
        (
            {"reason": "shut", "since": "2026-03-02T10:00:00Z", "until": "2026-03-02T10:05:00Z"},
            "shut, since 10 min ago, until 2026-03-02 10:05 UTC, 5 min ago",
        ),
    ],
)
def test_a_gate_is_its_reason_and_its_times(gate: dict[str, object], told: str) -> None:
    assert reason_of(gate, NOW) == told
