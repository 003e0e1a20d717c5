"""``org.tidegate.Agent1`` and the command line's side of it, over a real bus."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import MappingProxyType

import pytest

from tests.fakes.asyncs import run
from tests.fakes.builders import deciding
from tests.fakes.private_bus import PrivateBus, connected
from tidegate.dbus import service
from tidegate.dbus.agent_client import AGENT, ask_agent
from tidegate.dbus.bus import Bus
from tidegate.dbus.errors import CallFailed
from tidegate.dbus.interface import Caller
from tidegate.dbus.service import MAX_OVERRIDES, MAX_REASON_CHARS, checked_overrides, reason_in, serve_agent
from tidegate.errors import ErrorKind, TidegateError
from tidegate.machine.events import ApplyAsked, CheckAsked, Event, ForgetLockAsked, StageAsked
from tidegate.machine.state import State
from tidegate.purpose import Purpose

CALL_SECS = 5.0
GATES = MappingProxyType({"fleet_lock": True, "inhibitors": False, "periodic": True, "sessions": True})
DOCUMENT: dict[str, object] = {"schema": 1, "verdict": "wait", "gates": []}


class Machine:
    """What is behind the service; ``answer`` may be an error."""

    def __init__(self, answer: str | TidegateError = "on it") -> None:
        self.answer = answer
        self.asked: list[Event] = []
        self.explained = 0

    @property
    def state(self) -> State:
        return deciding().state

    async def ask(self, request: Callable[[int], Event]) -> str:
        self.asked.append(request(7))
        if isinstance(self.answer, TidegateError):
            raise self.answer
        return self.answer

    async def explain(self) -> dict[str, object]:
        self.explained += 1
        return DOCUMENT

    def overridable(self) -> Mapping[str, bool]:
        return GATES


@asynccontextmanager
async def agent(daemon: PrivateBus, machine: Machine) -> AsyncGenerator[None]:
    async with connected(daemon.address) as bus:
        await serve_agent(bus, machine)
        yield


async def apply(reason: str, *, now: bool = False, overrides: Sequence[str] = ()) -> str:
    return await ask_agent("Apply", CALL_SECS, "sbas", reason, now, list(overrides))


async def refused_apply(reason: str, *, now: bool = False, overrides: Sequence[str] = ()) -> TidegateError:
    with pytest.raises(TidegateError) as caught:
        await apply(reason, now=now, overrides=overrides)
    return caught.value


@pytest.fixture(autouse=True)
def on_the_private_bus(daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client connects to the system bus."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", daemon.address)


async def refused(member: str) -> TidegateError:
    with pytest.raises(TidegateError) as caught:
        await ask_agent(member, CALL_SECS)
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
            assert await apply("kernel\nfix") == "on it"
            assert await ask_agent("ForgetLock", CALL_SECS, "s", "kernel\nfix") == "on it"
        told = "kernel fix (asked for by root)"
        assert machine.asked == [
            CheckAsked(7),
            StageAsked(7),
            ApplyAsked(7, told, Purpose.UPDATE, frozenset()),
            ForgetLockAsked(7, told),
        ]

    run(scenario())


def test_a_refusal_of_the_machine_comes_as_it_is(daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_uid(monkeypatch, 0)
    why = TidegateError(ErrorKind.AGENT_NOTHING_TO_APPLY, "nothing is staged", "tidegate stage")

    async def scenario() -> None:
        async with agent(daemon, Machine(why)):
            assert (await refused_apply("fix")).failure == why.failure

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
            with pytest.raises(TidegateError) as forgetting:
                await ask_agent("ForgetLock", CALL_SECS, "s", "please")
            for verb, error in (
                ("stage", await refused("Stage")),
                ("apply", await refused_apply("please")),
                ("forget-lock", forgetting.value),
            ):
                assert error.kind is ErrorKind.AGENT_NOT_AUTHORISED
                assert error.message == f"4321 may not {verb}"
                assert f"org.tidegate.agent1.{verb}" in error.remedy
        assert machine.asked == [CheckAsked(7)]

    with caplog.at_level(logging.INFO):
        run(scenario())
    assert [uid for uid, _ in asked] == [4321] * 4
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
            assert (await refused_apply(" \n\t\x1b ")).kind is ErrorKind.AGENT_BAD_REQUEST
        assert machine.asked == []

    run(scenario())


def test_a_reason_is_one_printable_line() -> None:
    assert reason_in("a\nb\x1b[31m  c\u202e") == "a b [31m c"
    assert len(reason_in("x" * 10_000)) == MAX_REASON_CHARS


def test_one_agent_only(daemon: PrivateBus) -> None:
    async def scenario() -> None:
        async with agent(daemon, Machine()), connected(daemon.address) as bus:
            with pytest.raises(TidegateError, match="belongs to another process"):
                await serve_agent(bus, Machine())

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

            class Dying(Machine):
                async def ask(self, request: Callable[[int], Event]) -> str:
                    await bus.close()
                    return "too late"

            await serve_agent(bus, Dying())
            assert (await refused("Check")).kind is ErrorKind.AGENT_UNREACHABLE

    run(scenario())


def test_an_agent_that_hangs_is_given_up(daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_uid(monkeypatch, 0)

    async def scenario() -> None:
        async with connected(daemon.address) as bus:

            class Hanging(Machine):
                async def ask(self, request: Callable[[int], Event]) -> str:
                    await asyncio.Event().wait()
                    return "never"

            await serve_agent(bus, Hanging())
            with pytest.raises(TidegateError) as caught:
                await ask_agent("Check", 0.05)
            assert caught.value.kind is ErrorKind.BUS_TIMEOUT
            assert AGENT.destination in caught.value.message

    run(scenario())


# --------------------------------------------------------------------------- passing gates over


def test_now_and_overrides_make_the_order_and_are_in_its_reason_and_in_the_journal(
    daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pretend_uid(monkeypatch, 0)
    both = frozenset({"periodic", "fleet_lock"})
    told = "fix (asked for by root, passing over fleet_lock, periodic)"

    async def scenario() -> None:
        machine = Machine()
        async with agent(daemon, machine):
            await apply("fix", now=True)
            await apply("fix", overrides=["periodic", "fleet_lock", "periodic"])
            await apply("fix", now=True, overrides=["fleet_lock", "periodic"])
        assert machine.asked == [
            ApplyAsked(7, "fix (asked for by root)", Purpose.MANUAL, frozenset()),
            ApplyAsked(7, told, Purpose.UPDATE, both),
            ApplyAsked(7, told, Purpose.MANUAL, both),
        ]

    with caplog.at_level(logging.INFO):
        run(scenario())
    assert caplog.messages.count(f"to apply: {told}") == 2


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["windows"], "the gate windows is not in force"),
        (["periodic", "windows"], "the gate windows is not in force"),
        (["inhibitors"], "the gate inhibitors cannot be passed over"),
        (["sessions", "inhibitors"], "the gate inhibitors cannot be passed over"),
        ([""], "the gate (no name) is not in force"),
        (["\x1b\x07"], "the gate (no name) is not in force"),
        (["a\nb\x1b[31m"], "the gate a b [31m is not in force"),
        (["x" * 1000], f"the gate {'x' * 61}... is not in force"),
        (["Periodic"], "the gate Periodic is not in force"),
    ],
)
def test_a_gate_that_cannot_be_passed_over_stops_the_whole_request(
    daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch, names: list[str], message: str
) -> None:
    """Whoever asks for it believes otherwise: nothing of it is done."""
    pretend_uid(monkeypatch, 0)

    async def scenario() -> None:
        machine = Machine()
        async with agent(daemon, machine):
            error = await refused_apply("fix", now=True, overrides=names)
        kind = ErrorKind.REBOOT_REFUSED if message.endswith("cannot be passed over") else ErrorKind.AGENT_BAD_REQUEST
        assert (error.kind, error.message) == (kind, message)
        assert error.remedy == "these can be: fleet_lock, periodic, sessions; see tidegate explain"
        assert machine.asked == []

    run(scenario())


def test_where_no_gate_can_be_passed_over_that_is_said() -> None:
    with pytest.raises(TidegateError) as caught:
        checked_overrides(["periodic"], {"inhibitors": False})
    assert caught.value.remedy.startswith("these can be: none")


@pytest.mark.parametrize("last", ["periodic", "nonsense"])
def test_more_gates_than_there_are_is_a_mistake_and_none_is_overlooked(last: str) -> None:
    names = ["periodic"] * MAX_OVERRIDES
    assert checked_overrides(names, GATES) == {"periodic"}
    with pytest.raises(TidegateError, match="33 gates to be passed over") as caught:
        checked_overrides([*names, last], GATES)
    assert caught.value.kind is ErrorKind.AGENT_BAD_REQUEST


def test_who_may_not_apply_learns_nothing_of_the_gates(daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_uid(monkeypatch, 4321)

    async def scenario() -> None:
        async with agent(daemon, Machine()):
            error = await refused_apply("fix", overrides=["nonsense"])
        assert error.kind is ErrorKind.AGENT_NOT_AUTHORISED
        assert "periodic" not in str(error)

    run(scenario())


def test_an_apply_of_another_shape_is_refused_by_the_bus(daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_uid(monkeypatch, 0)

    async def scenario() -> None:
        machine = Machine()
        async with agent(daemon, machine):
            with pytest.raises(CallFailed, match="takes 'sbas', not 's'"):
                await ask_agent("Apply", CALL_SECS, "s", "fix")
        assert machine.asked == []

    run(scenario())


# --------------------------------------------------------------------------- explaining


def test_anybody_may_ask_why_and_the_machine_is_not_asked_for_anything(
    daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_uid(monkeypatch, 4321)

    async def scenario() -> None:
        machine = Machine()
        async with agent(daemon, machine):
            assert json.loads(await ask_agent("Explain", CALL_SECS)) == DOCUMENT
        assert (machine.explained, machine.asked) == (1, [])

    run(scenario())


def test_the_state_is_a_property_for_everybody(daemon: PrivateBus) -> None:
    async def scenario() -> None:
        async with agent(daemon, Machine()), connected(daemon.address) as bus:
            values = [await bus.get_property(AGENT, name, "s") for name in ("State", "Summary")]
        assert values == ["finalizing", "asking every gate whether the host may reboot into 2"]

    run(scenario())
