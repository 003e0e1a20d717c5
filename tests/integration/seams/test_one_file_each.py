"""A new gate, a new engine and a new health check are one file each: nothing else has to name them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[2]
TIMEOUT_SECS = 60


def observed(folder: Path, toy: str, becomes: str, good: str, bad: str, changed: tuple[str, str] = ("", "")) -> Any:
    """What the package knows once ``toy`` is its module ``becomes``; see :mod:`.observe`.

    ``changed``: a part of the toy's text, and what takes its place.
    """
    package, _, name = becomes.rpartition(".")
    extra, root, mistake = folder / "extra", folder / "config.d", folder / "bad.toml"
    extra.mkdir()
    text = (HERE / f"toy_{toy}.py").read_text(encoding="utf-8")
    (extra / f"{name}.py").write_text(text.replace(*changed) if changed[0] else text, encoding="utf-8")
    root.mkdir()
    (root / "x.toml").write_text(good, encoding="utf-8")
    mistake.write_text(bad, encoding="utf-8")
    arguments = (package, str(extra), f"tests.integration.seams.see_{toy}", str(root), str(mistake))
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.seams.observe", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_SECS,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_gate(tmp_path: Path) -> None:
    good, bad = "[gates.tide]\nhighest_cm = 300\n", "[gates.tide]\n\nhighest_cm = 901\n"
    found = observed(tmp_path, "gate", "tidegate.gates.tide", good, bad)
    assert found["show"][0] == 0
    assert f"\n{good}" in found["show"][1]
    assert found["check"][0] == 1
    assert f"{tmp_path / 'bad.toml'}:3: `gates.tide.highest_cm`: 901 is out of range" in found["check"][1]
    assert found["gates"] == ["immediate", "tide", "inhibitors", "clock", "sessions"]
    (row,) = [row for row in found["explained"] if row["gate"] == "tide"]
    assert (row["verdict"], row["reason"]) == ("wait", "the water is higher than 300 cm")
    assert "tide" in found["labels"]
    assert "\n| `tide` | the water is too high | update | yes | no |\n" in found["page"]
    assert "\n## [gates.tide]\n\n**highest_cm**\n: The highest water" in found["page"]
    assert found["overridable"]


def test_a_strategy(tmp_path: Path) -> None:
    good, bad = '[updates]\nstrategy = ["tide", "immediate"]\n', '[updates]\nstrategy = "tied"\n'
    tide = "[gates.tide]\nhighest_cm = 300\n"
    changed = ("rank=Rank.CHEAP", "rank=Rank.STRATEGY, strategy=True")
    found = observed(tmp_path, "gate", "tidegate.gates.tide", good + tide, bad, changed)
    assert 'strategy = ["tide", "immediate"]' in found["show"][1]
    assert "bad.toml:2: `updates.strategy`: 'tied' is not known; did you mean \"tide\"?" in found["check"][1]
    assert found["gates"] == ["tide", "immediate", "inhibitors", "clock", "sessions"]


def test_an_engine(tmp_path: Path) -> None:
    good = '[engine]\nkind = "paper"\n\n[engine.paper]\npages = 7\n'
    bad = '[engine]\nkind = "papyrus"\n[engine.paper]\npages = 1000\n'
    found = observed(tmp_path, "engine", "tidegate.engines.entries.paper", good, bad)
    assert found["show"][0] == 0
    assert f"\n{good}" in found["show"][1]
    assert found["check"][0] == 1
    assert "bad.toml:2: `engine.kind`: 'papyrus' is not known; did you mean \"paper\"?" in found["check"][1]
    assert "bad.toml:4: `engine.paper.pages`: 1000 is out of range" in found["check"][1]
    assert found["names"] == ["ostree", "paper"]
    assert found["pages"] == [1, 7]
    assert found["kinds"] == 'one of "auto", "ostree", "paper"'
    assert (found["opened"], found["scheme"], found["payloads"]) == ("paper", "page", [True, False])


def test_a_health_check(tmp_path: Path) -> None:
    good = '[[health.moon]]\nname = "tonight"\nday = 14\n'
    bad = '[[health.moon]]\nname = "tonight"\nday = 29\n'
    found = observed(tmp_path, "check", "tidegate.health.checks.moon", good, bad)
    assert found["show"][0] == 0
    assert 'name = "tonight", day = 14, weight = "required"' in found["show"][1]
    assert found["check"][0] == 1
    assert "bad.toml:3: `health.moon[0].day`: 29 is out of range" in found["check"][1]
    (finding,) = [finding for finding in found["findings"] if finding["check"] == "moon/tonight"]
    assert (finding["passed"], finding["detail"]) == (True, "day 14 of the moon")
    assert "\n**moon**\n: Moons that must be full." in found["reference"]
