"""The manual says what the program does: its tables are compared with the code's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from tests.fakes import agent_walks as walks
from tests.fakes.builders import at, staging
from tests.fakes.clock import START
from tidegate.bus.bus import Bus
from tidegate.cli.entry import COMMANDS
from tidegate.cli.status_cmd import exit_code
from tidegate.fleetlock.account import FLEET_LOCK
from tidegate.gates import registry
from tidegate.gates.interval import IntervalSettings
from tidegate.gates.registry import strategies
from tidegate.gates.select import GateSources, local_gates
from tidegate.records.model import LockState
from tidegate.release import Purpose
from tidegate.report.explain import explanation
from tidegate.report.snapshot import snapshot
from tidegate.services.logind import Logind
from tidegate.services.timedate import Timedate
from tidegate.settings import Settings

MANUALS = Path(__file__).resolve().parents[3] / "contrib/man"
COMMANDS_PAGE = (MANUALS / "tidegate.1.md").read_text(encoding="utf-8")
CONFIG_PAGE = (MANUALS / "tidegate-config.5.md").read_text(encoding="utf-8")
NO_BUS = cast(Bus, None)

Table = dict[str, list[str]]


def table(page: str, first: str) -> Table:
    """The table whose first column is titled ``first``: the other cells by each name in the first one."""
    _, _, rest = page.partition(f"\n| {first} |")
    rows = [line.strip("|").split("|") for line in rest.split("\n\n")[0].splitlines()[2:]]
    found = {name.strip(" `"): [cell.strip() for cell in cells] for names, *cells in rows for name in names.split(",")}
    assert found
    return found


def test_every_command_has_its_place() -> None:
    for name in COMMANDS:
        assert f"`{name}" in COMMANDS_PAGE, name


def test_the_states_are_those_of_the_agent_with_their_exit_codes() -> None:
    told = table(COMMANDS_PAGE, "state")
    states = {str(snapshot(walk().state, at(0), START, {})["state"]) for walk in walks.EVERY}
    assert set(told) == states
    for state in states:
        assert told[state][-1].split(",")[0] == str(exit_code({"state": state}))


def test_the_keys_of_the_status_are_those_of_the_snapshot() -> None:
    given = set(snapshot(staging().state, at(0), START, {}))
    promised = set(table(COMMANDS_PAGE, "key"))
    _, _, beside = COMMANDS_PAGE.partition("\nBeside them: ")
    others = set(beside.partition("\n\n")[0].split("`")[1::2]) - {"explain"}
    assert promised | others == given | {"source", "live", "host", "follows"}
    assert promised == {
        "schema", "state", "since", "booted", "staged", "rollback", "blocked_by", "lock", "next_check", "next_opening",
        "last_error", "source",
    }  # fmt: skip


def test_the_keys_of_an_explanation_are_those_that_it_has() -> None:
    _, _, section = COMMANDS_PAGE.partition("\n## EXPLAIN\n")
    section = section.partition("\n## ")[0]
    for key in explanation(walks.waits().state, ()):
        assert f"`{key}`" in section, key
    assert set(table(section, "verdict")) == {"allow", "wait", "not_asked"}


@pytest.mark.parametrize("state", LockState)
def test_every_state_of_a_lock_is_told(state: LockState) -> None:
    assert state in table(COMMANDS_PAGE, "state of the lock")


def test_every_gate_has_its_row_with_what_its_specification_says() -> None:
    rows = table(CONFIG_PAGE, "gate")
    specs = {spec.name: spec for spec in registry.all_specs()}
    assert set(rows) == set(specs)
    for name, spec in specs.items():
        summary, asked_for, overridable, yields = rows[name]
        assert summary == spec.summary
        assert {Purpose(word) for word in asked_for.split(", ")} == spec.guards, name
        assert (overridable, yields) == tuple("yes" if one else "no" for one in (spec.overridable, spec.etiquette))


def test_a_gate_does_what_its_specification_says() -> None:
    plain = Settings().having(IntervalSettings(60))
    chosen = tuple(name for name in strategies() if name != "periodic")
    settings = replace(plain, updates=replace(plain.updates, strategy=chosen))
    gates = local_gates(settings, GateSources(Logind(NO_BUS), Timedate(NO_BUS), 0.0))
    specs = {spec.name: spec for spec in registry.specs()}
    assert {gate.name for gate in gates} == set(specs) - {"periodic", FLEET_LOCK}
    for gate in gates:
        assert (gate.guards, gate.overridable) == (specs[gate.name].guards, specs[gate.name].overridable)


def test_every_strategy_is_told() -> None:
    for name in strategies():
        assert f"\n**{name}**\n: " in CONFIG_PAGE, name
