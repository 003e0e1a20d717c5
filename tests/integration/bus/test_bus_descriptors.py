"""File descriptors: they arrive open, and unused ones are closed."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager

import pytest

from tests.fakes.asyncs import run
from tests.fakes.private_bus import PrivateBus, settle, two
from tidegate.bus.bus import Bus
from tidegate.bus.errors import CallFailed
from tidegate.bus.interface import Caller, Interface, Method, Property
from tidegate.bus.message import Endpoint, Typed

PIPES = Endpoint("org.example.Pipes", "/org/example/pipes", "org.example.Pipes")
FLOOD = 5


@contextmanager
def pipe() -> Generator[tuple[int, int]]:
    """Both ends of a pipe."""
    ends = os.pipe()
    try:
        yield ends
    finally:
        for end in ends:
            os.close(end)


async def serve_pipes(bus: Bus, end: int) -> None:
    """Give ``end`` to whoever asks."""

    async def take(_caller: Caller) -> tuple[object, ...]:
        return (Typed("(sh)", ("the end", end)),)

    async def give(_caller: Caller, _name: str) -> tuple[object, ...]:
        return ()

    methods = (
        Method("Take", take, returns={"what": "v"}),
        Method("Give", give, takes={"name": "s"}),
    )
    bus.export(PIPES.path, Interface(PIPES.interface, methods, (Property("End", "h", lambda: end),)))
    await bus.request_name(PIPES.destination)


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - only how many


def test_a_descriptor_arrives_open(daemon: PrivateBus) -> None:
    async def scenario() -> None:
        with pipe() as (reading, writing):
            async with two(daemon.address) as (server, client):
                await serve_pipes(server, writing)
                (what,) = await client.call(PIPES, "Take", returns="v")
                match what:
                    case ("the end", int(end)):
                        os.write(end, b"through")
                        os.close(end)
                    case _:
                        pytest.fail(f"got {what!r}")
            assert os.read(reading, 100) == b"through"

    run(scenario())


def test_those_that_nobody_takes_are_closed(daemon: PrivateBus) -> None:
    """A local user may send us as many as they like."""

    async def scenario() -> None:
        with pipe() as (_reading, writing):
            async with two(daemon.address) as (server, client):
                await serve_pipes(server, writing)
                await client.call(PIPES, "Give", "s", "x")
                before = open_descriptors()
                for _again in range(FLOOD):
                    with pytest.raises(CallFailed):  # of another type than the method takes
                        await client.call(PIPES, "Give", "h", writing)
                    to_server = Endpoint(server.unique_name, PIPES.path, PIPES.interface)
                    client.emit(to_server, "Given", "h", (writing,))
                    with pytest.raises(CallFailed):  # the answer is of another type than was asked for
                        await client.call(PIPES, "Take", returns="s")
                    with pytest.raises(CallFailed):
                        await client.get_property(PIPES, "End", "s")
                await settle(client, server)
                assert open_descriptors() == before

    run(scenario())
