"""Loading settings: Zincati's configurations, layers, and every mistake with its place."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tidegate.calendar.spec import WindowSpec
from tidegate.config.fragments import MAX_PROBLEMS_PER_SNIPPET
from tidegate.config.layers import MAX_SNIPPET_BYTES
from tidegate.config.problems import Problem
from tidegate.discovery.settings import CincinnatiSettings
from tidegate.fleetlock.settings import FleetLockSettings
from tidegate.gates.periodic import PeriodicSettings
from tidegate.identity import Identity
from tidegate.settings import Loaded, Settings, Timing, Updates, load

WINDOW = '[[updates.periodic.window]]\ndays = ["Sat"]\nstart_time = "23:30"\nlength_minutes = 60\n'


def load_text(folder: Path, text: str | bytes) -> Loaded:
    data = text if isinstance(text, bytes) else text.encode()
    (folder / "10-x.toml").write_bytes(data)
    return load([folder])


def settings_of(folder: Path, text: str) -> Settings:
    loaded = load_text(folder, text)
    assert loaded.problems == ()
    assert loaded.settings is not None
    return loaded.settings


def problem_of(folder: Path, text: str | bytes) -> Problem:
    loaded = load_text(folder, text)
    assert loaded.settings is None
    (problem,) = loaded.problems
    return problem


def test_no_folder_at_all_means_the_defaults(tmp_path: Path) -> None:
    loaded = load([tmp_path / "missing"])
    assert loaded == Loaded(Settings(), (), {}, ())


def test_the_defaults_are_those_of_zincati() -> None:
    settings = Settings()
    assert settings.timing == Timing(steady_interval_secs=300)
    assert settings.identity == Identity(group="default", node_uuid=None, rollout_wariness=None, stream=None)
    assert settings.updates == Updates(enabled=True, allow_downgrade=False, strategy=("immediate",))
    assert settings.of(PeriodicSettings).time_zone == "UTC"


def test_a_whole_zincati_configuration(tmp_path: Path) -> None:
    text = """
        [agent.timing]
        steady_interval_secs = 35
        [cincinnati]
        base_url = "http://cincinnati.example.com:80/${stream}"
        [identity]
        group = "workers"
        node_uuid = "27e3ac02-af39-46af-995c-9940e18b0cce"
        rollout_wariness = 1
        [updates]
        allow_downgrade = true
        enabled = false
        strategy = "fleet_lock"
        [updates.fleet_lock]
        base_url = "http://fleet-lock.example.com:8080/"
        [[updates.periodic.window]]
        days = [ "sat", "SUNDAY" ]
        start_time = "7:5"
        length_minutes = 25
    """
    assert settings_of(tmp_path, text) == replace(
        Settings(),
        timing=Timing(35),
        cincinnati=CincinnatiSettings("http://cincinnati.example.com:80/${stream}"),
        identity=Identity("workers", "27e3ac02-af39-46af-995c-9940e18b0cce", 1.0),
        updates=Updates(enabled=False, allow_downgrade=True, strategy=("fleet_lock",)),
    ).having(
        FleetLockSettings("http://fleet-lock.example.com:8080/"),
        PeriodicSettings(windows=(WindowSpec((5, 6), 425, 25),)),
    )


@pytest.mark.parametrize(
    "text",
    [
        '[updates.fleet_lock]\nbase_url = ""\n',
        '[updates.fleet_lock]\nbase_url = "not selected"\n',
        '[identity]\ngroup = ""\nnode_uuid = ""\n',
        '[updates]\nstrategy = ""\n',
        "\ufeff[updates]\nenabled = true\n",
        "updates = {periodic = {}}\n",
        "# nothing\n",
    ],
)
def test_values_that_zincati_ignores_mean_the_defaults(tmp_path: Path, text: str) -> None:
    expected = FleetLockSettings("not selected") if "not selected" in text else FleetLockSettings()
    assert settings_of(tmp_path, text) == Settings().having(expected)


def test_a_value_that_a_later_snippet_replaces_need_not_be_usable(tmp_path: Path) -> None:
    (tmp_path / "05-vendor.toml").write_text('[identity]\ngroup = "not usable!"\n', encoding="utf-8")
    assert settings_of(tmp_path, '[identity]\ngroup = "mine"\n').identity.group == "mine"


def test_several_strategies(tmp_path: Path) -> None:
    text = f'[updates]\nstrategy = ["periodic", "marker_file"]\n{WINDOW}'
    assert settings_of(tmp_path, text).updates.strategy == ("periodic", "marker_file")


def test_windows_accumulate_unless_a_snippet_replaces_them(tmp_path: Path) -> None:
    for name, day in (("01", "Mon"), ("02", "Tue"), ("03", "Wed")):
        text = WINDOW.replace("Sat", day)
        (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
    assert [one.days for one in load_windows(tmp_path)] == [(0,), (1,), (2,)]
    replacing = '[updates.periodic]\nwindow_merge = "replace"\n' + WINDOW.replace("Sat", "Tue")
    (tmp_path / "02.toml").write_text(replacing, encoding="utf-8")
    assert [one.days for one in load_windows(tmp_path)] == [(1,), (2,)]


def load_windows(folder: Path) -> tuple[WindowSpec, ...]:
    loaded = load([folder])
    assert loaded.settings is not None, loaded.problems
    return loaded.settings.of(PeriodicSettings).windows


def test_origins_have_file_and_line(tmp_path: Path) -> None:
    loaded = load_text(tmp_path, f"[updates]\nenabled = true\n\n{WINDOW}\n{WINDOW}")
    file = tmp_path / "10-x.toml"
    assert [str(one) for one in loaded.origins["updates.enabled"]] == [f"{file}:2"]
    assert [str(one) for one in loaded.origins["updates.periodic.window"]] == [f"{file}:4", f"{file}:9"]
    assert "identity.group" not in loaded.origins


MISTAKES: dict[str, tuple[str | bytes, int, str | None, str]] = {
    "unknown key": ("[updates]\n\nstratgy = 'x'\n", 3, "updates.stratgy", "`updates.strategy`"),
    "unknown table": ("[update]\nenabled = true\n", 1, "update", "`updates`"),
    "key in the wrong table": ("strategy = 'periodic'\n", 1, "strategy", "`updates.strategy`"),
    "windows of another strategy": (
        "[[updates.fleet_lock.window]]\ndays = ['Sat']\n",
        1,
        "updates.fleet_lock.window",
        "`updates.periodic.window`",
    ),
    "a value for a table": ("updates = 3\n", 1, "updates", "3 is an integer"),
    "an array of tables for a table": ("[[identity]]\n", 1, "identity", "an array"),
    "an integer for a boolean": ("[updates]\nenabled = 1\n", 2, "updates.enabled", "true or false"),
    "a boolean for a number": (
        "[agent.timing]\nsteady_interval_secs = true\n",
        2,
        "agent.timing.steady_interval_secs",
        "an integer",
    ),
    "a boolean for a fraction": ("[identity]\nrollout_wariness = true\n", 2, "identity.rollout_wariness", "boolean"),
    "zero": ("[agent.timing]\nsteady_interval_secs = 0\n", 2, "agent.timing.steady_interval_secs", "out of range"),
    "a huge number": (
        f"[agent.timing]\nsteady_interval_secs = 0x{'f' * 9000}\n",
        2,
        "agent.timing.steady_interval_secs",
        "a huge number",
    ),
    "wariness": ("[identity]\nrollout_wariness = 1.01\n", 2, "identity.rollout_wariness", "0.0 to 1.0"),
    "wariness, no number": ("[identity]\nrollout_wariness = nan\n", 2, "identity.rollout_wariness", "0.0 to 1.0"),
    "wariness, huge": (
        f"[identity]\nrollout_wariness = 0x{'f' * 9000}\n",
        2,
        "identity.rollout_wariness",
        "a huge number",
    ),
    "group": ("[identity]\ngroup = 'a b'\n", 2, "identity.group", "letters"),
    "group with a line end": ('[identity]\ngroup = "a\\n"\n', 2, "identity.group", "letters"),
    "node": ("[identity]\nnode_uuid = '123'\n", 2, "identity.node_uuid", "32 hex"),
    "strategy": ("[updates]\nstrategy = 'fleetlock'\n", 2, "updates.strategy", '"fleet_lock"'),
    "strategy in a list": ("[updates]\nstrategy = ['imediate']\n", 2, "updates.strategy", '"immediate"'),
    "no strategy": ("[updates]\nstrategy = []\n", 2, "updates.strategy", "empty"),
    "a strategy twice": ("[updates]\nstrategy = ['immediate', 'immediate']\n", 2, "updates.strategy", "twice"),
    "lock server missing": ("[updates]\nstrategy = 'fleet_lock'\n", 2, "updates.fleet_lock.base_url", "needs a URL"),
    "lock server empty": (
        "[updates]\nstrategy = 'fleet_lock'\nfleet_lock.base_url = ''\n",
        3,
        "updates.fleet_lock.base_url",
        "needs a URL",
    ),
    "lock server bad": (
        "[updates]\nstrategy = 'fleet_lock'\nfleet_lock.base_url = 'ftp://x'\n",
        3,
        "updates.fleet_lock.base_url",
        "https://",
    ),
    "unknown variable": (
        "[cincinnati]\nbase_url = 'https://x/${steam}'\n",
        2,
        "cincinnati.base_url",
        "${stream}",
    ),
    "no host": ("[cincinnati]\nbase_url = 'https:///x'\n", 2, "cincinnati.base_url", "no host"),
    "bad port": ("[cincinnati]\nbase_url = 'https://x:99999/'\n", 2, "cincinnati.base_url", "0-65535"),
    "a blank in a URL": ("[cincinnati]\nbase_url = 'https://x /'\n", 2, "cincinnati.base_url", "' '"),
    "source without a URL": ("[discovery]\nsource = 'static_graph'\n", 2, "discovery.static_graph.url", "needs a URL"),
    "relative file": (
        "[discovery.static_graph]\nurl = 'file://graph.json'\n",
        2,
        "discovery.static_graph.url",
        "file:///absolute",
    ),
    "no windows": ("[updates]\nstrategy = 'periodic'\n", 2, "updates.periodic.window", "no windows"),
    "zone": ("[updates.periodic]\ntime_zone = 'europe/berlin'\n", 2, "updates.periodic.time_zone", '"Europe/Berlin"'),
    "zone that is a path": ("[updates.periodic]\ntime_zone = '../x'\n", 2, "updates.periodic.time_zone", "no usable"),
    "zone that is a folder": ("[updates.periodic]\ntime_zone = 'Europe'\n", 2, "updates.periodic.time_zone", "usable"),
    "no zone": ("[updates.periodic]\ntime_zone = ''\n", 2, "updates.periodic.time_zone", "no usable"),
    "merge mode": ("[updates.periodic]\nwindow_merge = 'replce'\n", 2, "updates.periodic.window_merge", '"replace"'),
    "spread": ("[updates.periodic]\nspread_minutes = -1\n", 2, "updates.periodic.spread_minutes", "0 to 10080"),
    "day": (WINDOW.replace("Sat", "Sta"), 2, "updates.periodic.window[0].days", '"Sat"'),
    "no day": (WINDOW.replace('"Sat"', ""), 2, "updates.periodic.window[0].days", "never open"),
    "days without brackets": (WINDOW.replace('["Sat"]', '"Sat"'), 2, "updates.periodic.window[0].days", "array"),
    "time": (WINDOW.replace("23:30", "25:00"), 3, "updates.periodic.window[0].start_time", "'25:00'"),
    "length 0": (WINDOW.replace("60", "0"), 4, "updates.periodic.window[0].length_minutes", "too short"),
    "over a week": (WINDOW.replace("60", "10081"), 4, "updates.periodic.window[0].length_minutes", "than a week"),
    "boolean length": (WINDOW.replace("60", "true"), 4, "updates.periodic.window[0].length_minutes", "boolean"),
    "property missing": (
        WINDOW + WINDOW.replace("length_minutes = 60\n", ""),
        5,
        "updates.periodic.window[1]",
        "`length_minutes`",
    ),
    "property misspelt": (WINDOW + "lenght = 1\n", 5, "updates.periodic.window[0].lenght", "`length_minutes`"),
    "excluded date": (
        "[updates.periodic]\nexclude = ['2026-02-30']\n",
        2,
        "updates.periodic.exclude[0]",
        "does not exist",
    ),
    "excluded rule": (
        "[updates.periodic]\nexclude = [\n2026-01-01,\n'FREQ=HOURLY']\n",
        4,
        "updates.periodic.exclude[1]",
        "more often than daily",
    ),
    "excluded instant": (
        "[updates.periodic]\nexclude = [2026-01-01T00:00:00Z]\n",
        2,
        "updates.periodic.exclude",
        "wrong type",
    ),
    "not TOML": ("[updates]\nenabled = true\nstrategy = immediate\n", 3, "updates.strategy", "not TOML"),
    "given twice": ("[identity]\ngroup = 'a'\n\ngroup = 'b'\n", 4, "identity.group", "first in line 2"),
    "a table twice": ("[identity]\n[updates]\n[identity]\n", 3, "identity", "first in line 1"),
    "too many digits": (f"a = 1\nb = {'1' * 5000}\n", 2, "b", "digits"),
    "keys nested too deeply": (f"identity.group = ''\n{'a.' * 2000}b = 1", 2, f"{'a.' * 78}a...", "nested"),
    "arrays nested too deeply": (f"a = 1\nb = {'[' * 999}", 2, "b", "nested"),
    "not UTF-8": (b"[identity]\ngroup = '\xe9'\n", 2, None, "0xe9 is not UTF-8"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_each_mistake_names_file_line_key_and_a_remedy(tmp_path: Path, name: str) -> None:
    text, line, key, words = MISTAKES[name]
    problem = problem_of(tmp_path, text)
    assert (problem.file, problem.line) == (str(tmp_path / "10-x.toml"), line)
    assert problem.key == key
    assert words in f"{problem.message} {problem.remedy}"
    assert problem.remedy
    assert len(str(problem)) < 500
    assert str(problem).isprintable()


def test_all_problems_at_once_from_top_to_bottom(tmp_path: Path) -> None:
    (tmp_path / "20-later.toml").write_text("[identity]\ngroup = 3\n", encoding="utf-8")
    loaded = load_text(tmp_path, "[updates]\nstrategy = 'x'\nfoo = 1\n[identity]\nnode_uuid = 'x'\n")
    assert [(Path(one.file).name, one.line) for one in loaded.problems] == [
        ("10-x.toml", 2),
        ("10-x.toml", 3),
        ("10-x.toml", 5),
        ("20-later.toml", 2),
    ]


def test_one_mistake_is_reported_once(tmp_path: Path) -> None:
    """A window that cannot be read does not also make the windows missing, nor does a snippet that is lost."""
    bad_window = "[updates]\nstrategy = 'periodic'\n" + WINDOW.replace("23:30", "x")
    assert problem_of(tmp_path, bad_window).key == "updates.periodic.window[0].start_time"
    (tmp_path / "20-windows.toml").write_text("[[updates.periodic.window]\n", encoding="utf-8")
    assert problem_of(tmp_path, "[updates]\nstrategy = 'periodic'\n").file.endswith("20-windows.toml")


def test_other_things_than_regular_files_are_reported(tmp_path: Path) -> None:
    (tmp_path / "a.toml").mkdir()
    (tmp_path / "b.toml").symlink_to("/nowhere/at/all")
    os.mkfifo(tmp_path / "c.toml")
    with (tmp_path / "d.toml").open("wb") as sparse:
        sparse.truncate(MAX_SNIPPET_BYTES + 1)
    (tmp_path / "e\n.toml").write_text("x", encoding="utf-8")
    loaded = load([tmp_path, tmp_path / "b.toml", Path("/dev/null")])
    messages = {Path(one.file).name: one.message for one in loaded.problems}
    assert "a folder" in messages["a.toml"]
    assert "No such file" in messages["b.toml"]
    assert "not a regular file" in messages["c.toml"]
    assert "bytes exceed the limit" in messages["d.toml"]
    assert "not TOML" in messages["e\\n.toml"]
    assert "folder cannot be read" in messages["null"]


def test_an_unreadable_file_is_reported() -> None:
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        file = Path(folder) / "10-x.toml"
        file.write_text("[identity]\n", encoding="utf-8")
        file.chmod(0)
        with as_nobody():
            (problem,) = load([Path(folder)]).problems
    assert (problem.file, problem.message) == (str(file), "the file cannot be read: Permission denied")


@contextmanager
def as_nobody() -> Generator[None]:
    """Root reads every file, so be somebody else for a moment."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_other_files_and_hidden_ones_are_ignored(tmp_path: Path) -> None:
    for name in (".hidden.toml", "x.toml~", "x.conf", "README"):
        (tmp_path / name).write_text("[nonsense", encoding="utf-8")
    assert load([tmp_path]).files == ()


def test_the_problems_of_one_snippet_are_limited(tmp_path: Path) -> None:
    loaded = load_text(tmp_path, "".join(f"key{n} = {n}\n" for n in range(500)))
    assert len(loaded.problems) == MAX_PROBLEMS_PER_SNIPPET + 1
    assert "450 more" in loaded.problems[-1].message


def test_a_snippet_of_ten_megabytes(tmp_path: Path) -> None:
    comment = "# " + "x" * 998 + "\n"
    start = time.process_time()
    settings = settings_of(tmp_path, "[identity]\n" + comment * 10_000 + "group = 'far-down'\n")
    assert settings.identity.group == "far-down"
    assert time.process_time() - start < 5
