"""Signals: only from verified senders, and to every subscriber."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from tests.fakes.asyncs import run, until
from tests.fakes.private_bus import PrivateBus
from tidegate.bus.bus import DBUS, Bus, Exported
from tidegate.bus.interface import Interface, Signal
from tidegate.bus.message import Emission, Endpoint, Match

CLOCK = Endpoint("org.example.Clock", "/org/example/clock", "org.example.Clock")
STRUCK = Match(CLOCK, "Struck", "s")
INTERFACE = Interface(CLOCK.interface, signals=(Signal("Struck", {"hour": "s"}), Signal("Stopped")))


class Ears:
    """Keeps what was heard."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def __call__(self, emission: Emission) -> None:
        self.heard.append(emission.args[0])


async def clock_on(bus: Bus) -> Exported:
    """Be the clock."""
    clock = bus.export(CLOCK.path, INTERFACE)
    await bus.request_name(CLOCK.destination)
    return clock


@asynccontextmanager
async def connections(daemon: PrivateBus, count: int) -> AsyncGenerator[list[Bus]]:
    """Several connections to one bus."""
    buses = [await Bus.connect(daemon.address) for _ in range(count)]
    try:
        yield buses
    finally:
        for bus in buses:
            await bus.close()


async def caught_up(bus: Bus) -> None:
    """A round trip: what was sent to ``bus`` before is there."""
    await bus.call(DBUS, "GetId", returns="s")


def test_signals_arrive_until_unsubscribed(daemon: PrivateBus) -> None:
    async def scenario() -> None:
        async with connections(daemon, 2) as (server, client):
            clock, first, second = await clock_on(server), Ears(), Ears()
            unsubscribe = await client.subscribe(STRUCK, first)
            await client.subscribe(STRUCK, second)
            clock.emit("Struck", "one")
            await until(lambda: first.heard == ["one"])
            unsubscribe()
            unsubscribe()
            clock.emit("Struck", "two")
            await until(lambda: second.heard == ["one", "two"])
            assert first.heard == ["one"]

    run(scenario())


def test_only_what_was_asked_for(daemon: PrivateBus) -> None:
    async def scenario() -> None:
        async with connections(daemon, 2) as (server, client):
            clock, ears, noon = await clock_on(server), Ears(), Ears()
            await client.subscribe(STRUCK, ears)
            await client.subscribe(Match(CLOCK, "Struck", "s", arg0="noon"), noon)
            server.emit(Endpoint("", "/elsewhere", CLOCK.interface), "Struck", "s", ("another object",))
            server.emit(Endpoint("", CLOCK.path, CLOCK.interface), "Struck", "u", (1,))
            clock.emit("Stopped")
            clock.emit("Struck", "noon")
            clock.emit("Struck", "one")
            await until(lambda: ears.heard == ["noon", "one"])
            assert noon.heard == ["noon"]

    run(scenario())


def test_a_stranger_is_not_believed(daemon: PrivateBus) -> None:
    """The daemon delivers what is sent to us directly, whatever we asked for."""

    async def scenario() -> None:
        async with connections(daemon, 3) as (server, client, stranger):
            clock, ears = await clock_on(server), Ears()
            await client.subscribe(STRUCK, ears)
            for to in ("", client.unique_name):
                stranger.emit(Endpoint(to, CLOCK.path, CLOCK.interface), "Struck", "s", ("doom",))
            await caught_up(stranger)
            await caught_up(client)
            clock.emit("Struck", "one")
            await until(lambda: bool(ears.heard))
            assert ears.heard == ["one"]

    run(scenario())


def test_nobody_forges_a_change_of_owner(daemon: PrivateBus) -> None:
    async def scenario() -> None:
        async with connections(daemon, 3) as (server, client, stranger):
            await clock_on(server)
            ears = Ears()
            await client.subscribe(STRUCK, ears)
            changed = (CLOCK.destination, server.unique_name, stranger.unique_name)
            to_client = Endpoint(client.unique_name, DBUS.path, DBUS.interface)
            stranger.emit(to_client, "NameOwnerChanged", "sss", changed)
            stranger.emit(Endpoint(client.unique_name, CLOCK.path, CLOCK.interface), "Struck", "s", ("doom",))
            await caught_up(stranger)
            await caught_up(client)
            assert ears.heard == []

    run(scenario())


def test_a_service_that_starts_later_and_again_is_heard(daemon: PrivateBus) -> None:
    async def scenario() -> None:
        async with connections(daemon, 1) as (client,):
            ears = Ears()
            await client.subscribe(STRUCK, ears)

            async def strike(hour: str) -> None:
                async with connections(daemon, 1) as (server,):
                    (await clock_on(server)).emit("Struck", hour)
                    await until(lambda: hour in ears.heard)

            await strike("one")
            await strike("two")
            assert ears.heard == ["one", "two"]

    run(scenario())


def test_owners_are_watched(daemon: PrivateBus) -> None:
    async def scenario() -> None:
        async with connections(daemon, 2) as (server, client):
            changes: list[tuple[str, str]] = []
            unwatch = await client.watch_owner(CLOCK.destination, lambda old, new: changes.append((old, new)))
            await server.request_name(CLOCK.destination)
            await server.release_name(CLOCK.destination)
            await until(lambda: len(changes) == 2)
            assert changes == [("", server.unique_name), (server.unique_name, "")]
            unwatch()
            await server.request_name(CLOCK.destination)
            await caught_up(client)
            assert len(changes) == 2

    run(scenario())


def test_a_subscribers_defect_hits_nobody_else(daemon: PrivateBus, caplog: pytest.LogCaptureFixture) -> None:
    def broken(_emission: Emission) -> None:
        raise ZeroDivisionError

    async def scenario() -> None:
        async with connections(daemon, 2) as (server, client):
            clock, ears = await clock_on(server), Ears()
            await client.subscribe(STRUCK, broken)
            await client.subscribe(STRUCK, ears)
            clock.emit("Struck", "one")
            await until(lambda: ears.heard == ["one"])
            assert client.connected

    with caplog.at_level(logging.ERROR):
        run(scenario())
    assert "org.example.Clock.Struck" in caplog.text
    assert "ZeroDivisionError" in caplog.text
