"""``tidegate windows``: the shapes that scripts rely on, and what people read."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tidegate.cli.windows_cmd import windows
from tidegate.clock import Now, SystemClock

SEED = """
[updates]
strategy = "periodic"
[[updates.periodic.window]]
days = [ "Sat", "Sun" ]
start_time = "23:30"
length_minutes = 60
[[updates.periodic.window]]
days = [ "Wed" ]
start_time = "01:00"
length_minutes = 30
"""
BERLIN_NIGHT = """
[updates]
strategy = "periodic"
[updates.periodic]
time_zone = "Europe/Berlin"
[[updates.periodic.window]]
days = ["Sun"]
start_time = "02:00"
length_minutes = 60
"""


def run(folder: Path, text: str, *arguments: str) -> Result:
    (folder / "10.toml").write_text(text, encoding="utf-8")
    return CliRunner().invoke(windows, ["--config-root", str(folder), *arguments], catch_exceptions=False)


def test_json_while_closed(tmp_path: Path) -> None:
    result = run(tmp_path, SEED, "--json", "--at", "2026-06-01T00:30:00Z", "--count", "2")
    report = json.loads(result.stdout)
    assert {name: report[name] for name in ("schema", "at", "open", "until", "weekly_minutes")} == {
        "schema": 1,
        "at": "2026-06-01T00:30:00Z",
        "open": False,
        "until": "2026-06-03T01:00:00Z",
        "weekly_minutes": 150,
    }
    assert [(one["start"], one["end"], one["length_minutes"]) for one in report["next"]] == [
        ("2026-06-03T01:00:00Z", "2026-06-03T01:30:00Z", 30),
        ("2026-06-06T23:30:00Z", "2026-06-07T00:30:00Z", 60),
    ]


def test_json_while_open_with_an_offset(tmp_path: Path) -> None:
    report = json.loads(run(tmp_path, SEED, "--json", "--at", "2026-06-01T02:29:59+02:00").stdout)
    assert (report["at"], report["open"], report["until"]) == ("2026-06-01T00:29:59Z", True, "2026-06-01T00:30:00Z")
    assert report["next"][0]["start"] == "2026-06-03T01:00:00Z"


def test_the_preview_shows_clock_changes(tmp_path: Path) -> None:
    spring = run(tmp_path, BERLIN_NIGHT, "--at", "2026-03-28T12:00:00Z", "--count", "1").stdout
    assert "Next: Sun 2026-04-05 00:00 UTC (Sun 02:00 CEST) to Sun 2026-04-05 01:00 UTC (Sun 03:00 CEST), 1 h" in spring
    assert "Sun 2026-03-29 01:00 UTC: the clock goes from 02:00 to 03:00, 1 h of windows are skipped" in spring
    autumn = run(tmp_path, BERLIN_NIGHT, "--at", "2026-10-24T12:00:00Z", "--count", "1").stdout
    assert "2 h\n" in autumn
    assert "the clock goes from 03:00 to 02:00, 1 h of windows occur twice" in autumn


def test_people_read_state_and_time_left(tmp_path: Path) -> None:
    shown = run(tmp_path, SEED, "--at", "2026-06-06T23:40:00Z").stdout
    assert "Schedule: 2 h 30 min a week, time zone UTC\n" in shown
    assert "State: open until Sun 2026-06-07 00:30 UTC, for 50 min\n" in shown


def test_spread_shows_window_and_own_opening(tmp_path: Path) -> None:
    text = (
        SEED + '[updates.periodic]\nspread_minutes = 30\n[identity]\nnode_uuid = "e0f3745b108f471cbd4883c6fbed8cdd"\n'
    )
    arguments = ("--at", "2026-06-01T12:00:00Z", "--count", "1")
    first = json.loads(run(tmp_path, text, *arguments, "--json").stdout)
    assert first["next"][0]["start"] == "2026-06-03T01:00:00Z"
    assert first["next"][0]["start"] < first["until"] == first["next"][0]["opens"] < "2026-06-03T01:30:00Z"
    assert first == json.loads(run(tmp_path, text, *arguments, "--json").stdout)
    assert "this host opens at Wed 2026-06-03 01:" in run(tmp_path, text, *arguments).stdout


def test_without_windows_no_time_is_closed(tmp_path: Path) -> None:
    report = json.loads(run(tmp_path, "", "--json").stdout)
    assert (report["schema"], report["open"], report["until"], report["next"]) == (1, True, None, [])
    assert "every time is open" in run(tmp_path, "").stdout


def test_windows_that_are_not_in_use_are_told_as_such(tmp_path: Path) -> None:
    text = SEED.replace('"periodic"', '"immediate"')
    assert "not in use, the strategy is immediate" in run(tmp_path, text).stdout
    assert json.loads(run(tmp_path, text, "--json").stdout)["in_use"] is False


def test_now_is_now(tmp_path: Path) -> None:
    report = json.loads(run(tmp_path, SEED, "--json").stdout)
    assert report["excluded"] == []
    assert abs(datetime.fromisoformat(report["at"]) - datetime.now(UTC)).total_seconds() < 60
    assert len(report["next"]) == 5


def test_a_bad_configuration_is_told_on_standard_error(tmp_path: Path) -> None:
    result = run(tmp_path, "[updates]\nstrategy = 'periodic'\n", "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "10.toml:2" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--at", "tomorrow"),
        ("--at", "24:00"),
        ("--at", "12:60"),
        ("--at", "+"),
        ("--at", "+2y"),
        ("--at", ""),
        ("--at", "2026-06-01T00:00:00"),
        ("--at", "0001-01-01T00:00:00+23:59"),
        ("--at", "9999-12-31T23:59:59Z"),
        ("--count", "-1"),
        ("--count", "1000000"),
    ],
)
def test_wrong_usage_exits_with_two(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    result = run(tmp_path, SEED, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")


HOLIDAYS = BERLIN_NIGHT.replace("[[", 'exclude = ["2026-06-07", "2026-06-14..2026-06-21"]\n[[', 1)


def test_what_exclusions_take_away_is_shown(tmp_path: Path) -> None:
    done = run(tmp_path, HOLIDAYS, "--at", "2026-06-01T00:00:00Z", "--count", "2")
    assert [line for line in done.stdout.splitlines() if "Excluded" in line] == [
        "Excluded: Sun 2026-06-07 00:00 UTC (Sun 02:00 CEST) to Sun 2026-06-07 01:00 UTC (Sun 03:00 CEST), 1 h",
        "Excluded: Sun 2026-06-14 00:00 UTC (Sun 02:00 CEST) to Sun 2026-06-14 01:00 UTC (Sun 03:00 CEST), 1 h",
    ]
    report = json.loads(run(tmp_path, HOLIDAYS, "--at", "2026-06-01T00:00:00Z", "--json").stdout)
    assert [one["start"][:10] for one in report["excluded"]] == ["2026-06-07", "2026-06-14", "2026-06-21"]
    assert report["next"][0]["start"] == "2026-06-28T00:00:00Z"


def test_a_window_that_is_cut_short_shows_the_part_that_is_excluded(tmp_path: Path) -> None:
    text = SEED.replace("[[", '[updates.periodic]\nexclude = ["2026-06-07"]\n[[', 1)
    report = json.loads(run(tmp_path, text, "--at", "2026-06-06T00:00:00Z", "--json", "--count", "2").stdout)
    assert report["excluded"] == [
        {"start": "2026-06-07T00:00:00Z", "end": "2026-06-07T00:30:00Z"},
        {"start": "2026-06-07T23:30:00Z", "end": "2026-06-08T00:30:00Z"},
    ]


def test_windows_that_are_all_excluded_are_shown_and_none_else(tmp_path: Path) -> None:
    text = BERLIN_NIGHT.replace("[[", 'exclude = ["FREQ=WEEKLY;BYDAY=SU"]\n[[', 1)
    shown = run(tmp_path, text, "--at", "2026-06-01T00:00:00Z", "--count", "1").stdout
    assert "Next:" not in shown
    assert shown.count("Excluded:") == 1


@pytest.mark.parametrize(
    ("at", "meant"),
    [
        ("22:30", "2026-06-01T20:30:00Z"),
        ("9:05", "2026-06-02T07:05:00Z"),
        ("12:00", "2026-06-01T10:00:00Z"),
        ("+2h", "2026-06-01T12:00:00Z"),
        ("+1d30min", "2026-06-02T10:30:00Z"),
        ("2026-06-03T00:00:00+02:00", "2026-06-02T22:00:00Z"),
    ],
)
def test_times_are_taken_as_people_write_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str, meant: str
) -> None:
    monkeypatch.setattr(SystemClock, "now", _noon_in_berlin)
    assert json.loads(run(tmp_path, BERLIN_NIGHT, "--json", "--at", at).stdout)["at"] == meant


def _noon_in_berlin(_: SystemClock) -> Now:
    return Now(datetime(2026, 6, 1, 10, tzinfo=UTC), 0.0)


def test_of_a_clock_time_the_zone_is_named(tmp_path: Path) -> None:
    shown = run(tmp_path, BERLIN_NIGHT, "--at", "22:30").stdout
    assert "(" in shown.splitlines()[1]
    assert shown.endswith("Note: 22:30 is taken in the time zone of the windows, Europe/Berlin\n")
