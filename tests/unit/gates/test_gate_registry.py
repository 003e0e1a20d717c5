"""The specifications: complete, without contradictions, and the only list of gates."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from pkgutil import iter_modules

import pytest

import tidegate.gates
from tidegate.config.keys import having, keys_of, section_of
from tidegate.gates import registry
from tidegate.gates.base import GateSpec
from tidegate.gates.interval import IntervalSettings
from tidegate.gates.periodic import PeriodicSettings
from tidegate.health.checks.unit import UnitCheck
from tidegate.settings import Settings
from tidegate.system.modules import declared

SPECS = registry.all_specs()


def test_every_name_is_used_once() -> None:
    assert len({spec.name for spec in SPECS}) == len(SPECS)
    tables = [spec.table for spec in SPECS if spec.table]
    assert len(set(tables)) == len(tables)


@pytest.mark.parametrize("spec", SPECS, ids=[spec.name for spec in SPECS])
def test_a_specification_is_complete(spec: GateSpec) -> None:
    assert spec.guards
    assert spec.summary
    assert not spec.summary.endswith(".")
    assert (spec.table is None) == (spec.section is None)
    assert spec.conflicts is None or spec.section is not None
    if spec.section is not None:
        assert all(key.table == spec.table for key in keys_of(spec.section, spec.table or ""))


def test_strategies_come_first_and_sessions_last() -> None:
    specs = registry.specs()
    assert [spec.strategy for spec in specs] == sorted((spec.strategy for spec in specs), reverse=True)
    assert specs[-1].name == "sessions"
    assert registry.strategies() == ("fleet_lock", "immediate", "marker_file", "periodic")


def test_a_module_of_the_package_is_a_gate_or_holds_no_name_of_one() -> None:
    """Modules that are not imported for their specification have none; those that are, are as many as gates."""
    found = {module.name for module in iter_modules(tidegate.gates.__path__)}
    parts = {name for name in found if "\nSPEC = GateSpec(" not in (_folder() / f"{name}.py").read_text("utf-8")}
    assert found - parts == {spec.name for spec in registry.specs()}


def _folder() -> Path:
    (folder,) = tidegate.gates.__path__
    return Path(folder)


def test_reading_the_keys_loads_nothing_that_acts() -> None:
    """Commands, the root helper and ``doctor`` read them; the import contracts do not see what a registry imports."""
    probe = "import sys, tidegate.settings; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {"tidegate.gates.sessions", "tidegate.health.checks.file"} <= loaded
    acting = {"asyncio", "dbus_next", "httpx", "subprocess", "tidegate.bus.bus", "tidegate.services.logind"}
    acting |= {"tidegate.health.file", "tidegate.health.http", "tidegate.engines.ostree", "tidegate.net.client"}
    assert loaded & acting == set()


def test_sections_are_found_and_replaced_by_their_class() -> None:
    plain = Settings()
    changed = plain.having(IntervalSettings(60))
    assert (plain.of(IntervalSettings).min_secs, changed.of(IntervalSettings).min_secs) == (0, 60)
    assert changed.of(PeriodicSettings) == plain.of(PeriodicSettings)
    assert having(changed.gates, IntervalSettings()) == plain.gates
    with pytest.raises(KeyError, match="UnitCheck"):
        section_of(UnitCheck, plain.gates, plain.engines)


def test_only_values_of_the_type_are_declarations() -> None:
    assert declared("tidegate.gates", "SPEC", str) == ()
    with pytest.raises(ImportError):
        declared("tidegate.no_such_package", "SPEC", GateSpec)
