"""From the configured names to gates: what somebody wrote is never passed over."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path
from typing import cast
from zoneinfo import TZPATH

import pytest

from tests.fakes.builders import at, release
from tests.fakes.clock import START
from tidegate.calendar.exclusions import Exclusions
from tidegate.calendar.schedule import Schedule
from tidegate.calendar.spec import WindowSpec
from tidegate.calendar.weekly import WallCalendar
from tidegate.errors import ErrorKind, TidegateError
from tidegate.fleetlock.account import FLEET_LOCK
from tidegate.gates import periodic
from tidegate.gates.base import Allow, Gate, Question, Verdict, Wait
from tidegate.gates.gate_set import ask_all
from tidegate.gates.immediate import Immediate
from tidegate.gates.periodic import Periodic, PeriodicSettings, ScheduleHere, schedule_of
from tidegate.gates.registry import strategies
from tidegate.gates.select import GateSources, strategy_gates
from tidegate.release import Purpose
from tidegate.settings import Settings


def settings(*names: str) -> Settings:
    plain = Settings()
    return replace(plain, updates=replace(plain.updates, strategy=names))


def strategies_of(configured: Settings) -> tuple[Gate, ...]:
    """The strategies of this package ask no service."""
    return strategy_gates(configured, cast(GateSources, None))


def question(purpose: Purpose) -> Question:
    return Question(release("2"), purpose, at(0))


def test_immediate_always_allows_and_guards_updates_alone() -> None:
    gate = Immediate()
    assert asyncio.run(gate.ask(question(Purpose.UPDATE))) == Allow("immediate")
    assert gate.guards == {Purpose.UPDATE}


def test_the_default_strategy_is_immediate() -> None:
    assert [gate.name for gate in strategies_of(Settings())] == ["immediate"]


def test_strategies_keep_their_configured_order() -> None:
    names = [gate.name for gate in strategies_of(settings("marker_file", "immediate", "periodic"))]
    assert names == ["marker_file", "immediate", "periodic"]


def test_the_fleet_lock_is_not_a_gate() -> None:
    """To ask for it is to take it: the machine does, after every gate."""
    assert strategies_of(settings("fleet_lock")) == ()


@pytest.mark.parametrize("name", [name for name in strategies() if name != FLEET_LOCK])
def test_every_name_that_the_configuration_takes_is_a_gate_of_that_name(name: str) -> None:
    (gate,) = strategies_of(settings(name))
    assert gate.name == name
    assert Purpose.UPDATE in gate.guards


def test_a_strategy_may_be_overridden_by_name_and_one_that_is_not_there_may_not() -> None:
    known = {gate.name: gate.overridable for gate in strategies_of(settings("immediate", "marker_file"))}
    assert known == {"immediate": True, "marker_file": True}
    assert Periodic(WEEKLY).overridable
    (unknown,) = strategies_of(settings("astrology"))
    assert not unknown.overridable


WEEKLY = Schedule(WallCalendar((WindowSpec((0,), 10 * 60, 60),), Exclusions()), UTC)  # Mondays from 10:00 to 11:00


@pytest.mark.parametrize(("secs", "is_open"), [(-1, False), (0, True), (3599, True), (3600, False)])
def test_a_window_allows_until_it_closes(secs: float, is_open: bool) -> None:
    verdict = asyncio.run(Periodic(WEEKLY).ask(Question(release("2"), Purpose.UPDATE, at(secs))))
    assert isinstance(verdict, Allow) is is_open
    if is_open:
        assert verdict.until == START + timedelta(hours=1)
    else:
        assert verdict.until == (START if secs < 0 else START + timedelta(days=7))


def test_a_zone_set_while_the_agent_runs_moves_the_windows(tmp_path: Path) -> None:
    """As timedatectl set-timezone does it: a link is replaced, and nobody reloads the agent."""
    file = tmp_path / "localtime"
    file.symlink_to(zone_file("Etc/UTC"))
    windows = PeriodicSettings("localtime", windows=(WindowSpec((0,), 10 * 60, 60),))
    gate = Periodic(ScheduleHere(windows, "", file))

    def verdict() -> Verdict:
        return asyncio.run(ask_all((gate,), question(Purpose.UPDATE)))[0]  # Monday, 10:00 UTC

    assert isinstance(verdict(), Allow)
    (tmp_path / "new").symlink_to(zone_file("Asia/Tokyo"))
    (tmp_path / "new").replace(file)
    waits = verdict()
    assert isinstance(waits, Wait)
    assert waits.until == START + timedelta(days=6, hours=15), "Monday, 10:00 in Tokyo"
    (tmp_path / "new").write_bytes(zone_file("Etc/UTC").read_bytes()[:-1])
    (tmp_path / "new").replace(file)
    for _ in range(2):
        broken = verdict()
        assert isinstance(broken, Wait)
        assert "cut short" in broken.reason
        assert "timedatectl" in broken.remedy
    file.unlink()
    file.symlink_to(zone_file("Etc/UTC"))
    assert isinstance(verdict(), Allow)


def zone_file(name: str) -> Path:
    return next(file for file in (Path(root, name) for root in TZPATH) if file.exists())


@pytest.mark.parametrize("purpose", list(Purpose))
def test_a_strategy_that_this_version_does_not_have_never_allows(purpose: Purpose) -> None:
    gates = strategies_of(settings("immediate", "astrology"))
    *_, verdict = asyncio.run(ask_all(gates, question(purpose)))
    assert isinstance(verdict, Wait)
    assert (verdict.gate, "astrology" in verdict.reason) == ("astrology", True)
    assert verdict.remedy


def test_a_periodic_strategy_without_windows_never_allows() -> None:
    *_, verdict = asyncio.run(ask_all(strategies_of(settings("periodic")), question(Purpose.UPDATE)))
    assert isinstance(verdict, Wait)


def test_windows_need_a_host_id_only_where_hosts_are_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(periodic, "host_id", _no_id)
    windows = PeriodicSettings(windows=(WindowSpec((0,), 10 * 60, 60),))
    assert schedule_of(Settings().having(windows)).is_open(START)
    with pytest.raises(TidegateError, match="no machine id"):
        schedule_of(Settings().having(replace(windows, spread_minutes=10)))


def _no_id(_: object) -> str:
    raise TidegateError(ErrorKind.CONFIG_INVALID, "no machine id")
