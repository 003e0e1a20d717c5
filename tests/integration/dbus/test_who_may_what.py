"""The agent under the shipped bus policy, with callers of other users."""

from __future__ import annotations

import os
import pwd
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.fakes.asyncs import run, until
from tests.fakes.bus_agent import DOCUMENT, EXPLANATION, FakeAgent, served
from tests.fakes.polkit import FakePolkit
from tests.fakes.private_bus import PrivateBus, private_bus
from tests.integration.dbus.real_logind import NOBODY, connect_as
from tests.integration.dbus.test_bus_policy import AGENTS_STAND_IN, DEFAULTS, ROOT, SHIPPED
from tidegate.agent_api.client import AGENT
from tidegate.agent_api.properties import AgentProperties
from tidegate.bus.bus import Bus
from tidegate.bus.errors import ACCESS_DENIED, CallFailed
from tidegate.bus.message import Emission, Endpoint, Match, Typed
from tidegate.bus.server import PROPERTIES
from tidegate.errors import ErrorKind, TidegateError
from tidegate.machine.effects import NOTICE, Announce
from tidegate.machine.topics import Topic
from tidegate.services import polkit as asking_polkit

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it connects as other users")]

NO_GATES: tuple[str, ...] = ()
METHODS: dict[str, tuple[str, str, tuple[object, ...]]] = {
    "Check": ("check", "", ()),
    "Stage": ("stage", "", ()),
    "Apply": ("apply", "sbas", ("fix", True, NO_GATES)),
    "Resume": ("resume", "s", ("fix",)),
    "Rollback": ("rollback", "sas", ("fix", NO_GATES)),
    "Allow": ("allow", "ss", ("42", "fix")),
    "Deny": ("deny", "ss", ("42", "fix")),
    "ForgetLock": ("forget-lock", "s", ("fix",)),
    "Reload": ("reload", "", ()),
}
ALLOW_POLKIT = """
  <policy context="default">
    <allow own="org.freedesktop.PolicyKit1"/>
    <allow send_destination="org.freedesktop.PolicyKit1"/>
  </policy>
"""


@pytest.fixture
def daemon(tmp_path: Path) -> Generator[PrivateBus]:
    """A bus under the shipped policy; on it anybody may be polkit."""
    policy = tmp_path / "org.tidegate.conf"
    policy.write_text(SHIPPED.read_text().replace('user="tidegate"', f'user="{AGENTS_STAND_IN}"'))
    with private_bus(f"{DEFAULTS}{ALLOW_POLKIT}<include>{policy}</include>") as bus:
        yield bus


@asynccontextmanager
async def agent(
    daemon: PrivateBus, polkit: FakePolkit | None
) -> AsyncGenerator[tuple[FakeAgent, AgentProperties, Bus, Bus]]:
    """The agent under its own user, root's connection and nobody's."""
    async with AsyncExitStack() as stack:

        async def connection(uid: int) -> Bus:
            bus = await connect_as(uid, daemon.address)
            stack.push_async_callback(bus.close)
            return bus

        behind = FakeAgent()
        face = await served(await connection(pwd.getpwnam(AGENTS_STAND_IN).pw_uid), behind)
        if polkit is not None:
            await polkit.serve(await connection(ROOT))
        yield behind, face, await connection(ROOT), await connection(NOBODY)


async def outcome(bus: Bus, member: str) -> str:
    """The answer, or the kind of the error."""
    _, signature, arguments = METHODS[member]
    try:
        (answer,) = await bus.call(AGENT, member, signature, *arguments, returns="s")
    except TidegateError as error:
        return error.kind
    return str(answer)


@pytest.mark.parametrize("member", METHODS)
def test_nobody_may_what_a_rule_allows_and_nothing_else_and_root_may_everything(
    daemon: PrivateBus, member: str
) -> None:
    async def scenario() -> None:
        polkit = FakePolkit(f"org.tidegate.agent1.{METHODS[member][0]}")
        async with agent(daemon, polkit) as (_behind, _face, root, nobody):
            for other in METHODS:
                expected = "on it" if other == member else ErrorKind.AGENT_NOT_AUTHORISED
                assert await outcome(nobody, other) == expected
                assert await outcome(root, other) == "on it"
            assert set(polkit.subjects) == {nobody.unique_name}

    run(scenario())


@pytest.mark.parametrize("state", ["absent", "hanging"])
def test_without_polkits_word_nobody_may_anything_and_root_all_the_same(
    daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    monkeypatch.setattr(asking_polkit, "ANSWER_SECS", 0.1)
    actions = [f"org.tidegate.agent1.{action}" for action, _, _ in METHODS.values()]

    async def scenario() -> None:
        polkit = FakePolkit(*actions, hangs=True) if state == "hanging" else None
        async with agent(daemon, polkit) as (behind, _face, root, nobody):
            for member in METHODS:
                assert await outcome(nobody, member) == ErrorKind.AGENT_NOT_AUTHORISED
            assert behind.asked == []
            assert await outcome(root, "Apply") == "on it"

    run(scenario())


def test_anybody_may_ask_read_and_listen_and_nobody_may_write(daemon: PrivateBus) -> None:
    async def scenario() -> None:
        properties = Endpoint(AGENT.destination, AGENT.path, PROPERTIES)
        async with agent(daemon, None) as (_behind, face, _root, nobody):
            heard: list[Emission] = []
            source = Endpoint(AGENT.destination, AGENT.path, AGENT.interface)
            await nobody.subscribe(Match(source, "UpdateEvent", "siss"), heard.append)
            changes = Match(properties, "PropertiesChanged", "sa{sv}as", AGENT.interface)
            await nobody.subscribe(changes, heard.append)
            (document,) = await nobody.call(AGENT, "Explain", returns="s")
            assert str(EXPLANATION["verdict"]) in str(document)
            assert await nobody.get_property(AGENT, "State", "s") == DOCUMENT["state"]
            with pytest.raises(CallFailed, match="cannot be written"):
                await nobody.call(properties, "Set", "ssv", AGENT.interface, "State", Typed("s", "steady"))
            face.show({**DOCUMENT, "state": "steady"})
            face.announce(Announce(topic=Topic.APPLIED, level=NOTICE, text="done", release="2"))
            await until(lambda: {one.member for one in heard} == {"PropertiesChanged", "UpdateEvent"})

    run(scenario())


def test_nobody_can_speak_in_the_agents_name(daemon: PrivateBus) -> None:
    """A signal that somebody else sends under the agent's interface reaches no follower of the agent."""

    async def scenario() -> None:
        async with agent(daemon, None) as (_behind, face, root, nobody):
            heard: list[Emission] = []
            source = Endpoint(AGENT.destination, AGENT.path, AGENT.interface)
            await root.subscribe(Match(source, "UpdateEvent", "siss"), heard.append)
            forged = Endpoint(root.unique_name, AGENT.path, AGENT.interface)
            nobody.emit(forged, "UpdateEvent", "siss", ("applied", NOTICE, "2", "forged"))
            with pytest.raises(CallFailed) as caught:
                await nobody.request_name(AGENT.destination)
            assert caught.value.error_name == ACCESS_DENIED
            face.announce(Announce(topic=Topic.APPLIED, level=NOTICE, text="genuine", release="2"))
            await until(lambda: bool(heard))
            assert [one.args[3] for one in heard] == ["genuine"]

    run(scenario())
