"""Attacks of a local user on a service: long messages, floods, unread replies. Other callers are not affected."""

# What must not grow is inside of the connection, and dbus-next has no annotations.
# pyright: reportPrivateUsage=false, reportPrivateImportUsage=false, reportUnknownMemberType=false
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from tests.fakes.asyncs import run, until
from tests.fakes.bus_agent import FakeAgent, served
from tests.fakes.private_bus import PrivateBus, connected, settle, two
from tidegate.agent_api.client import AGENT, ask_agent
from tidegate.bus import connection
from tidegate.bus.bus import Bus
from tidegate.bus.call_limits import MAX_CALLS_OF_A_USER, MAX_CALLS_OF_ONE
from tidegate.bus.channel import MessageChannel
from tidegate.bus.connection import dbus_next
from tidegate.bus.errors import INVALID_ARGS, LIMITS_EXCEEDED, CallFailed
from tidegate.bus.framing import MAX_MESSAGE_BYTES, Frame
from tidegate.bus.interface import Caller, Interface, Method
from tidegate.bus.message import Endpoint, Kind, Message, Typed
from tidegate.errors import ErrorKind, TidegateError

WILD = 4321
FLOOD = 1_000
PROMPT_SECS = 10.0  # a call that stalls has no answer for 25 s
"""What somebody else may wait meanwhile; it takes milliseconds on a quiet machine."""


@asynccontextmanager
async def agent_and_others(
    address: str, monkeypatch: pytest.MonkeyPatch, uid: int = WILD
) -> AsyncGenerator[tuple[FakeAgent, Bus, Bus]]:
    """The agent, its own connection, and one of somebody else who is root. All other callers are ``uid``."""
    async with two(address) as (server, root):

        async def identify(_bus: Bus, sender: str) -> Caller:
            await asyncio.sleep(0)
            return Caller(sender, 0 if sender == root.unique_name else uid, os.getpid())

        monkeypatch.setattr(server._server._callers, "_ask", lambda sender: identify(server, sender))
        behind = FakeAgent()
        await served(server, behind)
        yield behind, server, root


async def fails(bus: Bus, member: str, signature: str, *args: object) -> str:
    with pytest.raises(CallFailed) as caught:
        await bus.call(AGENT, member, signature, *args, returns="s")
    return caught.value.error_name


@pytest.mark.parametrize("size_bytes", [MAX_MESSAGE_BYTES, 1_000_000])
def test_a_call_that_is_too_long_is_refused_unread_and_the_next_one_is_served(
    daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch, size_bytes: int
) -> None:
    async def scenario() -> None:
        async with agent_and_others(daemon.address, monkeypatch) as (behind, server, root):
            assert await fails(root, "Resume", "s", "x" * size_bytes) == LIMITS_EXCEEDED
            assert await fails(root, "Resume", "a(ys)", [(1, "x" * 100)] * (size_bytes // 100)) == LIMITS_EXCEEDED
            assert await root.call(AGENT, "Resume", "s", "x" * (MAX_MESSAGE_BYTES - 300), returns="s") == ("on it",)
            assert server.connected
            assert len(behind.asked) == 1

    run(scenario())


def test_who_asks_is_told_when_the_answer_is_too_long(address: str) -> None:
    async def long(_caller: Caller) -> tuple[object, ...]:
        return ("x" * 5_000_000,)

    async def scenario() -> None:
        at = Endpoint("org.example.Long", "/long", "org.example.Long")
        async with two(address) as (server, client):
            server.export(at.path, Interface(at.interface, (Method("Say", long, returns={"what": "s"}),)))
            await server.request_name(at.destination)
            with pytest.raises(CallFailed) as caught:
                await client.call(at, "Say", returns="s")
            assert caught.value.error_name == LIMITS_EXCEEDED
            assert client.connected

    run(scenario())


@pytest.mark.parametrize(
    ("signature", "args"),
    [("", ()), ("u", (1,)), ("ss", ("a", "b")), ("v", (Typed("v", Typed("s", "x")),)), ("as", (["x"] * 1000,))],
)
def test_wrong_types_are_wrong_arguments(
    daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch, signature: str, args: tuple[object, ...]
) -> None:
    async def scenario() -> None:
        async with agent_and_others(daemon.address, monkeypatch) as (behind, _server, root):
            assert await fails(root, "Resume", signature, *args) == INVALID_ARGS
            assert behind.asked == []

    run(scenario())


def test_signatures_that_callers_make_up_are_not_kept(daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MAX_SIGNATURES", 20)

    async def scenario() -> None:
        async with agent_and_others(daemon.address, monkeypatch) as (_behind, _server, root):
            for number in range(60):
                signature = f"{number:b}".replace("0", "y").replace("1", "q")
                assert await fails(root, "Resume", signature, *(1 for _ in signature)) == INVALID_ARGS
            assert len(dbus_next.SignatureTree._cache) <= 30

    run(scenario(), deadline_secs=30)


def test_a_flood_of_calls_stalls_nobody_and_costs_no_memory(
    daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with agent_and_others(daemon.address, monkeypatch) as (behind, server, root):
            behind.open.clear()
            link = await MessageChannel.open(daemon.address)
            answers: list[str] = []
            link.listen(lambda message: answers.append(message.error_name), lambda: None)
            explain = Message(Kind.CALL, AGENT.destination, AGENT.path, AGENT.interface, "Explain")
            for number in range(FLOOD):
                link.send(explain)
                if number % 100 == 0:
                    began = time.monotonic()
                    await root.get_property(AGENT, "State", "s")
                    assert time.monotonic() - began < PROMPT_SECS
                    assert len(server._server._running) <= MAX_CALLS_OF_ONE + 1
            # The daemon itself refuses what is too much for it.
            await until(lambda: answers.count(LIMITS_EXCEEDED) >= FLOOD - MAX_CALLS_OF_ONE)
            behind.open.set()
            await until(lambda: len([name for name in answers if not name]) >= MAX_CALLS_OF_ONE)
            assert behind.explained <= 3
            await link.close()

    run(scenario(), deadline_secs=60)


def test_one_user_with_many_connections_leaves_room_for_others(
    daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with agent_and_others(daemon.address, monkeypatch) as (behind, _server, root), AsyncExitStack() as stack:
            behind.open.clear()
            wild = [await stack.enter_async_context(connected(daemon.address)) for _ in range(8)]
            calls = [asyncio.ensure_future(bus.call(AGENT, "Explain", returns="s")) for bus in wild for _ in range(15)]
            await until(lambda: sum(call.done() for call in calls) == len(calls) - MAX_CALLS_OF_A_USER)
            asking = asyncio.ensure_future(root.call(AGENT, "Check", returns="s"))
            await until(lambda: behind.waiting == 1)
            behind.open.set()
            assert await asking == ("on it",)
            results = await asyncio.gather(*calls, return_exceptions=True)
            refused = [one for one in results if isinstance(one, CallFailed)]
            assert {one.error_name for one in refused} == {LIMITS_EXCEEDED}
            assert len(refused) == len(calls) - MAX_CALLS_OF_A_USER

    run(scenario(), deadline_secs=30)


def test_who_is_turned_away_is_told_to_come_again(daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", daemon.address)

    async def scenario() -> None:
        async with agent_and_others(daemon.address, monkeypatch) as (_behind, server, _root):
            monkeypatch.setattr(server._server._call_limits, "acquire", lambda _sender, _uid: False)
            with pytest.raises(TidegateError) as caught:
                await ask_agent("Explain", 5.0)
            assert (caught.value.kind, caught.value.remedy) == (ErrorKind.AGENT_BUSY, "try again in a moment")

    run(scenario())


def raw(address: str) -> socket.socket:
    """A connection that has said hello; whoever has it need not read."""
    channel = socket.socket(socket.AF_UNIX)
    channel.connect(address.partition("path=")[2].partition(",")[0])
    channel.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
    assert channel.recv(1000).startswith(b"OK")
    hello = Message(Kind.CALL, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello")
    channel.sendall(b"BEGIN\r\n" + wire(hello, 1))
    assert channel.recv(1000)
    return channel


def wire(call: Message, serial: int) -> bytes:
    """A call without arguments, as bytes."""
    return bytes(
        dbus_next.Message(
            destination=call.destination,
            path=call.path,
            interface=call.interface,
            member=call.member,
            serial=serial,
        )._marshall()
    )


def test_who_never_reads_an_answer_stalls_nobody(daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with agent_and_others(daemon.address, monkeypatch) as (_behind, server, root):
            half_open = [raw(daemon.address) for _ in range(4)]
            explain = Message(Kind.CALL, AGENT.destination, AGENT.path, AGENT.interface, "Explain")
            calls = b"".join(wire(explain, serial) for serial in range(2, 502))
            for channel in half_open:
                channel.setblocking(False)
                channel.send(calls)
            for _ in range(20):
                began = time.monotonic()
                assert await root.call(AGENT, "Check", returns="s") == ("on it",)
                assert time.monotonic() - began < PROMPT_SECS
            for channel in half_open:
                channel.close()
            await until(lambda: not server._server._running)
            assert server._server._call_limits._all == 0

    run(scenario(), deadline_secs=30)


def test_a_daemon_that_takes_nothing_is_not_fed_for_ever(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stops when callers who never read fill its limits; then nothing more is read, and signals are lost."""

    monkeypatch.setattr(connection, "MAX_UNSENT", 50)

    async def scenario() -> None:
        async with two(address) as (server, client):
            writer = server._channel._connection._writer
            server._channel._connection._loop.remove_writer(server._channel._connection._fd)
            original = writer.write_callback
            monkeypatch.setattr(writer, "write_callback", lambda: None)
            for number in range(150):
                server.emit(Endpoint("", "/x", "org.example.X"), "Noise", "u", (number,))
            assert writer.messages.qsize() == 50
            waiting = asyncio.ensure_future(
                client.call(Endpoint(server.unique_name, "/", "org.freedesktop.DBus.Peer"), "Ping")
            )
            await settle(client)
            assert not waiting.done()
            monkeypatch.setattr(writer, "write_callback", original)
            writer.loop.add_writer(writer.fd, original)
            with pytest.raises(CallFailed):
                await waiting
            assert not server._channel._connection.is_congested

    run(scenario(), deadline_secs=30)


def test_a_message_that_cannot_be_read_is_passed_over(daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with agent_and_others(daemon.address, monkeypatch) as (_behind, server, root):
            incoming = server._channel._connection
            of_no_type, of_an_unknown_type = b"l\0\0\1" + bytes(12), b"l\x09\0\1" + bytes(12)
            for nonsense in (b"", b"l", of_no_type, of_an_unknown_type, b"l\1\0\1" + bytes(12)):
                incoming._dispatch(Frame(nonsense))
            assert await root.get_property(AGENT, "State", "s") == "staged"
            assert server.connected

    run(scenario())


def test_a_socket_that_is_full_for_a_moment_is_no_end(address: str) -> None:
    """More at once than the socket to the daemon takes; dbus-next 0.2.3 takes that for a broken connection."""

    async def scenario() -> None:
        async with two(address) as (server, client):
            for _ in range(300):
                server.emit(Endpoint("", "/x", "org.example.X"), "Noise", "s", ("x" * 10_000,))
            await settle(server, client)
            assert server.connected

    run(scenario())
