"""Reading the configuration: what is built from it, and that an invalid one never replaces a valid one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

import pytest

from tests.fakes.clock import START
from tests.fakes.engine import FakeEngine, FakeHost
from tidegate.bus.bus import Bus
from tidegate.calendar.schedule import Schedule
from tidegate.clock import Now, SystemClock
from tidegate.configured import ConfigurationReader, Configured, Dependencies
from tidegate.discovery.cincinnati import Cincinnati
from tidegate.discovery.native import Native
from tidegate.discovery.static_graph import StaticGraph
from tidegate.errors import ErrorKind, Failure, TidegateError
from tidegate.fleetlock.account import FleetLocking, LockAccount
from tidegate.gates.base import Allow, Question, Wait
from tidegate.gates.periodic import PeriodicSettings
from tidegate.gates.select import GateSources
from tidegate.health.base import HealthProber
from tidegate.release import Purpose, Release
from tidegate.services.logind import Logind
from tidegate.services.timedate import Timedate
from tidegate.settings import load

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


FLEET = """\
[identity]
node_uuid = "0123456789abcdef0123456789abcdef"
group = "workers"
[updates]
strategy = ["fleet_lock", "immediate"]
[updates.fleet_lock]
base_url = "https://lock.example/${group}/"
timeout_secs = 12
token_file = "/etc/tidegate/token"
release = "after-boot"
update_params = true
"""
NO_BUS = cast(Bus, None)
"""Reading a configuration makes no call."""
NO_PROBER = cast(HealthProber, None)


def reader(folder: Path) -> ConfigurationReader:
    sources = GateSources(Logind(NO_BUS), Timedate(NO_BUS), boot_began_secs=0.0)
    latest = FakeEngine(FakeHost("1")).latest
    return ConfigurationReader([folder], Dependencies(SystemClock(), sources, latest, lambda _settings: NO_PROBER))


def names(configured: Configured) -> list[str]:
    return [gate.name for gate in configured.world.gates]


def write(folder: Path, text: str) -> None:
    (folder / "50-test.toml").write_text(text, encoding="utf-8")


def test_without_any_snippet_the_defaults_are_in_force_and_the_engine_is_asked(tmp_path: Path) -> None:
    configured = reader(tmp_path).read()
    assert configured.policy.enabled
    assert configured.policy.steady_interval_secs == 300
    assert configured.policy.blocked is None
    offers = asyncio.run(configured.world.discovery.find("a" * 64, "1"))
    assert offers.booted is not None
    assert offers.booted.version == "1"


def test_a_source_knows_who_asks(tmp_path: Path) -> None:
    identity = '[identity]\ngroup = "workers"\nstream = "next"\nnode_uuid = "0123456789ABCDEF0123456789ABCDEF"\n'
    write(tmp_path, GOOD + identity)
    configured = reader(tmp_path).read()
    discovery = configured.world.discovery
    assert isinstance(discovery, StaticGraph)
    assert discovery.host == configured.identity
    assert (discovery.host.group, discovery.host.stream) == ("workers", "next")
    assert discovery.host.node_uuid == "0123456789abcdef0123456789abcdef"
    assert discovery.host.variables["basearch"]


def test_a_variable_that_is_not_known_here_is_named_at_each_check(tmp_path: Path) -> None:
    write(tmp_path, GOOD.replace("${group}", "${stream}"))
    with pytest.raises(TidegateError, match=r"\$\{stream\}") as caught:
        asyncio.run(reader(tmp_path).read().world.discovery.find("a" * 64, "1"))
    assert caught.value.kind is ErrorKind.DISCOVERY_UNAVAILABLE


def test_a_server_is_asked_as_zincatis_configuration_says(tmp_path: Path) -> None:
    write(tmp_path, '[cincinnati]\nbase_url = "http://h/"\n')
    assert isinstance(reader(tmp_path).read().world.discovery, Cincinnati)


def test_the_engine_is_asked_where_it_is_named_whatever_else_is_set(tmp_path: Path) -> None:
    write(tmp_path, '[discovery]\nsource = "native"\ntimeout_secs = 7\n[cincinnati]\nbase_url = "http://h/"\n')
    discovery = reader(tmp_path).read().world.discovery
    assert isinstance(discovery, Native)
    assert discovery.timeout_secs == 7


def test_an_invalid_configuration_at_the_start_blocks_and_names_the_place(tmp_path: Path) -> None:
    write(tmp_path, "[updates]\nenabeld = true\n")
    blocked = reader(tmp_path).read().policy.blocked
    assert blocked is not None
    assert blocked.kind is ErrorKind.CONFIG_INVALID
    assert f"{tmp_path / '50-test.toml'}:2" in blocked.message


def test_an_invalid_reload_keeps_the_last_valid_configuration_and_says_so(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    one = reader(tmp_path)
    good = one.read()
    write(tmp_path, "[updates]\nenabled = maybe\n")
    again = one.read()
    assert (again.policy.enabled, again.policy.blocked, again.world) == (False, None, good.world)
    assert again.policy.stale is not None
    assert again.policy.stale.kind is ErrorKind.CONFIG_INVALID


def test_a_corrected_configuration_is_no_longer_stale(tmp_path: Path) -> None:
    one = reader(tmp_path)
    write(tmp_path, "nonsense")
    assert one.read().policy.blocked is not None
    write(tmp_path, GOOD)
    policy = one.read().policy
    assert (policy.blocked, policy.stale) == (None, None)


def test_a_failure_elsewhere_can_block_a_valid_configuration(tmp_path: Path) -> None:
    unreadable = Failure(ErrorKind.RECORD_UNREADABLE, "torn")
    policy = reader(tmp_path).read().blocked_by(unreadable).policy
    assert policy.block == Wait("record", "torn")


@pytest.mark.parametrize(("hour", "is_open"), [(11, False), (12, True), (13, False)])
def test_the_periodic_strategy_answers_as_the_schedule_does(tmp_path: Path, hour: int, is_open: bool) -> None:
    write(tmp_path, WINDOW)
    gate = reader(tmp_path).read().world.gates[0]
    now = Now(START.replace(hour=hour), 0.0)
    verdict = asyncio.run(gate.ask(Question(Release("2", "b" * 64), Purpose.UPDATE, now)))
    settings = load([tmp_path]).settings
    assert settings is not None
    until = Schedule.of(settings.of(PeriodicSettings), "0" * 32).state(now.wall).until
    if is_open:
        assert isinstance(verdict, Allow)
    else:
        assert isinstance(verdict, Wait)
        assert verdict.until == until


# --------------------------------------------------------------------------- gates and the lock


def test_the_gates_are_those_of_the_settings_and_there_is_no_lock_unless_it_is_selected(tmp_path: Path) -> None:
    configured = reader(tmp_path).read()
    assert names(configured) == ["immediate", "inhibitors", "clock", "sessions"]
    assert configured.policy.fleet_lock is None


def test_a_reload_changes_the_gates(tmp_path: Path) -> None:
    one = reader(tmp_path)
    assert "sessions" in names(one.read())
    write(tmp_path, "[gates.sessions]\nenabled = false\n[gates.interval]\nmin_secs = 60\n")
    assert names(one.read()) == ["immediate", "interval", "inhibitors", "clock"]


def test_the_lock_is_not_a_gate_but_in_the_policy(tmp_path: Path) -> None:
    write(tmp_path, FLEET)
    configured = reader(tmp_path).read()
    assert names(configured) == ["immediate", "inhibitors", "clock", "sessions"]
    account = LockAccount(
        "https://lock.example/workers/",
        "workers",
        "0123456789abcdef0123456789abcdef",
        12,
        token_file="/etc/tidegate/token",
    )
    assert configured.policy.fleet_lock == FleetLocking(account, "after-boot", tells=True)


def test_a_lock_that_cannot_be_asked_for_is_a_gate_that_cannot_be_overridden(tmp_path: Path) -> None:
    write(tmp_path, FLEET.replace("${group}", "${stream}"))
    configured = reader(tmp_path).read()
    assert (configured.policy.fleet_lock, configured.policy.blocked) == (None, None)
    (gate,) = [gate for gate in configured.world.gates if gate.name == "fleet_lock"]
    assert not gate.overridable
    assert gate.guards == frozenset(Purpose)
    verdict = asyncio.run(gate.ask(Question(Release("2", "b" * 64), Purpose.MANUAL, Now(START, 0.0))))
    assert isinstance(verdict, Wait)
    assert "${stream}" in verdict.reason


def test_an_invalid_configuration_has_the_default_gates_and_no_lock_server(tmp_path: Path) -> None:
    write(tmp_path, FLEET + "nonsense = 1\n")
    configured = reader(tmp_path).read()
    assert configured.policy.fleet_lock is None
    assert configured.policy.blocked is not None
    assert names(configured) == ["immediate", "inhibitors", "clock", "sessions"]
