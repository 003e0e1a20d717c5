"""What an operator may write about gates, and what is refused with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidegate.gates.clock import ClockSettings
from tidegate.gates.interval import IntervalSettings
from tidegate.gates.marker_file import MarkerFileSettings
from tidegate.gates.sessions import PROGRAMS_CLASSES, SessionsSettings
from tidegate.settings import Settings, load


def read(tmp_path: Path, text: str) -> Settings:
    (tmp_path / "x.toml").write_text(text, encoding="utf-8")
    loaded = load([tmp_path])
    assert loaded.problems == ()
    assert loaded.settings is not None
    return loaded.settings


def test_everything_can_be_set(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """
[updates.marker_file]
path = "/run/ops/allow.json"
[gates.sessions]
enabled = false
grace_secs = 0
ignore_users = ["core", "1000", "svc$", "a.b@example.com"]
ignore_classes = []
ignore_idle_secs = 3600
[gates.clock]
require = "never"
[gates.interval]
min_secs = 86400
""",
    )
    users = ("core", "1000", "svc$", "a.b@example.com")
    assert found.of(MarkerFileSettings) == MarkerFileSettings("/run/ops/allow.json")
    assert found.of(SessionsSettings) == SessionsSettings(
        enabled=False, grace_secs=0, ignore_users=users, ignore_classes=(), ignore_idle_secs=3600
    )
    assert (found.of(ClockSettings), found.of(IntervalSettings)) == (ClockSettings("never"), IntervalSettings(86400))


def test_unset_the_cautious_values_hold(tmp_path: Path) -> None:
    assert read(tmp_path, "").of(SessionsSettings) == SessionsSettings(True, 600, (), PROGRAMS_CLASSES, 0)
    assert read(tmp_path, '[updates.marker_file]\npath = ""\n').of(MarkerFileSettings) == MarkerFileSettings()


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ("updates.marker_file", 'path = "allow.json"'),
        ("updates.marker_file", 'path = "/"'),
        ("updates.marker_file", 'path = "/run/"'),
        ("updates.marker_file", 'path = "/run/../etc/x"'),
        ("updates.marker_file", 'path = "/run//x"'),
        ("updates.marker_file", 'path = "/run/\\u0007"'),
        ("gates.sessions", "grace_secs = -1"),
        ("gates.sessions", "grace_secs = 604801"),
        ("gates.sessions", 'ignore_users = "core"'),
        ("gates.sessions", 'ignore_users = ["core", ""]'),
        ("gates.sessions", 'ignore_users = ["a b"]'),
        ("gates.sessions", "ignore_users = [1000]"),
        ("gates.sessions", 'ignore_classes = ["User"]'),
        ("gates.sessions", "enabled = 1"),
        ("gates.clock", 'require = "sometimes"'),
        ("gates.clock", "require = false"),
        ("gates.interval", "min_secs = 1.5"),
        ("gates.inhibitors", "enabled = false"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_line_and_a_remedy(tmp_path: Path, table: str, line: str) -> None:
    (tmp_path / "x.toml").write_text(f"[{table}]\n{line}\n", encoding="utf-8")
    loaded = load([tmp_path])
    assert loaded.settings is None
    (problem,) = loaded.problems
    assert problem.line in {1, 2}
    assert problem.remedy
