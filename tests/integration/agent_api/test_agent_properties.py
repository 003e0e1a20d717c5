"""Properties of the agent: their types, and one signal for several changes."""

from __future__ import annotations

import asyncio
import json
import xml.etree.ElementTree as ET
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from tests.fakes.asyncs import run, until
from tests.fakes.bus_agent import DOCUMENT, FakeAgent, served
from tests.fakes.private_bus import connected, settle, two
from tidegate.agent_api import properties as face_module
from tidegate.agent_api.client import AGENT
from tidegate.agent_api.properties import AgentProperties
from tidegate.agent_api.service import agent_interface
from tidegate.bus.bus import Bus
from tidegate.bus.errors import PROPERTY_READ_ONLY, CallFailed
from tidegate.bus.interface import introspection
from tidegate.bus.message import Emission, Endpoint, Match, Typed
from tidegate.bus.server import INTROSPECTABLE, PROPERTIES
from tidegate.errors import ErrorKind
from tidegate.machine.effects import NOTICE, Announce
from tidegate.machine.topics import Topic

SHIPPED = Path(__file__).parents[3] / "systemd" / "org.tidegate.Agent1.xml"
AT_PROPERTIES = Endpoint(AGENT.destination, AGENT.path, PROPERTIES)
AT_INTROSPECTION = Endpoint(AGENT.destination, AGENT.path, INTROSPECTABLE)
NOTHING: Mapping[str, object] = {}


class Ear:
    """What was heard: ``changes`` as values and invalidated names, ``events`` as they came, ``both`` in order."""

    def __init__(self) -> None:
        self.changes: list[tuple[Mapping[str, object], tuple[str, ...]]] = []
        self.events: list[tuple[object, ...]] = []
        self.order: list[str] = []

    def changed(self, emission: Emission) -> None:
        _name, values, unread = cast("tuple[str, Mapping[str, object], tuple[str, ...]]", emission.args)
        self.changes.append((values, unread))
        self.order.append("changes")

    def event(self, emission: Emission) -> None:
        self.events.append(emission.args)
        self.order.append("event")


@asynccontextmanager
async def heard(address: str) -> AsyncGenerator[tuple[AgentProperties, Bus, Ear]]:
    """The face of a served agent, a client, and what it hears of the one; the first changes have been told."""
    async with two(address) as (server, client):
        face, ear = await served(server, FakeAgent()), Ear()
        face.flush()
        await settle(server)
        source = Endpoint(AGENT.destination, AGENT.path, AGENT.interface)
        await client.subscribe(Match(AT_PROPERTIES, "PropertiesChanged", "sa{sv}as", AGENT.interface), ear.changed)
        await client.subscribe(Match(source, "UpdateEvent", "siss"), ear.event)
        yield face, client, ear


async def all_of(bus: Bus) -> dict[str, object]:
    (values,) = await bus.call(AT_PROPERTIES, "GetAll", "s", AGENT.interface, returns="a{sv}")
    return cast("dict[str, object]", values)


def test_the_properties_are_the_document(address: str) -> None:
    async def scenario() -> None:
        async with two(address) as (server, client):
            await served(server, FakeAgent())
            got = await all_of(client)
            assert json.loads(str(got.pop("Document"))) == DOCUMENT
            assert got == {
                "Version": "1.2.3",
                "State": "staged",
                "Since": "2026-03-02T10:00:00Z",
                "Summary": "2 is staged and waits: periodic: the window is shut",
                "Booted": {"version": "1", "payload": "aa"},
                "Staged": {"version": "2", "payload": "bb", "locked": True},
                "Rollback": {},
                "NextCheck": "2026-03-02T10:05:00Z",
                "NextOpening": "",
                "BlockedBy": ("periodic",),
                "Progress": {},
                "LastError": {},
            }
            assert await client.get_property(AGENT, "State", "s") == "staged"
            assert await client.get_property(AGENT, "BlockedBy", "as") == ("periodic",)

    run(scenario())


def test_every_kind_of_value_has_its_type(address: str) -> None:
    progress = {"step": "pulling", "fraction": 0.25, "transferred_bytes": 5_000_000_000}
    error = {"kind": ErrorKind.ENGINE_NO_SPACE, "message": "full\udcff", "remedy": None, "count": 3, "at": "x"}

    async def scenario() -> None:
        async with two(address) as (server, client):
            face = await served(server, FakeAgent())
            face.show({**DOCUMENT, "progress": progress, "last_error": error})
            assert await client.get_property(AGENT, "Progress", "a{sv}") == progress
            told = await client.get_property(AGENT, "LastError", "a{sv}")
            assert told == {"kind": "engine.no-space", "message": "full?", "count": 3, "at": "x"}

    run(scenario())


def test_an_agent_without_a_document_shows_empty_values(address: str) -> None:
    async def scenario() -> None:
        async with two(address) as (server, client):
            face = await served(server, FakeAgent())
            face.show({})
            got = await all_of(client)
            assert {key: value for key, value in got.items() if value} == {"Version": "1.2.3", "Document": "{}"}

    run(scenario())


@pytest.mark.parametrize("name", ["State", "Version", "Document", "Booted"])
def test_nothing_can_be_written(address: str, name: str) -> None:
    async def scenario() -> None:
        async with two(address) as (server, client):
            await served(server, FakeAgent())
            with pytest.raises(CallFailed) as caught:
                await client.call(AT_PROPERTIES, "Set", "ssv", AGENT.interface, name, Typed("s", "steady"))
            assert caught.value.error_name == PROPERTY_READ_ONLY

    run(scenario())


def test_what_changes_is_told_with_its_value_and_nothing_else(address: str) -> None:
    async def scenario() -> None:
        async with heard(address) as (face, client, ear):
            face.show({**DOCUMENT, "state": "finalizing", "blocked_by": [], "staged": None})
            await until(lambda: bool(ear.changes))
            assert ear.changes == [({"State": "finalizing", "Staged": NOTHING, "BlockedBy": ()}, ("Document",))]
            assert await client.get_property(AGENT, "State", "s") == "finalizing"

    run(scenario())


def test_what_no_property_shows_is_told_as_a_new_document(address: str) -> None:
    async def scenario() -> None:
        async with heard(address) as (face, _client, ear):
            face.show({**DOCUMENT, "health": {"verdict": "watching"}})
            await until(lambda: bool(ear.changes))
            assert ear.changes == [({}, ("Document",))]

    run(scenario())


def test_what_does_not_change_is_not_told(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face_module, "PAUSE_SECS", 0.0)

    async def scenario() -> None:
        async with heard(address) as (face, client, ear):
            for _ in range(5):
                face.show(dict(DOCUMENT))
                await settle(client)
            face.flush()
            await settle(client)
            assert ear.changes == []

    run(scenario())


def test_a_flood_of_progress_is_a_few_signals_and_ends_with_the_last_word(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(face_module, "PAUSE_SECS", 0.1)

    async def scenario() -> None:
        async with heard(address) as (face, client, ear):
            for number in range(2000):
                face.show({**DOCUMENT, "progress": {"step": "pulling", "transferred_bytes": number}})
                if number % 100 == 0:
                    await settle(client)
            await until(lambda: _bytes(ear) == 1999)
            assert len(ear.changes) <= 5

    run(scenario())


def _bytes(ear: Ear) -> object:
    progress = ear.changes[-1][0].get("Progress") if ear.changes else None
    return cast("Mapping[str, object]", progress or NOTHING).get("transferred_bytes")


def test_at_rest_there_is_no_timer(address: str) -> None:
    async def scenario() -> None:
        async with heard(address) as (face, _client, ear):
            assert not _timers()
            for state in ("staging", "steady"):
                face.show({**DOCUMENT, "state": state})
                assert len(_timers()) == 1
            await until(lambda: bool(ear.changes))
            assert not _timers()

    run(scenario())


def _timers() -> list[object]:
    """The event loop's own list: what wakes the process."""
    scheduled: list[asyncio.TimerHandle] = cast(Any, asyncio.get_running_loop())._scheduled
    return [handle for handle in scheduled if not handle.cancelled() and "AgentProperties" in repr(handle)]


def test_an_announcement_is_a_signal_and_comes_after_what_it_is_about(address: str) -> None:
    async def scenario() -> None:
        async with heard(address) as (face, client, ear):
            face.show({**DOCUMENT, "state": "finalizing"})
            face.announce(Announce(topic=Topic.FINALIZING, level=NOTICE, text="2: every gate allows", release="2"))
            face.announce(Announce(topic=Topic.CHECK_FAILED, level=4, text="the server is away"))
            await until(lambda: len(ear.events) == 2)
            await settle(client)
            assert ear.events == [
                ("finalizing", 5, "2", "2: every gate allows"),
                ("check-failed", 4, "", "the server is away"),
            ]
            assert ear.order == ["changes", "event", "event"]

    run(scenario())


def test_a_bus_that_is_gone_is_told_nothing_and_nobody_is_hurt(address: str) -> None:
    async def scenario() -> None:
        bus = await Bus.connect(address)
        face = await served(bus, FakeAgent())
        await bus.close()
        face.show({"state": "steady"})
        face.announce(Announce(topic=Topic.APPLIED, level=NOTICE, text="done"))
        face.flush()

    run(scenario())


def test_what_is_shipped_is_what_the_agent_answers(address: str) -> None:
    async def scenario() -> None:
        async with two(address) as (server, client):
            await served(server, FakeAgent())
            (text,) = await client.call(AT_INTROSPECTION, "Introspect", returns="s")
        (answered,) = (one for one in ET.fromstring(str(text)) if one.attrib["name"] == AGENT.interface)
        (shipped,) = ET.parse(SHIPPED).getroot()
        ET.indent(answered)
        ET.indent(shipped)
        assert ET.canonicalize(ET.tostring(answered, "unicode")) == ET.canonicalize(ET.tostring(shipped, "unicode"))

    run(scenario())


def test_the_shipped_file_is_what_the_code_makes() -> None:
    """To the letter, so that it can be made again: write what this compares with."""

    async def scenario() -> None:
        with_nobody = cast(Bus, None)
        interface = agent_interface(with_nobody, FakeAgent(), AgentProperties(with_nobody, ""))
        assert introspection((interface,), ()) == SHIPPED.read_text(encoding="utf-8")

    run(scenario())


def test_signals_reach_whoever_connects_later(address: str) -> None:
    async def scenario() -> None:
        async with heard(address) as (face, _client, _ear), connected(address) as late:
            ear = Ear()
            await late.subscribe(Match(AT_PROPERTIES, "PropertiesChanged", "sa{sv}as", AGENT.interface), ear.changed)
            face.show({**DOCUMENT, "state": "paused"})
            await until(lambda: bool(ear.changes))
            assert ear.changes == [({"State": "paused"}, ("Document",))]

    run(scenario())
