"""Every engine's entry: what it names can be imported, and its payloads are distinguished from others."""

from __future__ import annotations

import inspect

import pytest

from tidegate.config import Settings
from tidegate.config.settings import ENGINES
from tidegate.engines import registry
from tidegate.engines.registry import EngineEntry
from tidegate.engines.unsupported import NAME as NO_ENGINE


@pytest.mark.parametrize("entry", registry.ENTRIES, ids=registry.NAMES)
def test_what_an_entry_names_is_there(entry: EngineEntry) -> None:
    assert entry.open().name == entry.name
    if entry.doctor is not None:
        assert inspect.iscoroutinefunction(registry.load(entry.doctor))


def test_names_are_unique_and_what_the_configuration_takes() -> None:
    assert len(set(registry.NAMES)) == len(registry.NAMES)
    assert not {registry.AUTO, NO_ENGINE} & set(registry.NAMES)
    assert set(ENGINES) == {registry.AUTO, *registry.NAMES}
    assert Settings().engine.kind == registry.AUTO
    assert [registry.find(name) for name in registry.NAMES] == [*registry.ENTRIES]
    assert registry.find("no such engine") is None


def test_nothing_is_loaded_before_it_is_used() -> None:
    with pytest.raises(ImportError):
        registry.load("tidegate.engines.no_such:thing")
    with pytest.raises(AttributeError):
        registry.load("tidegate.engines.base:no_such")
    assert registry.load("tidegate.engines.registry:EngineEntry.open") is EngineEntry.open


def test_payloads_of_an_engine_have_its_scheme() -> None:
    checksum = "0123456789abcdef" * 4
    assert registry.is_payload("ostree", checksum)
    assert not registry.is_payload("ostree", "quay.io/os:42")
    assert registry.is_payload("no such engine", "quay.io/os:42")
    assert not registry.is_payload("no such engine", "--help")
    assert registry.scheme_of(checksum) == registry.CHECKSUM_SCHEME
