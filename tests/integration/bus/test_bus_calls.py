"""Calls from one connection to another over a real daemon: values, deadlines, peers that die."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable

import pytest

from tests.fakes.private_bus import private_bus, settle, two
from tidegate.bus import errors
from tidegate.bus.bus import DBUS, Bus
from tidegate.bus.errors import CallFailed
from tidegate.bus.interface import Caller, Interface, Method
from tidegate.bus.message import Endpoint, Typed
from tidegate.errors import ErrorKind, TidegateError

NAME = "org.example.Service1"
SERVICE = Endpoint(NAME, "/org/example/Service1", NAME)


EVERY_TYPE = "(bynqiuxtdsog)ayas(sa(ib))va{sv}"


class Service:
    """What the tests call."""

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.waiting = 0

    @property
    def interface(self) -> Interface:
        return Interface(
            NAME,
            methods=(
                Method("Echo", self.echo, takes={"all": EVERY_TYPE}, returns={"all": EVERY_TYPE}),
                Method("Who", self.who, returns={"uid": "u"}),
                Method("Wait", self.wait),
            ),
        )

    async def echo(self, _caller: Caller, *values: object) -> tuple[object, ...]:
        """Variants come in unwrapped, and go out with a signature again."""
        *others, variant, variants = values
        return (*others, Typed("s", variant), {"list": Typed("as", ("x", "y")), "got": Typed("s", repr(variants))})

    async def who(self, caller: Caller) -> tuple[object, ...]:
        return (caller.uid,)

    async def wait(self, _caller: Caller) -> tuple[object, ...]:
        self.waiting += 1
        await self.release.wait()
        return ()


def run(address: str, scenario: Callable[[Bus, Bus, Service], Awaitable[None]]) -> None:
    async def main() -> None:
        async with two(address) as (server, client):
            service = Service()
            server.export(SERVICE.path, service.interface)
            await server.request_name(NAME)
            await scenario(server, client, service)

    asyncio.run(main())


def test_every_type_goes_there_and_back(address: str) -> None:
    numbers = (True, 255, -2, 65535, -3, 4_000_000_000, -5, 2**64 - 1, 1.5, "söme text", "/a/path", "a{sv}")
    arrays = (b"\0\xff", ("one", "two"), ("deep", ((1, True), (2, False))))
    variants = {"nested": Typed("v", Typed("(ii)", (1, 2)))}

    async def scenario(_server: Bus, client: Bus, _service: Service) -> None:
        values = (numbers, *arrays, Typed("s", "end"), variants)
        got = await client.call(SERVICE, "Echo", EVERY_TYPE, *values, returns=EVERY_TYPE)
        assert got == (numbers, *arrays, "end", {"list": ("x", "y"), "got": "{'nested': (1, 2)}"})

    run(address, scenario)


def test_an_answer_of_another_type_is_an_error(address: str) -> None:
    async def scenario(_server: Bus, client: Bus, _service: Service) -> None:
        with pytest.raises(CallFailed, match="'u', not 's'") as caught:
            await client.call(SERVICE, "Who", returns="s")
        assert caught.value.error_name == errors.INVALID_SIGNATURE

    run(address, scenario)


def test_a_slow_service_is_given_up_and_its_late_answer_ignored(address: str) -> None:
    async def scenario(_server: Bus, client: Bus, service: Service) -> None:
        with pytest.raises(TidegateError, match=r"no answer within 0.05 s") as caught:
            await client.call(SERVICE, "Wait", timeout_secs=0.05)
        assert caught.value.kind is ErrorKind.BUS_TIMEOUT
        service.release.set()
        await settle(client)
        assert await client.call(SERVICE, "Who", returns="u") == (os.getuid(),)

    run(address, scenario)


def test_a_cancelled_call_leaves_the_connection_usable(address: str) -> None:
    async def scenario(_server: Bus, client: Bus, service: Service) -> None:
        waiting = asyncio.create_task(client.call(SERVICE, "Wait"))
        while not service.waiting:
            await settle(client)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        service.release.set()
        assert await client.call(SERVICE, "Who", returns="u") == (os.getuid(),)

    run(address, scenario)


def test_a_peer_that_dies_over_the_call_is_no_reply(address: str) -> None:
    async def scenario(server: Bus, client: Bus, service: Service) -> None:
        waiting = asyncio.create_task(client.call(SERVICE, "Wait"))
        while not service.waiting:
            await settle(client)
        await server.close()
        with pytest.raises(CallFailed) as caught:
            await waiting
        assert caught.value.error_name in errors.ABSENT

    run(address, scenario)


def test_a_caller_that_dies_leaves_the_service_well(address: str) -> None:
    async def scenario(server: Bus, client: Bus, service: Service) -> None:
        dying = await Bus.connect(address)
        waiting = asyncio.create_task(dying.call(SERVICE, "Wait"))
        while not service.waiting:
            await settle(client)
        await dying.close()
        with pytest.raises(TidegateError):
            await waiting
        service.release.set()
        await server.finish_calls(5)
        assert await client.call(SERVICE, "Who", returns="u") == (os.getuid(),)

    run(address, scenario)


def test_a_text_that_dbus_cannot_carry_is_cleaned(address: str) -> None:
    async def scenario(_server: Bus, client: Bus, _service: Service) -> None:
        with pytest.raises(CallFailed, match="GetNameOwner"):
            await client.call(DBUS, "GetNameOwner", "s", "a\0b\udcff", returns="s")
        assert client.connected

    run(address, scenario)


def test_a_call_ends_with_the_bus() -> None:
    async def main() -> None:
        with private_bus() as daemon:
            async with two(daemon.address) as (server, client):
                service = Service()
                server.export(SERVICE.path, service.interface)
                await server.request_name(NAME)
                waiting = asyncio.create_task(client.call(SERVICE, "Wait", timeout_secs=60))
                while not service.waiting:
                    await settle(client)
                daemon.kill()
                with pytest.raises(TidegateError) as caught:
                    await asyncio.wait_for(waiting, 5)
                assert caught.value.kind is ErrorKind.BUS_UNREACHABLE
                await asyncio.wait_for(client.closed.wait(), 5)
                with pytest.raises(TidegateError) as caught:
                    await client.call(SERVICE, "Who", returns="u")
                assert caught.value.kind is ErrorKind.BUS_UNREACHABLE
                assert not client.connected
                client.emit(SERVICE, "Lost", "", ())

    asyncio.run(main())


def test_no_daemon_is_said(tmp_path_factory: pytest.TempPathFactory) -> None:
    nowhere = tmp_path_factory.mktemp("no") / "bus"
    with pytest.raises(TidegateError, match=f"cannot connect to the bus at unix:path={nowhere}") as caught:
        asyncio.run(Bus.connect(f"unix:path={nowhere}"))
    assert caught.value.kind is ErrorKind.BUS_UNREACHABLE


@pytest.mark.parametrize("address", ["", "nonsense", "tcp:host=127.0.0.1", "unix:tmpdir=/tmp"])
def test_an_address_without_sense_is_said(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address or "unix:")
    with pytest.raises(TidegateError) as caught:
        asyncio.run(Bus.connect(address or None))
    assert caught.value.kind is ErrorKind.BUS_UNREACHABLE


@pytest.mark.parametrize("says", [b"", b"OK 1234\r\n", b"REJECTED EXTERNAL\r\n", b"rubbish"])
def test_a_daemon_that_hangs_up_early_is_said(says: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = str(tmp_path_factory.mktemp("d") / "bus")

    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(says)
        writer.close()
        await writer.wait_closed()

    async def main() -> None:
        async with await asyncio.start_unix_server(hang_up, path):
            with pytest.raises(TidegateError) as caught:
                await asyncio.wait_for(Bus.connect(f"unix:path={path}"), 4)
            assert caught.value.kind is ErrorKind.BUS_UNREACHABLE

    asyncio.run(main())
