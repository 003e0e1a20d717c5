"""``org.tidegate.Agent1`` and its client for the command line, over a real bus."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.fakes.asyncs import run, until
from tests.fakes.bus_agent import EXPLANATION, GATES, FakeAgent, agent, served
from tests.fakes.polkit import FakePolkit
from tests.fakes.private_bus import PrivateBus, connected, settle
from tidegate.agent_api.client import AGENT, ask_agent
from tidegate.agent_api.requests import (
    MAX_OVERRIDES,
    MAX_REASON_CHARS,
    MAX_RELEASE_CHARS,
    checked_overrides,
    reason_in,
    release_in,
)
from tidegate.agent_api.service import ACTION_PREFIX
from tidegate.bus.bus import Bus
from tidegate.bus.errors import CallFailed
from tidegate.bus.interface import Caller
from tidegate.errors import ErrorKind, TidegateError
from tidegate.machine.events import (
    AllowAsked,
    ApplyAsked,
    CheckAsked,
    DenyAsked,
    Event,
    ForgetLockAsked,
    ResumeAsked,
    RollbackAsked,
    StageAsked,
)
from tidegate.release import Purpose
from tidegate.services import polkit

CALL_SECS = 30.0
SYSTEMD = Path(__file__).parents[3] / "systemd"


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


TOLD = "kernel fix (asked for by root)"
CALLS: dict[str, tuple[str, tuple[object, ...], Event | None]] = {
    "Check": ("", (), CheckAsked(7)),
    "Stage": ("", (), StageAsked(7)),
    "Apply": ("sbas", ("kernel\nfix", False, ()), ApplyAsked(7, TOLD, Purpose.UPDATE, frozenset())),
    "Resume": ("s", ("kernel\nfix",), ResumeAsked(7, TOLD)),
    "Rollback": ("sas", ("kernel\nfix", ()), RollbackAsked(7, TOLD)),
    "Allow": ("ss", ("42.1", "kernel\nfix"), AllowAsked(7, "42.1", TOLD)),
    "Deny": ("ss", ("42.1", "kernel\nfix"), DenyAsked(7, "42.1", TOLD)),
    "ForgetLock": ("s", ("kernel\nfix",), ForgetLockAsked(7, TOLD)),
    "Reload": ("", (), None),
}
"""Every method that somebody has to allow, with good arguments, and what comes of it."""

VERBS = {member: "forget-lock" if member == "ForgetLock" else member.lower() for member in CALLS}


async def call(member: str) -> str:
    signature, arguments, _ = CALLS[member]
    return await ask_agent(member, CALL_SECS, signature, *arguments)


@pytest.mark.parametrize("member", CALLS)
def test_what_is_asked_reaches_the_machine(daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch, member: str) -> None:
    pretend_uid(monkeypatch, 0)

    async def scenario() -> None:
        behind = FakeAgent()
        async with agent(daemon.address, behind):
            assert await call(member) == "on it"
        expected = CALLS[member][2]
        assert behind.asked == ([] if expected is None else [expected])

    run(scenario())


def test_a_refusal_of_the_machine_comes_as_it_is(daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_uid(monkeypatch, 0)
    why = TidegateError(ErrorKind.AGENT_NOTHING_TO_APPLY, "nothing is staged", "tidegate stage")

    async def scenario() -> None:
        async with agent(daemon.address, FakeAgent(why)):
            assert (await refused_apply("fix")).failure == why.failure

    run(scenario())


def test_every_method_but_explain_has_an_action_of_its_own() -> None:
    text = (SYSTEMD / "org.tidegate.agent1.policy").read_text(encoding="utf-8")
    actions = {action.attrib["id"]: action for action in ET.fromstring(text).iter("action")}
    assert set(actions) == {ACTION_PREFIX + verb for verb in VERBS.values()}
    for action in actions.values():
        defaults = [one.text for one in action.findall("defaults/*")]
        assert defaults == ["auth_admin", "auth_admin", "auth_admin_keep"], "nobody may anything unasked"
        assert [note.text for note in action.findall("annotate")] == ["unix-user:tidegate"]


@pytest.mark.parametrize("allowed", CALLS)
def test_who_may_one_thing_may_that_and_nothing_else(
    daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, allowed: str
) -> None:
    pretend_uid(monkeypatch, 4321)

    async def scenario() -> None:
        behind, polkit = FakeAgent(), FakePolkit(ACTION_PREFIX + VERBS[allowed])
        async with agent(daemon.address, behind), connected(daemon.address) as authority:
            await polkit.serve(authority)
            for member, verb in VERBS.items():
                if member == allowed:
                    assert await call(member) == "on it"
                    continue
                with pytest.raises(TidegateError) as caught:
                    await call(member)
                assert caught.value.kind is ErrorKind.AGENT_NOT_AUTHORISED
                assert caught.value.message == f"4321 may not {verb}"
                assert caught.value.remedy.endswith(f"allow the polkit action {ACTION_PREFIX}{verb}")
        assert polkit.actions == [ACTION_PREFIX + verb for verb in VERBS.values()], "each is asked for by its own name"
        assert len(set(polkit.subjects)) == len(CALLS), "and for the connection that asks"
        expected = CALLS[allowed][2]
        assert [type(event) for event in behind.asked] == ([] if expected is None else [type(expected)])

    with caplog.at_level(logging.INFO):
        run(scenario())
    assert f"{VERBS[allowed]} asked for by 4321 (uid 4321, pid " in caplog.text
    assert caplog.text.count("refused ") == len(CALLS) - 1


@pytest.mark.parametrize("may_interact", [True, False])
def test_polkit_may_prompt_the_users_of_callers_that_say_so(
    daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch, may_interact: bool
) -> None:
    pretend_uid(monkeypatch, 4321)

    async def scenario() -> None:
        polkit = FakePolkit(f"{ACTION_PREFIX}check")
        async with agent(daemon.address, FakeAgent()), connected(daemon.address) as authority:
            await polkit.serve(authority)
            assert await ask_agent("Check", CALL_SECS, may_interact=may_interact) == "on it"
        assert polkit.asked[0][3] == int(may_interact)

    run(scenario())


def test_root_is_not_asked_about(daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_uid(monkeypatch, 0)

    async def scenario() -> None:
        polkit = FakePolkit()
        async with agent(daemon.address, FakeAgent()), connected(daemon.address) as authority:
            await polkit.serve(authority)
            for member in CALLS:
                assert await call(member) == "on it"
        assert polkit.asked == []

    run(scenario())


@pytest.mark.parametrize("member", CALLS)
def test_a_polkit_that_hangs_or_fails_allows_nothing(
    daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch, member: str
) -> None:
    pretend_uid(monkeypatch, 4321)
    monkeypatch.setattr(polkit, "ANSWER_SECS", 0.05)

    async def scenario() -> None:
        everything = [ACTION_PREFIX + verb for verb in VERBS.values()]
        behind = FakeAgent()
        for broken in (FakePolkit(*everything, hangs=True), FakePolkit(*everything, error=ValueError("broken"))):
            async with agent(daemon.address, behind), connected(daemon.address) as authority:
                await broken.serve(authority)
                with pytest.raises(TidegateError) as caught:
                    await call(member)
                assert caught.value.kind is ErrorKind.AGENT_NOT_AUTHORISED
                assert broken.asked
        assert behind.asked == []

    run(scenario())


@pytest.mark.parametrize("member", CALLS)
def test_without_polkit_others_may_nothing(daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch, member: str) -> None:
    pretend_uid(monkeypatch, 4321)

    async def scenario() -> None:
        behind = FakeAgent()
        async with agent(daemon.address, behind):
            with pytest.raises(TidegateError) as caught:
                await call(member)
            assert caught.value.kind is ErrorKind.AGENT_NOT_AUTHORISED
        assert behind.asked == []

    run(scenario())


@pytest.mark.parametrize(
    ("member", "signature", "arguments"),
    [
        ("Apply", "sbas", (" \n\t\x1b ", False, ())),
        ("Resume", "s", ("",)),
        ("Rollback", "sas", (" ", ())),
        ("Allow", "ss", ("2", "\u202e")),
        ("Deny", "ss", ("2", "")),
        ("ForgetLock", "s", ("\x07",)),
        ("Allow", "ss", ("", "fix")),
        ("Deny", "ss", (" 2", "fix")),
        ("Deny", "ss", ("2\n3", "fix")),
        ("Deny", "ss", ("x" * 513, "fix")),
        ("Rollback", "sas", ("fix", ["nonsense"])),
    ],
)
def test_what_makes_no_sense_reaches_nobody(
    daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch, member: str, signature: str, arguments: tuple[object, ...]
) -> None:
    pretend_uid(monkeypatch, 0)

    async def scenario() -> None:
        behind = FakeAgent()
        async with agent(daemon.address, behind):
            with pytest.raises(TidegateError) as caught:
                await ask_agent(member, CALL_SECS, signature, *arguments)
            assert caught.value.kind is ErrorKind.AGENT_BAD_REQUEST
            assert caught.value.message
            assert caught.value.remedy
        assert behind.asked == []

    run(scenario())


def test_a_release_is_called_what_it_is_called() -> None:
    image = "quay.io/fedora/fedora-bootc@sha256:" + "0a" * 32
    for name in ("42.20260301.3.0", "0a" * 32, image, "x" * MAX_RELEASE_CHARS, "42 (beta)"):
        assert release_in(name) == name


def test_a_reason_is_one_printable_line() -> None:
    assert reason_in("a\nb\x1b[31m  c\u202e") == "a b [31m c"
    assert len(reason_in("x" * 10_000)) == MAX_REASON_CHARS


def test_one_agent_only(daemon: PrivateBus) -> None:
    async def scenario() -> None:
        async with agent(daemon.address, FakeAgent()), connected(daemon.address) as bus:
            with pytest.raises(TidegateError, match="belongs to another process"):
                await served(bus, FakeAgent())

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

            class Dying(FakeAgent):
                async def ask(self, request: Callable[[int], Event]) -> str:
                    await bus.close()
                    return "too late"

            await served(bus, Dying())
            assert (await refused("Check")).kind is ErrorKind.AGENT_UNREACHABLE

    run(scenario())


def test_an_agent_that_hangs_is_given_up(daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_uid(monkeypatch, 0)

    async def scenario() -> None:
        async with connected(daemon.address) as bus:

            class Hanging(FakeAgent):
                async def ask(self, request: Callable[[int], Event]) -> str:
                    await asyncio.Event().wait()
                    return "never"

            await served(bus, Hanging())
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
    told = "fix (asked for by root, overriding fleet_lock, periodic)"

    async def scenario() -> None:
        behind = FakeAgent()
        async with agent(daemon.address, behind):
            await apply("fix", now=True)
            await apply("fix", overrides=["periodic", "fleet_lock", "periodic"])
            await apply("fix", now=True, overrides=["fleet_lock", "periodic"])
        assert behind.asked == [
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
        (["inhibitors"], "the gate inhibitors cannot be overridden"),
        (["sessions", "inhibitors"], "the gate inhibitors cannot be overridden"),
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
        behind = FakeAgent()
        async with agent(daemon.address, behind):
            error = await refused_apply("fix", now=True, overrides=names)
        kind = ErrorKind.REBOOT_REFUSED if message.endswith("cannot be overridden") else ErrorKind.AGENT_BAD_REQUEST
        assert (error.kind, error.message) == (kind, message)
        assert error.remedy == "these can be: fleet_lock, periodic, sessions; see tidegate explain"
        assert behind.asked == []

    run(scenario())


def test_where_no_gate_can_be_passed_over_that_is_said() -> None:
    with pytest.raises(TidegateError) as caught:
        checked_overrides(["periodic"], {"inhibitors": False})
    assert caught.value.remedy.startswith("these can be: none")


@pytest.mark.parametrize("last", ["periodic", "nonsense"])
def test_more_gates_than_there_are_is_a_mistake_and_none_is_overlooked(last: str) -> None:
    names = ["periodic"] * MAX_OVERRIDES
    assert checked_overrides(names, GATES) == {"periodic"}
    with pytest.raises(TidegateError, match="33 gates to override") as caught:
        checked_overrides([*names, last], GATES)
    assert caught.value.kind is ErrorKind.AGENT_BAD_REQUEST


def test_who_may_not_apply_learns_nothing_of_the_gates(daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_uid(monkeypatch, 4321)

    async def scenario() -> None:
        async with agent(daemon.address, FakeAgent()):
            error = await refused_apply("fix", overrides=["nonsense"])
        assert error.kind is ErrorKind.AGENT_NOT_AUTHORISED
        assert "periodic" not in str(error)

    run(scenario())


def test_an_apply_of_another_shape_is_refused_by_the_bus(daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_uid(monkeypatch, 0)

    async def scenario() -> None:
        behind = FakeAgent()
        async with agent(daemon.address, behind):
            with pytest.raises(CallFailed, match="takes 'sbas', not 's'"):
                await ask_agent("Apply", CALL_SECS, "s", "fix")
        assert behind.asked == []

    run(scenario())


# --------------------------------------------------------------------------- explaining


def test_anybody_may_ask_why_and_the_machine_is_not_asked_for_anything(
    daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_uid(monkeypatch, 4321)

    async def scenario() -> None:
        behind = FakeAgent()
        async with agent(daemon.address, behind):
            assert json.loads(await ask_agent("Explain", CALL_SECS)) == EXPLANATION
        assert (behind.explained, behind.asked) == (1, [])

    run(scenario())


def test_nobody_is_explained_to_beside_somebody_else(daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_uid(monkeypatch, 4321)

    async def scenario() -> None:
        behind = FakeAgent()
        behind.open.clear()
        async with agent(daemon.address, behind), connected(daemon.address) as bus:
            asking = [asyncio.ensure_future(bus.call(AGENT, "Explain", returns="s")) for _ in range(10)]
            await until(lambda: behind.explaining == 1)
            await settle(bus)
            behind.open.set()
            answers = await asyncio.gather(*asking)  # the fake sees to it that there are never two at once
            assert [json.loads(str(text)) for (text,) in answers] == [EXPLANATION] * 10

    run(scenario())


def test_an_explanation_that_fails_fails_for_everybody_who_waits_for_it_and_for_nobody_else(
    daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_uid(monkeypatch, 4321)

    async def scenario() -> None:
        behind = FakeAgent(TidegateError(ErrorKind.BUS_LOST, "logind is gone", "wait"))
        async with agent(daemon.address, behind):
            failed = await asyncio.gather(*(refused("Explain") for _ in range(3)))
            assert {str(error) for error in failed} == {"logind is gone (wait)"}
            behind.answer = "well"
            assert json.loads(await ask_agent("Explain", CALL_SECS)) == EXPLANATION

    run(scenario())


def test_a_caller_who_leaves_holds_no_place(daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_uid(monkeypatch, 0)

    async def scenario() -> None:
        behind = FakeAgent()
        behind.open.clear()
        async with agent(daemon.address, behind):
            leaving = await Bus.connect(daemon.address)
            waiting = asyncio.ensure_future(leaving.call(AGENT, "Stage", returns="s"))
            await until(lambda: behind.waiting == 1)
            await leaving.close()
            await until(lambda: behind.waiting == 0)
            with pytest.raises(TidegateError):
                await waiting

    run(scenario())


# --------------------------------------------------------------------------- reloading


def test_what_is_wrong_with_the_configuration_is_the_answer(
    daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_uid(monkeypatch, 0)
    why = TidegateError(ErrorKind.CONFIG_INVALID, "20-x.toml:3: no such key", "tidegate config check")

    async def scenario() -> None:
        async with agent(daemon.address, FakeAgent(why)):
            assert (await refused("Reload")).failure == why.failure

    run(scenario())


# --------------------------------------------------------------------------- defects


@pytest.mark.parametrize("member", CALLS)
def test_a_defect_is_an_error_with_a_remedy_and_no_traceback(
    daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, member: str
) -> None:
    pretend_uid(monkeypatch, 0)

    async def scenario() -> None:
        async with agent(daemon.address, FakeAgent(ZeroDivisionError("the secret is 42"))):
            with pytest.raises(TidegateError) as caught:
                await call(member)
            assert caught.value.kind is ErrorKind.AGENT_INTERNAL
            assert "journalctl" in caught.value.remedy
            assert "42" not in str(caught.value)

    with caplog.at_level(logging.ERROR):
        run(scenario())
    assert "the secret is 42" in caplog.text
