"""Exported objects: the identity of callers, refusals and their form, and what is not disclosed to callers."""

from __future__ import annotations

import asyncio
import logging
import os
import xml.etree.ElementTree as ET
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from tests.fakes.asyncs import run, until
from tests.fakes.private_bus import PrivateBus
from tidegate.bus import errors
from tidegate.bus.bus import Bus, Exported
from tidegate.bus.call_limits import MAX_CALLS_OF_ONE
from tidegate.bus.channel import MessageChannel
from tidegate.bus.errors import CallFailed, ErrorReply
from tidegate.bus.interface import Caller, Interface, Method, Property, Signal
from tidegate.bus.message import Endpoint, Kind, Match, Message, Typed
from tidegate.bus.server import INTROSPECTABLE, PEER, PROPERTIES
from tidegate.errors import ErrorKind, TidegateError

DOOR = Endpoint("org.example.Door", "/org/example/house/door", "org.example.Door")


class Door:
    """A door that only the admitted may knock at."""

    def __init__(self) -> None:
        self.callers: list[Caller] = []
        self.error: Exception | None = None
        self.hold = asyncio.Event()
        self.waiting = 0
        self.admits = True

    @property
    def interface(self) -> Interface:
        return Interface(
            DOOR.interface,
            methods=(
                Method("Knock", self._knock, takes={"times": "u", "how": "s"}, returns={"answer": "s"}),
                Method("Wait", self._wait),
            ),
            properties=(Property("Open", "b", lambda: False), Property("Handles", "as", lambda: ("in", "out"))),
            signals=(Signal("Opened", {"by": "s"}),),
            admit=self._admit,
        )

    async def _admit(self, caller: Caller) -> None:
        self.callers.append(caller)
        if not self.admits:
            raise ErrorReply(errors.ACCESS_DENIED, "stay out")

    async def _knock(self, _caller: Caller, times: int, how: str) -> tuple[object, ...]:
        if self.error is not None:
            raise self.error
        return (f"{how} {times}",)

    async def _wait(self, _caller: Caller) -> tuple[object, ...]:
        self.waiting += 1
        try:
            await self.hold.wait()
        finally:
            self.waiting -= 1
        return ()


@asynccontextmanager
async def at(daemon: PrivateBus, door: Door) -> AsyncGenerator[tuple[Bus, Exported]]:
    """A connection in front of ``door``, and the door's own end."""
    server, client = await Bus.connect(daemon.address), await Bus.connect(daemon.address)
    exported = server.export(DOOR.path, door.interface)
    await server.request_name(DOOR.destination)
    try:
        yield client, exported
    finally:
        await client.close()
        await server.close()


def at_interface(interface: str, path: str = DOOR.path) -> Endpoint:
    return Endpoint(DOOR.destination, path, interface)


def test_the_daemon_says_who_calls(daemon: PrivateBus) -> None:
    async def scenario() -> None:
        door = Door()
        async with at(daemon, door) as (client, _):
            assert await client.call(DOOR, "Knock", "us", 3, "softly", returns="s") == ("softly 3",)
            assert door.callers == [Caller(client.unique_name, os.getuid(), os.getpid())]

    run(scenario())


@dataclass(frozen=True)
class Wrong:
    """A call that is plausible but wrong."""

    endpoint: Endpoint
    member: str
    signature: str
    args: tuple[object, ...]


@pytest.mark.parametrize(
    ("call", "error_name"),
    [
        (
            Wrong(Endpoint(DOOR.destination, "/nowhere", DOOR.interface), "Knock", "us", (1, "x")),
            errors.UNKNOWN_OBJECT,
        ),
        (Wrong(at_interface("org.example.Window"), "Knock", "us", (1, "x")), errors.UNKNOWN_INTERFACE),
        (Wrong(DOOR, "Kick", "", ()), errors.UNKNOWN_METHOD),
        (Wrong(DOOR, "Knock", "", ()), errors.INVALID_ARGS),
        (Wrong(DOOR, "Knock", "ss", ("1", "x")), errors.INVALID_ARGS),
        (Wrong(at_interface(PROPERTIES), "Get", "ss", (DOOR.interface, "Colour")), errors.UNKNOWN_PROPERTY),
        (Wrong(at_interface(PROPERTIES), "Get", "ss", ("org.example.Window", "Open")), errors.UNKNOWN_INTERFACE),
        (Wrong(at_interface(PROPERTIES), "GetAll", "s", ("org.example.Window",)), errors.UNKNOWN_INTERFACE),
        (
            Wrong(at_interface(PROPERTIES), "Set", "ssv", (DOOR.interface, "Open", Typed("b", value=True))),
            errors.PROPERTY_READ_ONLY,
        ),
        (Wrong(at_interface(PROPERTIES, "/org/example"), "GetAll", "s", ("",)), errors.UNKNOWN_INTERFACE),
    ],
)
def test_wrong_calls_get_the_standard_errors(daemon: PrivateBus, call: Wrong, error_name: str) -> None:
    async def scenario() -> None:
        async with at(daemon, Door()) as (client, _):
            with pytest.raises(CallFailed) as failed:
                await client.call(call.endpoint, call.member, call.signature, *call.args)
            assert failed.value.error_name == error_name

    run(scenario())


def test_properties(daemon: PrivateBus) -> None:
    async def scenario() -> None:
        async with at(daemon, Door()) as (client, exported):
            assert await client.get_property(DOOR, "Open", "b") is False
            (everything,) = await client.call(at_interface(PROPERTIES), "GetAll", "s", DOOR.interface, returns="a{sv}")
            assert everything == {"Open": False, "Handles": ("in", "out")}
            changes: list[tuple[object, ...]] = []
            match = Match(at_interface(PROPERTIES), "PropertiesChanged", "sa{sv}as", arg0=DOOR.interface)
            await client.subscribe(match, lambda emission: changes.append(emission.args))
            exported.changed("Open")
            await until(lambda: bool(changes))
            assert changes == [(DOOR.interface, {"Open": False}, ())]

    run(scenario())


def test_the_unadmitted_get_nothing(daemon: PrivateBus) -> None:
    async def scenario() -> None:
        door = Door()
        door.admits = False
        async with at(daemon, door) as (client, _):
            for ask in (
                client.call(DOOR, "Knock", "us", 1, "x", returns="s"),
                client.get_property(DOOR, "Open", "b"),
                client.get_property(DOOR, "Colour", "b"),
                client.call(at_interface(PROPERTIES), "GetAll", "s", DOOR.interface, returns="a{sv}"),
            ):
                with pytest.raises(CallFailed, match="stay out") as failed:
                    await ask
                assert failed.value.error_name == errors.ACCESS_DENIED

    run(scenario())


@pytest.mark.parametrize("kind", ErrorKind)
def test_our_errors_arrive_as_they_were_raised(daemon: PrivateBus, kind: ErrorKind) -> None:
    async def scenario() -> None:
        door = Door()
        door.error = TidegateError(kind, "stuck: 3 of 5", "push harder")
        async with at(daemon, door) as (client, _):
            with pytest.raises(TidegateError) as failed:
                await client.call(DOOR, "Knock", "us", 1, "x", returns="s")
            assert failed.value.failure == door.error.failure
            assert not isinstance(failed.value, CallFailed)

    run(scenario())


def test_a_defect_is_logged_and_not_told(daemon: PrivateBus, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        door = Door()
        door.error = ZeroDivisionError("the secret is 42")
        async with at(daemon, door) as (client, _):
            with pytest.raises(CallFailed) as failed:
                await client.call(DOOR, "Knock", "us", 1, "x", returns="s")
            assert failed.value.error_name == errors.INTERNAL
            assert "42" not in str(failed.value)
            assert "Traceback" not in str(failed.value)

    with caplog.at_level(logging.ERROR):
        run(scenario())
    assert "org.example.Door.Knock" in caplog.text
    assert "the secret is 42" in caplog.text


def test_an_answer_of_the_wrong_type_is_a_defect(daemon: PrivateBus, caplog: pytest.LogCaptureFixture) -> None:
    async def wrong(_caller: Caller) -> tuple[object, ...]:
        return (1,)

    async def scenario() -> None:
        async with at(daemon, Door()) as (client, exported):
            exported.bus.export("/w", Interface("org.example.W", (Method("Say", wrong, returns={"what": "s"}),)))
            with pytest.raises(CallFailed) as failed:
                await client.call(at_interface("org.example.W", "/w"), "Say", returns="s")
            assert failed.value.error_name == errors.INTERNAL

    with caplog.at_level(logging.ERROR):
        run(scenario())


def test_a_slow_handler_stalls_nobody(daemon: PrivateBus) -> None:
    async def scenario() -> None:
        door = Door()
        async with at(daemon, door) as (client, _):
            slow = asyncio.ensure_future(client.call(DOOR, "Wait"))
            assert await client.call(DOOR, "Knock", "us", 1, "x", returns="s") == ("x 1",)
            door.hold.set()
            assert await slow == ()

    run(scenario())


def test_a_caller_gone_wild_is_told_so_and_others_are_served(daemon: PrivateBus) -> None:
    async def scenario() -> None:
        door = Door()
        async with at(daemon, door) as (client, _):
            slow = [asyncio.ensure_future(client.call(DOOR, "Wait")) for _ in range(MAX_CALLS_OF_ONE)]
            await until(lambda: door.waiting == MAX_CALLS_OF_ONE)
            with pytest.raises(CallFailed) as failed:
                await client.call(DOOR, "Knock", "us", 1, "x", returns="s")
            assert failed.value.error_name == errors.LIMITS_EXCEEDED
            other = await Bus.connect(daemon.address)
            assert await other.call(DOOR, "Knock", "us", 1, "x", returns="s") == ("x 1",)
            await other.close()
            door.hold.set()
            await asyncio.gather(*slow)
            assert await client.call(DOOR, "Knock", "us", 1, "x", returns="s") == ("x 1",)

    run(scenario())


def test_closing_cancels_what_is_being_handled(daemon: PrivateBus) -> None:
    async def scenario() -> None:
        door = Door()
        async with at(daemon, door) as (client, exported):
            slow = asyncio.ensure_future(client.call(DOOR, "Wait"))
            await until(lambda: door.waiting == 1)
            await exported.bus.close()
            assert door.waiting == 0
            with pytest.raises(CallFailed) as failed:
                await slow
            assert failed.value.error_name == errors.NO_REPLY

    run(scenario())


def test_answers_are_sent_before_the_connection_ends(daemon: PrivateBus) -> None:
    """The helper gives its last answer and exits."""

    async def scenario() -> None:
        door = Door()
        async with at(daemon, door) as (client, exported):
            calls = [asyncio.ensure_future(client.call(DOOR, "Wait")) for _ in range(3)]
            await until(lambda: door.waiting == 3)
            await exported.bus.release_name(DOOR.destination)
            door.hold.set()
            await exported.bus.finish_calls(1.0)
            await exported.bus.close()
            assert await asyncio.gather(*calls) == [(), (), ()]

    run(scenario())


def test_who_wants_no_answer_gets_none(daemon: PrivateBus) -> None:
    async def scenario() -> None:
        door = Door()
        async with at(daemon, door) as (_client, _exported):
            link = await MessageChannel.open(daemon.address)
            got: list[Message] = []
            link.listen(got.append, lambda: None)
            quiet = Message(
                Kind.CALL, DOOR.destination, DOOR.path, DOOR.interface, "Knock", "us", (1, "x"), wants_reply=False
            )
            link.send(quiet)
            link.send(Message(Kind.CALL, DOOR.destination, DOOR.path, DOOR.interface, "Kick", wants_reply=False))
            link.send(Message(Kind.CALL, DOOR.destination, DOOR.path, PEER, "Ping"))
            await until(lambda: any(message.kind is Kind.RETURN for message in got))
            assert [message.kind for message in got if message.kind is not Kind.SIGNAL] == [Kind.RETURN]
            assert door.callers
            await link.close()

    run(scenario())


def test_a_method_is_found_without_naming_the_interface(daemon: PrivateBus) -> None:
    async def scenario() -> None:
        async with at(daemon, Door()) as (_client, _exported):
            link = await MessageChannel.open(daemon.address)
            got: list[Message] = []
            link.listen(got.append, lambda: None)
            link.send(Message(Kind.CALL, DOOR.destination, DOOR.path, "", "Knock", "us", (2, "x")))
            await until(lambda: any(message.body == ("x 2",) for message in got))
            await link.close()

    run(scenario())


def test_the_object_describes_itself(daemon: PrivateBus) -> None:
    async def scenario() -> None:
        async with at(daemon, Door()) as (client, _):
            (text,) = await client.call(at_interface(INTROSPECTABLE), "Introspect", returns="s")
            interfaces = {one.attrib["name"]: one for one in ET.fromstring(str(text))}
            assert set(interfaces) == {DOOR.interface, PEER, INTROSPECTABLE, PROPERTIES}
            knock = interfaces[DOOR.interface].find("method[@name='Knock']")
            assert knock is not None
            arguments = [(arg.attrib["name"], arg.attrib["type"], arg.attrib["direction"]) for arg in knock]
            assert arguments == [("times", "u", "in"), ("how", "s", "in"), ("answer", "s", "out")]
            above = at_interface(INTROSPECTABLE, "/org/example")
            (text,) = await client.call(above, "Introspect", returns="s")
            assert [node.attrib["name"] for node in ET.fromstring(str(text)).iter("node") if node.attrib] == ["house"]

    run(scenario())


def test_what_is_removed_is_gone(daemon: PrivateBus) -> None:
    async def scenario() -> None:
        async with at(daemon, Door()) as (client, exported):
            exported.remove()
            with pytest.raises(CallFailed) as failed:
                await client.call(DOOR, "Knock", "us", 1, "x", returns="s")
            assert failed.value.error_name == errors.UNKNOWN_OBJECT

    run(scenario())


def test_a_name_has_one_owner(daemon: PrivateBus) -> None:
    async def scenario() -> None:
        async with at(daemon, Door()) as (client, exported):
            await exported.bus.request_name(DOOR.destination)
            with pytest.raises(TidegateError, match=r"org\.example\.Door belongs to another process"):
                await client.request_name(DOOR.destination)
            await exported.bus.release_name(DOOR.destination)
            await client.request_name(DOOR.destination)

    run(scenario())
