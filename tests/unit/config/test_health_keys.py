"""The keys of ``[health]``: what is accepted, what is rejected, and where that is reported; and a key with an alias."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidegate.config.kinds.http import Statuses
from tidegate.config.problems import Problem
from tidegate.config.show import as_json, as_toml
from tidegate.health.checks.command import CommandCheck
from tidegate.health.checks.file import FileCheck
from tidegate.health.checks.http import HttpCheck
from tidegate.health.checks.unit import UnitCheck
from tidegate.settings import Settings, load


def loaded(folder: Path, *texts: str) -> tuple[Settings | None, tuple[Problem, ...]]:
    for number, text in enumerate(texts):
        (folder / f"{number}.toml").write_text(text, encoding="utf-8")
    found = load([folder])
    return found.settings, found.problems


def good(folder: Path, *texts: str) -> Settings:
    settings, problems = loaded(folder, *texts)
    assert problems == ()
    assert settings is not None
    return settings


WEB = '[[health.unit]]\nname = "web"\nunit = "web.service"\n'


def test_checks_of_all_snippets_accumulate_with_their_defaults(tmp_path: Path) -> None:
    health = good(
        tmp_path,
        WEB,
        '[[health.unit]]\nname = "db"\nunit = "db@1.service"\nweight = "advisory"\n'
        '[[health.http]]\nname = "web"\nurl = "https://h/x?y"\n'
        '[[health.command]]\nname = "web"\ncommand = ["/usr/bin/true", "--", ""]\nuser = "www-data"\n'
        '[[health.file]]\nname = "web"\npath = "/run/x"\nmax_age_secs = 60\n',
    ).health
    assert health.of(UnitCheck) == (UnitCheck("web", "web.service"), UnitCheck("db", "db@1.service", "advisory"))
    assert health.of(HttpCheck) == (HttpCheck("web", "https://h/x?y", Statuses(200, 399), None, 10, None, "advisory"),)
    assert health.of(CommandCheck) == (CommandCheck("web", ("/usr/bin/true", "--", ""), "www-data", 30, "required"),)
    assert health.of(FileCheck) == (FileCheck("web", "/run/x", "present", 60, "required"),)


@pytest.mark.parametrize(
    ("status", "range_"),
    [("204", Statuses(204, 204)), ('"301"', Statuses(301, 301)), ('"200..299"', Statuses(200, 299))],
)
def test_statuses(tmp_path: Path, status: str, range_: Statuses) -> None:
    settings = good(tmp_path, f'[[health.http]]\nname = "a"\nurl = "http://h/"\nstatus = {status}\n')
    assert settings.health.of(HttpCheck)[0].status == range_
    assert (range_.low in range_, range_.high + 1 in range_) == (True, False)


@pytest.mark.parametrize(
    ("text", "line", "key", "message"),
    [
        (WEB + "wieght = 1", 4, "health.unit[0].wieght", "did you mean `weight`?"),
        ('[[health.unit]]\nname = "a"', 1, "health.unit[0]", "there is no `unit`"),
        ('[[health.unit]]\nname = ""\nunit = "a.service"', 2, "health.unit[0].name", "'' cannot be used"),
        (
            '[[health.unit]]\nname = "a/b"\nunit = "a.service"',
            2,
            "health.unit[0].name",
            "'a/b' cannot be used",
        ),
        ('[[health.unit]]\nname = "a"\nunit = "web"', 3, "health.unit[0].unit", "'web' cannot be used"),
        (WEB + 'weight = "reqired"', 4, "health.unit[0].weight", 'did you mean "required"?'),
        (WEB + "weight = 1", 4, "health.unit[0].weight", "1 is an integer, the wrong type"),
        ('[[health.http]]\nname = "a"\nurl = "h/x"', 3, "health.http[0].url", "does not start with http://"),
        (
            '[[health.http]]\nname = "a"\nurl = "http://${group}/"',
            3,
            "health.http[0].url",
            "variables are not",
        ),
        (
            '[[health.http]]\nname = "a"\nurl = "http://h"\nstatus = 99',
            4,
            "health.http[0].status",
            "neither a status nor a range",
        ),
        (
            '[[health.http]]\nname = "a"\nurl = "http://h"\nstatus = "399..200"',
            4,
            "health.http[0].status",
            "neither a status nor a range",
        ),
        (
            '[[health.http]]\nname = "a"\nurl = "http://h"\nstatus = true',
            4,
            "health.http[0].status",
            "wrong type",
        ),
        (
            '[[health.http]]\nname = "a"\nurl = "http://h"\ncontains = "a\\nb"',
            4,
            "health.http[0].contains",
            "cannot",
        ),
        (
            '[[health.command]]\nname = "a"\ncommand = ["true"]',
            3,
            "health.command[0].command",
            "'true' cannot",
        ),
        ('[[health.command]]\nname = "a"\ncommand = []', 3, "health.command[0].command", "empty"),
        ('[[health.command]]\nname = "a"\ncommand = "/bin/x"', 3, "health.command[0].command", "wrong type"),
        (
            '[[health.command]]\nname = "a"\ncommand = ["/x", "\\u0000"]',
            3,
            "health.command[0].command",
            "cannot be",
        ),
        (
            '[[health.command]]\nname = "a"\ncommand = ["/x"]\nuser = "-x"',
            4,
            "health.command[0].user",
            "cannot be",
        ),
        ('[[health.file]]\nname = "a"\npath = "x/../y"', 3, "health.file[0].path", "cannot be used"),
        (
            '[[health.file]]\nname = "a"\npath = "/x"\nstate = "absent"\nmax_age_secs = 1',
            5,
            "health.file[0].max_age_secs",
            "has no age",
        ),
        ('[health]\nunit = "web.service"', 2, "health.unit", "wrong type"),
        ('[health]\nignore_units = ["web"]', 2, "health.ignore_units", "'web' cannot be used"),
    ],
)
def test_each_mistake_names_line_and_key(tmp_path: Path, text: str, line: int, key: str, message: str) -> None:
    _, problems = loaded(tmp_path, text + "\n")
    (problem,) = problems
    assert (problem.line, problem.key) == (line, key)
    assert message in problem.message


def test_names_of_checks_of_a_kind_are_unique_over_all_snippets(tmp_path: Path) -> None:
    _, problems = loaded(tmp_path, WEB, "\n" + WEB)
    (problem,) = problems
    assert (problem.file, problem.line) == (str(tmp_path / "1.toml"), 3)
    assert f"{tmp_path / '0.toml'}:1" in problem.message


def test_a_mistake_in_one_check_does_not_hide_those_in_others(tmp_path: Path) -> None:
    _, problems = loaded(tmp_path, WEB + "x = 1\n" + WEB)
    assert [problem.line for problem in problems] == [4, 6]


ALIAS = "max_failure_ratio"
RATIO = "max_failed_checks_ratio"


def test_an_alias_is_accepted_and_not_shown(tmp_path: Path) -> None:
    settings = good(tmp_path, f"[health]\n{ALIAS} = 0.5\n")
    assert settings.health.max_failed_checks_ratio == 0.5
    origins = load([tmp_path]).origins
    assert as_json(settings, origins)[f"health.{RATIO}"] == {"value": 0.5, "origin": f"{tmp_path / '0.toml'}:2"}
    assert ALIAS not in as_toml(settings, origins)


@pytest.mark.parametrize(("first", "second"), [(ALIAS, RATIO), (RATIO, ALIAS)])
def test_a_snippet_may_not_set_a_key_by_name_and_by_alias(tmp_path: Path, first: str, second: str) -> None:
    _, problems = loaded(tmp_path, f"[health]\n{first} = 0.5\n{second} = 0.5\n")
    (problem,) = problems
    assert (problem.line, problem.key) == (3, f"health.{second}")
    assert f"`health.{first}`, which is set in line 2" in problem.message


def test_of_two_snippets_the_later_one_wins_by_name_or_by_alias(tmp_path: Path) -> None:
    settings = good(tmp_path, f"[health]\n{RATIO} = 0.1\n", f"[health]\n{ALIAS} = 0.2\n")
    assert settings.health.max_failed_checks_ratio == 0.2


def test_a_mistake_under_an_alias_is_reported_there(tmp_path: Path) -> None:
    _, problems = loaded(tmp_path, f"[health]\n{ALIAS} = 2\n")
    assert [(problem.key, problem.line) for problem in problems] == [(f"health.{ALIAS}", 2)]
    _, problems = loaded(tmp_path, f'[health]\n{ALIAS} = "x"\n')
    assert [(problem.key, problem.line) for problem in problems] == [(f"health.{ALIAS}", 2)]


def test_a_start_delay_beyond_the_watch_is_refused(tmp_path: Path) -> None:
    _, problems = loaded(tmp_path, "[health]\nmonitor_secs = 60\nstart_delay_secs = 61\n")
    (problem,) = problems
    assert (problem.key, problem.line) == ("health.start_delay_secs", 3)


@pytest.mark.parametrize("text", ["monitor_secs = 5", "monitor_secs = 60\nstart_delay_secs = 60", "monitor_secs = 0"])
def test_a_default_start_delay_ends_with_the_watch(tmp_path: Path, text: str) -> None:
    good(tmp_path, f"[health]\n{text}\n")


def test_passwords_are_not_shown(tmp_path: Path) -> None:
    check = '[[health.http]]\nname = "a"\nurl = "http://u:secret@h{rest}"\n'
    settings = good(tmp_path, check.format(rest="/"))
    assert "secret" not in as_toml(settings, {})
    assert "secret" not in str(as_json(settings, {}))
    _, problems = loaded(tmp_path, check.format(rest="/<"))
    assert "secret" not in problems[0].message


def test_what_is_shown_reads_back(tmp_path: Path) -> None:
    text = WEB + (
        '[[health.http]]\nname = "a"\nurl = "http://h/"\nstatus = 200\ncontains = "x"\nca_file = "/ca"\n'
        '[[health.command]]\nname = "a"\ncommand = ["/x", "\\"\\\\ ü"]\n'
        '[[health.file]]\nname = "a"\npath = "/x"\nstate = "absent"\n'
    )
    settings = good(tmp_path, text)
    (tmp_path / "0.toml").write_text(as_toml(settings, {}), encoding="utf-8")
    assert load([tmp_path]).settings == settings
