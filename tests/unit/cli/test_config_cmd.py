"""``tidegate config``: the shapes that scripts rely on, and exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import tomli
from click.testing import CliRunner, Result

from tidegate.cli.config_cmd import config

GOOD = '[updates]\nstrategy = "marker_file"\n'
BAD = "[updates]\nstrategy = 'periodic'\n\n[identity]\ngruop = 'x'\n"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(config, [str(one) for one in arguments], catch_exceptions=False)


def write(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_check_without_problems(tmp_path: Path) -> None:
    write(tmp_path, "10.toml", GOOD)
    result = run("check", "--config-root", tmp_path)
    assert (result.exit_code, result.stdout) == (0, "1 snippet, no problems\n")


def test_check_tells_all_problems(tmp_path: Path) -> None:
    file = write(tmp_path, "10.toml", BAD)
    result = run("check", "--config-root", tmp_path)
    assert result.exit_code == 1
    assert f"{file}:2: `updates.periodic.window`: " in result.stdout
    assert f"{file}:5: `identity.gruop`: unknown key or table; did you mean `identity.group`?\n" in result.stdout
    assert "Traceback" not in result.output


def test_check_json(tmp_path: Path) -> None:
    file = write(tmp_path, "10.toml", BAD)
    report = json.loads(run("check", "--json", "--config-root", tmp_path).stdout)
    assert (report["schema"], report["ok"]) == (1, False)
    assert [(one["file"], one["line"], one["key"]) for one in report["problems"]] == [
        (str(file), 2, "updates.periodic.window"),
        (str(file), 5, "identity.gruop"),
    ]
    assert all(one["message"] and one["remedy"] for one in report["problems"])
    empty = json.loads(run("check", "--json", "--config-root", tmp_path / "none").stdout)
    assert (empty["schema"], empty["ok"], empty["problems"]) == (1, True, [])


def test_roots_go_over_each_other_in_their_order(tmp_path: Path) -> None:
    write(tmp_path / "a", "10.toml", BAD)
    write(tmp_path / "b", "10.toml", GOOD)
    assert run("check", "--config-root", tmp_path / "a", "--config-root", tmp_path / "b").exit_code == 0
    assert run("check", "--config-root", tmp_path / "b", "--config-root", tmp_path / "a").exit_code == 1


def test_a_path_is_checked_by_itself_or_on_top_of_roots(tmp_path: Path) -> None:
    write(tmp_path / "a", "10.toml", "[updates.fleet_lock]\nbase_url = 'https://locks.example.com/'\n")
    new = write(tmp_path, "new-snippet", "[updates]\nstrategy = 'fleet_lock'\n")
    assert run("check", new).exit_code == 1
    assert run("check", "--config-root", tmp_path / "a", new).exit_code == 0
    assert run("check", tmp_path / "a").exit_code == 0
    assert run("check", tmp_path / "missing.toml").exit_code == 1


def test_show_as_toml_with_origins(tmp_path: Path) -> None:
    file = write(tmp_path, "10.toml", GOOD)
    plain = run("show", "--config-root", tmp_path).stdout
    told = run("show", "--origin", "--config-root", tmp_path).stdout
    assert tomli.loads(plain) == tomli.loads(told)
    assert f'strategy = "marker_file"  # {file}:2\n' in told
    assert 'group = "default"  # default\n' in told
    assert "# default" not in plain


def test_show_json(tmp_path: Path) -> None:
    file = write(tmp_path, "10.toml", GOOD)
    report = json.loads(run("show", "--json", "--config-root", tmp_path).stdout)
    assert report["schema"] == 1
    assert report["settings"]["updates.strategy"] == {"value": "marker_file", "origin": f"{file}:2"}
    assert report["settings"]["agent.timing.steady_interval_secs"] == {"value": 300, "origin": "default"}


@pytest.mark.parametrize("arguments", [("show",), ("show", "--json"), ("show", "--origin")])
def test_show_with_problems_keeps_standard_output_clean(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    file = write(tmp_path, "10.toml", BAD)
    result = run(*arguments, "--config-root", tmp_path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"{file}:5" in result.stderr


def test_importing_the_commands_reads_no_toml_and_no_zones() -> None:
    heavy = "tomli zoneinfo hashlib dateutil httpx dbus_next asyncio tidegate.config tidegate.calendar"
    code = (
        "import sys, tidegate.cli.config_cmd, tidegate.cli.windows_cmd;"
        f"print([name for name in {heavy.split()} if name in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert found.stdout.strip() == "[]"
