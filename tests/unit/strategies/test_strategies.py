"""From the configured names to gates: what somebody wrote is never passed over."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.fakes.builders import at, release
from tidegate.config.settings import STRATEGIES, Settings
from tidegate.gates.base import Allow, Question, Wait
from tidegate.gates.panel import ask_all
from tidegate.purpose import Purpose
from tidegate.strategies.immediate import Immediate
from tidegate.strategies.select import strategy_gates


def settings(*names: str) -> Settings:
    plain = Settings()
    return replace(plain, updates=replace(plain.updates, strategy=names))


def question(purpose: Purpose) -> Question:
    return Question(release("2"), purpose, at(0))


def test_immediate_always_allows_and_guards_updates_alone() -> None:
    gate = Immediate()
    assert asyncio.run(gate.ask(question(Purpose.UPDATE))) == Allow("immediate")
    assert gate.guards == {Purpose.UPDATE}


def test_the_default_strategy_is_immediate() -> None:
    assert [gate.name for gate in strategy_gates(Settings())] == ["immediate"]


def test_strategies_keep_their_configured_order() -> None:
    names = [gate.name for gate in strategy_gates(settings("marker_file", "immediate", "fleet_lock"))]
    assert names == ["marker_file", "immediate", "fleet_lock"]


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_name_that_the_configuration_takes_is_a_gate_of_that_name(name: str) -> None:
    (gate,) = strategy_gates(settings(name))
    assert gate.name == name
    assert Purpose.UPDATE in gate.guards


@pytest.mark.parametrize("purpose", list(Purpose))
def test_a_strategy_that_this_version_does_not_have_never_allows(purpose: Purpose) -> None:
    gates = strategy_gates(settings("immediate", "astrology"))
    *_, verdict = asyncio.run(ask_all(gates, question(purpose)))
    assert isinstance(verdict, Wait)
    assert (verdict.gate, "astrology" in verdict.reason) == ("astrology", True)
    assert verdict.remedy


def test_a_periodic_strategy_without_windows_never_allows() -> None:
    *_, verdict = asyncio.run(ask_all(strategy_gates(settings("periodic")), question(Purpose.UPDATE)))
    assert isinstance(verdict, Wait)
