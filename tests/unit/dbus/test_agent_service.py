"""``org.tidegate.Agent1`` and the command line's side of it, over a real bus."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pytest

from tests.fakes.asyncs import run
from tests.fakes.private_bus import PrivateBus, connected
from tidegate.dbus import service
from tidegate.dbus.agent_client import AGENT, ask_agent
from tidegate.dbus.bus import Bus
from tidegate.dbus.interface import Caller
from tidegate.dbus.service import MAX_REASON_CHARS, one_line, serve_agent
from tidegate.errors import ErrorKind, TidegateError
from tidegate.machine.events import ApplyAsked, CheckAsked, Event, StageAsked
from tidegate.machine.state import State

CALL_SECS = 5.0


class Machine:
    """What is behind the service; ``answer`` may be an error."""

    def __init__(self, answer: str | TidegateError = "on it") -> None:
        self.answer = answer
        self.asked: list[Event] = []

    async def ask(self, event: Callable[[int], Event]) -> str:
        self.asked.append(event(7))
        if isinstance(self.answer, TidegateError):
            raise self.answer
        return self.answer


def no_state() -> State:
    raise AssertionError("nobody asks for it here")


@asynccontextmanager
async def agent(daemon: PrivateBus, machine: Machine) -> AsyncGenerator[None]:
    async with connected(daemon.address) as bus:
        await serve_agent(bus, machine.ask, no_state)
        yield


@pytest.fixture(autouse=True)
def on_the_private_bus(daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client connects to the system bus."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", daemon.address)


async def refused(member: str, *arguments: str) -> TidegateError:
    with pytest.raises(TidegateError) as caught:
        await ask_agent(member, CALL_SECS, *arguments)
    return caught.value


def pretend_uid(monkeypatch: pytest.MonkeyPatch, uid: int) -> None:
    """The daemon says that every caller is ``uid``."""

    async def identify(_bus: Bus, sender: str) -> Caller:
        return Caller(sender, uid, os.getpid())

    monkeypatch.setattr(Bus, "_identify", identify)


def test_what_is_asked_reaches_the_machine(daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_uid(monkeypatch, 0)

    async def scenario() -> None:
        machine = Machine()
        async with agent(daemon, machine):
            assert await ask_agent("Check", CALL_SECS) == "on it"
            assert await ask_agent("Stage", CALL_SECS) == "on it"
            assert await ask_agent("Apply", CALL_SECS, "kernel\nfix") == "on it"
        assert machine.asked == [CheckAsked(7), StageAsked(7), ApplyAsked(7, "kernel fix (asked for by root)")]

    run(scenario())


def test_a_refusal_of_the_machine_comes_as_it_is(daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_uid(monkeypatch, 0)
    why = TidegateError(ErrorKind.AGENT_NOTHING_TO_APPLY, "nothing is staged", "tidegate stage")

    async def scenario() -> None:
        async with agent(daemon, Machine(why)):
            assert (await refused("Apply", "now")).failure == why.failure

    run(scenario())


def test_others_need_polkits_word(
    daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pretend_uid(monkeypatch, 4321)
    asked: list[tuple[int, str]] = []

    async def only_checks(_bus: Bus, caller: Caller, action: str) -> bool:
        asked.append((caller.uid, action))
        return action == "org.tidegate.agent1.check"

    monkeypatch.setattr(service, "check_authorization", only_checks)

    async def scenario() -> None:
        machine = Machine()
        async with agent(daemon, machine):
            assert await ask_agent("Check", CALL_SECS) == "on it"
            for member, arguments in (("Stage", ()), ("Apply", ("please",))):
                error = await refused(member, *arguments)
                assert error.kind is ErrorKind.AGENT_NOT_AUTHORISED
                assert f"org.tidegate.agent1.{member.lower()}" in error.remedy
        assert machine.asked == [CheckAsked(7)]

    with caplog.at_level(logging.INFO):
        run(scenario())
    assert [uid for uid, _ in asked] == [4321] * 3
    assert "check asked for by 4321 (uid 4321, pid " in caplog.text
    assert "refused apply to 4321 (uid 4321, pid " in caplog.text


def test_without_polkit_others_may_nothing(daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_uid(monkeypatch, 4321)

    async def scenario() -> None:
        async with agent(daemon, Machine()):
            assert (await refused("Check")).kind is ErrorKind.AGENT_NOT_AUTHORISED

    run(scenario())


def test_an_empty_reason_is_no_reason(daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_uid(monkeypatch, 0)

    async def scenario() -> None:
        machine = Machine()
        async with agent(daemon, machine):
            assert (await refused("Apply", " \n\t ")).kind is ErrorKind.AGENT_BAD_REQUEST
        assert machine.asked == []

    run(scenario())


def test_a_reason_is_one_printable_line() -> None:
    assert one_line("a\nb\x1b[31m  c\u202e") == "a b [31m c"
    assert len(one_line("x" * 10_000)) == MAX_REASON_CHARS


def test_one_agent_only(daemon: PrivateBus) -> None:
    async def scenario() -> None:
        async with agent(daemon, Machine()), connected(daemon.address) as bus:
            with pytest.raises(TidegateError, match="belongs to another process"):
                await serve_agent(bus, Machine().ask, no_state)

    run(scenario())


def test_no_agent_is_said(daemon: PrivateBus) -> None:
    async def scenario() -> None:
        error = await refused("Check")
        assert error.kind is ErrorKind.AGENT_UNREACHABLE
        assert "tidegate.service" in error.remedy

    run(scenario())


def test_an_agent_that_dies_over_the_question_is_gone(daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_uid(monkeypatch, 0)

    async def scenario() -> None:
        async with connected(daemon.address) as bus:

            async def die(_event: Callable[[int], Event]) -> str:
                await bus.close()
                return "too late"

            await serve_agent(bus, die, no_state)
            assert (await refused("Check")).kind is ErrorKind.AGENT_UNREACHABLE

    run(scenario())


def test_an_agent_that_hangs_is_given_up(daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_uid(monkeypatch, 0)

    async def scenario() -> None:
        async with connected(daemon.address) as bus:

            async def hang(_event: Callable[[int], Event]) -> str:
                await asyncio.Event().wait()
                return "never"

            await serve_agent(bus, hang, no_state)
            with pytest.raises(TidegateError) as caught:
                await ask_agent("Check", 0.05)
            assert caught.value.kind is ErrorKind.BUS_TIMEOUT
            assert AGENT.destination in caught.value.message

    run(scenario())
