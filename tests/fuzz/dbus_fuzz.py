"""Anything that a local user may call the agent with: it answers with a value or with an error that says what and how.

``fuzz`` may be run for longer than the slice that the tests take: ``python -m tests.fuzz.dbus_fuzz COUNT SEED``.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter
from collections.abc import Callable, Mapping

from tests.fakes.bus_agent import FakeAgent, served
from tests.fakes.private_bus import connected, private_bus
from tidegate.agent_api.client import AGENT
from tidegate.bus.channel import MessageChannel
from tidegate.bus.errors import PREFIX
from tidegate.bus.message import Kind, Message, Typed
from tidegate.bus.server import INTROSPECTABLE, PEER, PROPERTIES
from tidegate.errors import ErrorKind, TidegateError

METHODS: Mapping[str, str] = {
    "Check": "", "Stage": "", "Apply": "sbas", "Resume": "s", "Rollback": "sas", "Allow": "ss", "Deny": "ss",
    "ForgetLock": "s", "Reload": "", "Explain": "",
}  # fmt: skip
OTHERS: Mapping[str, str] = {"Get": "ss", "GetAll": "s", "Set": "ssv", "Introspect": "", "Ping": "", "Nothing": ""}
INTERFACES = (AGENT.interface, PROPERTIES, INTROSPECTABLE, PEER, "", "org.example.Nothing")
PATHS = (AGENT.path, "/", "/org/tidegate", "/nowhere")
SIGNATURES = ("", "s", "ss", "ssv", "sbas", "sas", "v", "ay", "a{sv}", "(sa{sv})", "aas", "d", "x", "o", "g", "av")
TEXTS = (
    "",
    " ",
    "fix",
    "\x1b[31m",
    "\u202e",
    "\ud800",
    "a\nb",
    "State",
    AGENT.interface,
    "../../etc",
    "periodic",
    "x" * 40_000,
)
SECRET = "the secret is 42"


Make = Callable[[random.Random], object]

SCALARS: Mapping[str, Make] = {
    "s": lambda chance: chance.choice(TEXTS),
    "b": lambda chance: chance.random() < 0.5,
    "d": lambda chance: chance.choice((0.0, float("nan"), float("inf"), -1e308)),
    "x": lambda chance: chance.choice((0, -(2**63), 2**63 - 1)),
    "o": lambda chance: chance.choice(PATHS),
    "g": lambda chance: chance.choice(SIGNATURES),
    "ay": lambda chance: chance.randbytes(chance.randrange(200)),
}


def value(chance: random.Random, signature: str) -> object:
    """Some value of a type."""
    if signature in SCALARS:
        return SCALARS[signature](chance)
    match signature:
        case "v":
            inner = chance.choice(("s", "as", "a{sv}", "v", "x"))
            return Typed(inner, value(chance, inner))
        case "a{sv}":
            return {chance.choice(TEXTS[:6]): value(chance, "v") for _ in range(chance.randrange(4))}
        case "(sa{sv})":
            return (value(chance, "s"), value(chance, "a{sv}"))
        case _:  # an array
            return [value(chance, signature[1:]) for _ in range(chance.randrange(40))]


def arguments(chance: random.Random, signature: str) -> tuple[object, ...]:
    """Values for a signature of the list above."""
    parts = {"ss": ("s", "s"), "ssv": ("s", "s", "v"), "sbas": ("s", "b", "as"), "sas": ("s", "as"), "": ()}
    return tuple(value(chance, part) for part in parts.get(signature, (signature,)))


def some_call(chance: random.Random) -> Message:
    """A call; every other one has the types that its method takes."""
    if chance.random() < 0.5:
        member, path, interface = chance.choice(list(METHODS)), AGENT.path, AGENT.interface
        signature = METHODS[member]
    else:
        member = chance.choice([*METHODS, *OTHERS])
        path, interface, signature = (chance.choice(choices) for choices in (PATHS, INTERFACES, SIGNATURES))
    body = arguments(chance, signature)
    return Message(Kind.CALL, AGENT.destination, path, interface, member, signature, body)


ANSWERS: tuple[str | Exception, ...] = (
    "on it",
    TidegateError(ErrorKind.AGENT_BUSY, "not now\0\ud800", "wait"),
    ValueError(SECRET),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, SECRET),
    AssertionError(SECRET),
)


async def check_one(link: MessageChannel, call: Message, answers: asyncio.Queue[Message]) -> str:
    """Make ``call``; what it came to. Nothing in the answer gives away how the agent works inside."""
    link.send(call)
    answer = await asyncio.wait_for(answers.get(), 10.0)
    texts = [part for part in answer.body if isinstance(part, str)]
    assert not any("Traceback" in text or SECRET in text for text in texts), texts
    if answer.kind is Kind.RETURN:
        return "answered"
    name = answer.error_name
    assert name.startswith((PREFIX, "org.freedesktop.DBus.Error.")), name
    if name.startswith(PREFIX):
        message, remedy = answer.body
        assert message, answer
        assert remedy, answer
    assert texts[0], answer
    return name


async def _fuzz(count: int, seed: int, address: str) -> Counter[str]:
    chance, outcomes, answers = random.Random(seed), Counter[str](), asyncio.Queue[Message]()

    def heard(message: Message) -> None:
        if message.kind in {Kind.RETURN, Kind.ERROR}:
            answers.put_nowait(message)

    async with connected(address) as server:
        behind = FakeAgent()
        await served(server, behind)
        link = await MessageChannel.open(address)
        link.listen(heard, lambda: None)
        for number in range(count):
            behind.answer = chance.choice(ANSWERS)
            outcomes[await check_one(link, some_call(chance), answers)] += 1
            assert server.connected, number
        await link.close()
        await server.finish_calls(5.0)
        assert answers.empty(), "one answer for each call"
    return outcomes


def fuzz(count: int, seed: int) -> Counter[str]:
    """Make ``count`` calls; how many came to what."""
    with private_bus() as bus:
        return asyncio.run(_fuzz(count, seed, bus.address))


if __name__ == "__main__":
    for outcome, times in fuzz(int(sys.argv[1]), int(sys.argv[2])).most_common():
        print(f"{times:8} {outcome}")
