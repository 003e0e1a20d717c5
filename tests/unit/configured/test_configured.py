"""What the configuration makes of the agent: a bad one never takes the place of a good one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.fakes.clock import START
from tidegate.calendar.schedule import Schedule
from tidegate.clock import Now
from tidegate.config import load
from tidegate.configured import Reader
from tidegate.discovery.select import Unavailable
from tidegate.discovery.static_graph import StaticGraph
from tidegate.errors import ErrorKind, Failure, TidegateError
from tidegate.gates.base import Allow, Question, Wait
from tidegate.purpose import Purpose
from tidegate.release import Release

GOOD = '[updates]\nenabled = false\n[discovery.static_graph]\nurl = "http://h/${basearch}/${group}.json"\n'
WINDOW = """\
[identity]
node_uuid = "0123456789abcdef0123456789abcdef"
[updates]
strategy = "periodic"
[[updates.periodic.window]]
days = ["Mon"]
start_time = "12:00"
length_minutes = 60
"""


def write(folder: Path, text: str) -> None:
    (folder / "50-test.toml").write_text(text, encoding="utf-8")


def test_without_any_snippet_the_defaults_are_in_force_and_no_source_is_known(tmp_path: Path) -> None:
    configured = Reader([tmp_path]).read()
    assert configured.policy.enabled
    assert configured.policy.steady_interval_secs == 300
    assert configured.policy.blocked is None
    with pytest.raises(TidegateError) as caught:
        asyncio.run(configured.world.discovery.find("a" * 64, "1"))
    assert caught.value.kind is ErrorKind.DISCOVERY_UNAVAILABLE


def test_the_variables_of_a_graph_url_are_filled_in(tmp_path: Path) -> None:
    write(tmp_path, GOOD.replace("${basearch}", "x"))
    discovery = Reader([tmp_path]).read().world.discovery
    assert isinstance(discovery, StaticGraph)
    assert discovery.url == "http://h/x/default.json"


def test_a_variable_that_is_not_known_here_is_named(tmp_path: Path) -> None:
    write(tmp_path, GOOD.replace("${group}", "${stream}"))
    discovery = Reader([tmp_path]).read().world.discovery
    assert isinstance(discovery, Unavailable)
    assert "${stream}" in discovery.reason


@pytest.mark.parametrize("source", ["cincinnati", "native"])
def test_a_source_that_this_version_does_not_have_is_refused_by_name(tmp_path: Path, source: str) -> None:
    write(tmp_path, f'[discovery]\nsource = "{source}"\n[cincinnati]\nbase_url = "http://h/"\n')
    discovery = Reader([tmp_path]).read().world.discovery
    assert isinstance(discovery, Unavailable)
    assert source in discovery.reason


def test_a_bad_configuration_at_the_start_blocks_and_names_the_place(tmp_path: Path) -> None:
    write(tmp_path, "[updates]\nenabeld = true\n")
    blocked = Reader([tmp_path]).read().policy.blocked
    assert blocked is not None
    assert blocked.kind is ErrorKind.CONFIG_INVALID
    assert f"{tmp_path / '50-test.toml'}:2" in blocked.message


def test_a_bad_reload_keeps_the_last_good_configuration_and_says_so(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    reader = Reader([tmp_path])
    good = reader.read()
    write(tmp_path, "[updates]\nenabled = maybe\n")
    again = reader.read()
    assert (again.policy.enabled, again.policy.blocked, again.world) == (False, None, good.world)
    assert again.policy.stale is not None
    assert again.policy.stale.kind is ErrorKind.CONFIG_INVALID


def test_a_mended_configuration_is_no_longer_stale(tmp_path: Path) -> None:
    reader = Reader([tmp_path])
    write(tmp_path, "nonsense")
    assert reader.read().policy.blocked is not None
    write(tmp_path, GOOD)
    policy = reader.read().policy
    assert (policy.blocked, policy.stale) == (None, None)


def test_what_else_blocks_is_laid_over_the_configuration(tmp_path: Path) -> None:
    unreadable = Failure(ErrorKind.RECORD_UNREADABLE, "torn")
    policy = Reader([tmp_path]).read().blocked_by(unreadable).policy
    assert policy.block == Wait("record", "torn")


@pytest.mark.parametrize(("hour", "is_open"), [(11, False), (12, True), (13, False)])
def test_the_periodic_strategy_answers_as_the_schedule_does(tmp_path: Path, hour: int, is_open: bool) -> None:
    write(tmp_path, WINDOW)
    (gate,) = Reader([tmp_path]).read().world.gates
    now = Now(START.replace(hour=hour), 0.0)
    verdict = asyncio.run(gate.ask(Question(Release("2", "b" * 64), Purpose.UPDATE, now)))
    settings = load([tmp_path]).settings
    assert settings is not None
    until = Schedule.of(settings.periodic, "0" * 32).state(now.wall).until
    if is_open:
        assert isinstance(verdict, Allow)
    else:
        assert isinstance(verdict, Wait)
        assert verdict.until == until
