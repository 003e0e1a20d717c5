"""Calls from one connection to another over a real daemon: values, errors, limits."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable

import pytest

from tests.fakes.private_bus import private_bus, settle, two
from tidegate.dbus import errors
from tidegate.dbus.bus import DBUS, Bus
from tidegate.dbus.errors import CallFailed, ErrorReply
from tidegate.dbus.interface import Caller, Interface, Method, Property
from tidegate.dbus.match import Endpoint
from tidegate.dbus.message import Typed
from tidegate.dbus.server import MAX_CALLS_OF_ONE
from tidegate.errors import ErrorKind, TidegateError

NAME = "org.example.Service1"
SERVICE = Endpoint(NAME, "/org/example/Service1", NAME)

Scenario = Callable[[Bus, Bus], Awaitable[None]]


class Service:
    """What the tests call."""

    def __init__(self) -> None:
        self.callers: list[Caller] = []
        self.release = asyncio.Event()
        self.waiting = 0

    @property
    def interface(self) -> Interface:
        every = "(bynqiuxtdsog)a{sv}ayas(sa(ib))v"
        return Interface(
            NAME,
            methods=(
                Method("Echo", self.echo, takes={"all": every}, returns={"all": every}),
                Method("Who", self.who, returns={"uid": "u"}),
                Method("Refuse", self.refuse),
                Method("Fail", self.fail),
                Method("Break", self.break_down),
                Method("Lie", self.lie, returns={"number": "u"}),
                Method("Wait", self.wait),
            ),
            properties=(Property("Colour", "s", lambda: "green"), Property("Broken", "s", lambda: 1 // 0)),
            admit=self.admit,
        )

    async def admit(self, caller: Caller) -> None:
        self.callers.append(caller)

    async def echo(self, _caller: Caller, *values: object) -> tuple[object, ...]:
        *others, variant = values
        return (*others, Typed("s", variant))

    async def who(self, caller: Caller) -> tuple[object, ...]:
        return (caller.uid,)

    async def refuse(self, _caller: Caller) -> tuple[object, ...]:
        raise ErrorReply(errors.ACCESS_DENIED, "not you")

    async def fail(self, _caller: Caller) -> tuple[object, ...]:
        raise TidegateError(ErrorKind.ENGINE_NO_SPACE, "12 bytes are \0 missing", "make room")

    async def break_down(self, _caller: Caller) -> tuple[object, ...]:
        raise RuntimeError("secret detail")

    async def lie(self, _caller: Caller) -> tuple[object, ...]:
        return ("no number",)

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
    variants = {"list": Typed("as", ("x", "y")), "nested": Typed("v", Typed("(ii)", (1, 2)))}

    async def scenario(_server: Bus, client: Bus, _service: Service) -> None:
        values = (numbers, variants, b"\0\xff", ("one", "two"), ("deep", ((1, True), (2, False))), Typed("s", "end"))
        signature = "(bynqiuxtdsog)a{sv}ayas(sa(ib))v"
        got = await client.call(SERVICE, "Echo", signature, *values, returns=signature)
        assert got[0] == numbers
        assert got[2:] == (b"\0\xff", ("one", "two"), ("deep", ((1, True), (2, False))), "end")

    # a{sv} comes back from the handler unwrapped, so it is sent empty
    variants.clear()
    run(address, scenario)


def test_the_caller_is_who_the_daemon_says(address: str) -> None:
    async def scenario(_server: Bus, client: Bus, service: Service) -> None:
        assert await client.call(SERVICE, "Who", returns="u") == (os.getuid(),)
        assert service.callers == [Caller(client.unique_name, os.getuid(), os.getpid())]

    run(address, scenario)


def test_an_error_of_ours_arrives_as_it_was_raised(address: str) -> None:
    async def scenario(_server: Bus, client: Bus, _service: Service) -> None:
        with pytest.raises(TidegateError) as caught:
            await client.call(SERVICE, "Fail")
        error = caught.value
        assert (error.kind, error.remedy) == (ErrorKind.ENGINE_NO_SPACE, "make room")
        assert error.message.startswith("12 bytes are ")

    run(address, scenario)


def test_a_standard_error_keeps_its_name(address: str) -> None:
    async def scenario(_server: Bus, client: Bus, _service: Service) -> None:
        with pytest.raises(CallFailed, match=r"org.example.Service1 Refuse: not you \(AccessDenied\)") as caught:
            await client.call(SERVICE, "Refuse")
        assert caught.value.error_name == errors.ACCESS_DENIED
        assert caught.value.kind is ErrorKind.BUS_CALL_FAILED

    run(address, scenario)


@pytest.mark.parametrize("member", ["Break", "Lie"])
def test_a_defect_is_in_the_journal_and_not_in_the_answer(
    address: str, member: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(_server: Bus, client: Bus, _service: Service) -> None:
        with pytest.raises(CallFailed) as caught:
            await client.call(SERVICE, member, returns="u" if member == "Lie" else "")
        assert caught.value.error_name == errors.INTERNAL
        assert "secret" not in str(caught.value)
        assert "Traceback" not in str(caught.value)
        assert await client.call(SERVICE, "Who", returns="u") == (os.getuid(),)

    with caplog.at_level(logging.ERROR):
        run(address, scenario)
    assert [record.exc_info is not None for record in caplog.records] == [True]


@pytest.mark.parametrize(
    ("endpoint", "member", "signature", "args", "error_name"),
    [
        (Endpoint(NAME, "/nowhere", NAME), "Who", "", (), errors.UNKNOWN_OBJECT),
        (Endpoint(NAME, SERVICE.path, "org.example.Other"), "Who", "", (), errors.UNKNOWN_INTERFACE),
        (SERVICE, "Nonsense", "", (), errors.UNKNOWN_METHOD),
        (SERVICE, "Who", "s", ("too much",), errors.INVALID_ARGS),
        (Endpoint("org.example.Nobody", "/", NAME), "Who", "", (), "org.freedesktop.DBus.Error.ServiceUnknown"),
    ],
)
def test_what_is_not_there_is_said_by_name(
    address: str, endpoint: Endpoint, member: str, signature: str, args: tuple[str, ...], error_name: str
) -> None:
    async def scenario(_server: Bus, client: Bus, _service: Service) -> None:
        with pytest.raises(CallFailed) as caught:
            await client.call(endpoint, member, signature, *args)
        assert caught.value.error_name == error_name

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


def test_a_slow_handler_holds_nobody_else(address: str) -> None:
    async def scenario(_server: Bus, client: Bus, service: Service) -> None:
        waiting = asyncio.create_task(client.call(SERVICE, "Wait"))
        assert await client.call(SERVICE, "Who", returns="u") == (os.getuid(),)
        assert not waiting.done()
        service.release.set()
        assert await waiting == ()

    run(address, scenario)


def test_a_flood_is_refused_and_others_are_served(address: str) -> None:
    async def scenario(_server: Bus, client: Bus, service: Service) -> None:
        flood = [asyncio.create_task(client.call(SERVICE, "Wait")) for _ in range(200)]
        while service.waiting < MAX_CALLS_OF_ONE:
            await settle(client)
        other = await Bus.connect(address)
        assert await other.call(SERVICE, "Who", returns="u") == (os.getuid(),)
        await other.close()
        service.release.set()
        came = await asyncio.gather(*flood, return_exceptions=True)
        refused = [answer.error_name for answer in came if isinstance(answer, CallFailed)]
        assert len(refused) == 200 - MAX_CALLS_OF_ONE
        assert set(refused) == {errors.LIMITS_EXCEEDED}
        assert service.waiting == MAX_CALLS_OF_ONE

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


def test_properties_are_read_with_their_type_and_never_written(address: str) -> None:
    properties = Endpoint(NAME, SERVICE.path, "org.freedesktop.DBus.Properties")

    async def scenario(_server: Bus, client: Bus, _service: Service) -> None:
        assert await client.get_property(SERVICE, "Colour", "s") == "green"
        with pytest.raises(CallFailed, match="'s', not 'u'"):
            await client.get_property(SERVICE, "Colour", "u")
        with pytest.raises(CallFailed) as caught:
            await client.get_property(SERVICE, "Smell", "s")
        assert caught.value.error_name == errors.UNKNOWN_PROPERTY
        with pytest.raises(CallFailed) as caught:
            await client.call(properties, "Set", "ssv", NAME, "Colour", Typed("s", "red"))
        assert caught.value.error_name == errors.PROPERTY_READ_ONLY

    run(address, scenario)


def test_everything_is_there_for_other_tools(address: str) -> None:
    def standard(interface: str, path: str = SERVICE.path) -> Endpoint:
        return Endpoint(NAME, path, f"org.freedesktop.DBus.{interface}")

    async def scenario(_server: Bus, client: Bus, _service: Service) -> None:
        (document,) = await client.call(standard("Introspectable"), "Introspect", returns="s")
        assert f'<interface name="{NAME}">' in str(document)
        assert '<arg name="uid" type="u" direction="out"/>' in str(document)
        (document,) = await client.call(standard("Introspectable", "/org"), "Introspect", returns="s")
        assert '<node name="example"/>' in str(document)
        assert await client.call(standard("Peer"), "Ping") == ()

    run(address, scenario)


def test_a_text_that_dbus_cannot_carry_is_cleaned(address: str) -> None:
    async def scenario(_server: Bus, client: Bus, _service: Service) -> None:
        with pytest.raises(CallFailed, match="GetNameOwner"):
            await client.call(DBUS, "GetNameOwner", "s", "a\0b\udcff", returns="s")
        assert client.connected

    run(address, scenario)


def test_a_name_is_owned_by_one(address: str) -> None:
    async def scenario(server: Bus, client: Bus, _service: Service) -> None:
        await server.request_name(NAME)
        with pytest.raises(TidegateError, match="belongs to another process"):
            await client.request_name(NAME)
        assert await client.has_owner(NAME)
        await server.release_name(NAME)
        assert not await client.has_owner(NAME)
        await client.request_name(NAME)

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
