"""What a host says that it follows: source, strategies, and its window."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes.clock import START
from tidegate.calendar.schedule import Schedule, State
from tidegate.calendar.spec import WindowSpec
from tidegate.configured import Follows
from tidegate.discovery.settings import CincinnatiSettings, DiscoverySettings, StaticGraphSettings
from tidegate.gates.periodic import PeriodicSettings
from tidegate.settings import Settings

WINDOWS = PeriodicSettings(windows=(WindowSpec((0,), 11 * 60, 60),))
"""Mondays from 11:00 to 12:00; START is a Monday, at 10:00."""


def settings(*strategies: str, graph: StaticGraphSettings | None = None, base_url: str = "") -> Settings:
    plain = Settings().having(WINDOWS)
    discovery = replace(DiscoverySettings(), static_graph=graph or StaticGraphSettings())
    return replace(
        plain,
        updates=replace(plain.updates, strategy=strategies or ("immediate",)),
        discovery=discovery,
        cincinnati=CincinnatiSettings(base_url),
    )


@pytest.mark.parametrize(
    ("given", "source"),
    [
        (settings(), {"kind": "native", "url": None, "signed": False}),
        (
            settings(graph=StaticGraphSettings("https://u:p@h.example/g.json", "/etc/root.json")),
            {"kind": "static_graph", "url": "https://***@h.example/g.json", "signed": True},
        ),
        (
            settings(base_url="https://h.example/c"),
            {"kind": "cincinnati", "url": "https://h.example/c", "signed": False},
        ),
    ],
)
def test_the_source_is_named_without_its_password(given: Settings, source: dict[str, object]) -> None:
    document = Follows(given).document(START)
    assert document == {"source": source, "strategy": ["immediate"], "window": None}


def test_the_window_is_the_next_one_or_the_one_that_is_open() -> None:
    follows = Follows(settings("periodic", "fleet_lock"))
    assert follows.document(START)["strategy"] == ["periodic", "fleet_lock"]
    assert follows.document(START)["window"] == {"open": False, "until": "2026-03-02T11:00:00Z"}
    assert follows.document(START + timedelta(hours=1))["window"] == {"open": True, "until": "2026-03-02T12:00:00Z"}
    assert follows.document(START)["window"] == {"open": False, "until": "2026-03-02T11:00:00Z"}, "a clock set back"


def test_a_window_is_searched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    searches: list[object] = []

    def state(_: Schedule, at: object) -> State:
        searches.append(at)
        return State(is_open=False, until=None)

    monkeypatch.setattr(Schedule, "state", state)
    follows = Follows(settings("periodic"))
    for minutes in range(3):
        assert follows.document(START + timedelta(minutes=minutes))["window"] == {"open": False, "until": None}
    assert len(searches) == 1
    follows.document(START + timedelta(days=2))
    assert len(searches) == 2
