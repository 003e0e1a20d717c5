"""Every engine's entry: what it names can be imported, and its payloads are distinguished from others."""

from __future__ import annotations

import inspect

import pytest

from tidegate.config.keys import keys_of
from tidegate.config.kinds.scalar import Choice
from tidegate.engines import registry
from tidegate.engines.entry import CHECKSUM_SCHEME, EngineEntry, load
from tidegate.engines.settings import EngineSettings
from tidegate.engines.unsupported import NAME as NO_ENGINE
from tidegate.settings import Settings


@pytest.mark.parametrize("entry", registry.ENTRIES, ids=registry.NAMES)
def test_what_an_entry_names_is_there(entry: EngineEntry) -> None:
    assert entry.open().name == entry.name
    if entry.doctor is not None:
        assert inspect.iscoroutinefunction(load(entry.doctor))


def test_names_are_unique_and_what_the_configuration_takes() -> None:
    assert len(set(registry.NAMES)) == len(registry.NAMES)
    kind = next(key.kind for key in keys_of(EngineSettings))
    assert isinstance(kind, Choice)
    assert not {registry.AUTO, NO_ENGINE} & set(registry.NAMES)
    assert set(kind.words) == {registry.AUTO, *registry.NAMES}
    assert Settings().engine.kind == registry.AUTO
    assert [registry.find(name) for name in registry.NAMES] == [*registry.ENTRIES]
    assert registry.find("no such engine") is None


def test_nothing_is_loaded_before_it_is_used() -> None:
    with pytest.raises(ImportError):
        load("tidegate.engines.no_such:thing")
    with pytest.raises(AttributeError):
        load("tidegate.engines.base:no_such")
    assert load("tidegate.engines.entry:EngineEntry.open") is EngineEntry.open


def test_payloads_of_an_engine_have_its_scheme() -> None:
    checksum = "0123456789abcdef" * 4
    assert registry.is_payload("ostree", checksum)
    assert not registry.is_payload("ostree", "quay.io/os:42")
    assert registry.is_payload("no such engine", "quay.io/os:42")
    assert not registry.is_payload("no such engine", "--help")
    assert registry.scheme_of(checksum) == CHECKSUM_SCHEME
