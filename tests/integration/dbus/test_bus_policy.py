"""The bus policy that is shipped, on a real daemon: who may own and call what."""

from __future__ import annotations

import os
import pwd
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.fakes.asyncs import run
from tests.fakes.private_bus import PrivateBus, private_bus
from tests.integration.dbus.real_logind import NOBODY, connect_as
from tidegate.agent_api.client import AGENT
from tidegate.bus import errors
from tidegate.bus.bus import Bus
from tidegate.bus.errors import CallFailed
from tidegate.bus.interface import Caller, Interface, Method
from tidegate.bus.message import Endpoint
from tidegate.engines.wire import ENGINE

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it connects as other users")]

SHIPPED = Path(__file__).parents[3] / "systemd" / "org.tidegate.conf"
ROOT = 0
AGENTS_STAND_IN = "daemon"
"""A user that every host has. dbus-daemon looks users up by name, and ignores rules for those that there are not."""

# As Debian's system.conf has them.
DEFAULTS = """
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"/>
  </policy>
"""


@pytest.fixture
def daemon(tmp_path: Path) -> Generator[PrivateBus]:
    """A bus under the shipped policy."""
    policy = tmp_path / "org.tidegate.conf"
    policy.write_text(SHIPPED.read_text().replace('user="tidegate"', f'user="{AGENTS_STAND_IN}"'))
    with private_bus(f"{DEFAULTS}<include>{policy}</include>") as bus:
        yield bus


def agent_uid() -> int:
    return pwd.getpwnam(AGENTS_STAND_IN).pw_uid


def uid_of(who: str) -> int:
    return {"root": ROOT, "agent": agent_uid(), "nobody": NOBODY}[who]


async def serve(bus: Bus, endpoint: Endpoint) -> None:
    async def ping(_caller: Caller) -> tuple[object, ...]:
        return ()

    bus.export(endpoint.path, Interface(endpoint.interface, (Method("Touch", ping),)))
    await bus.request_name(endpoint.destination)


async def outcome(bus: Bus, endpoint: Endpoint) -> str:
    """The error name of a call, or ``done``."""
    try:
        await bus.call(endpoint, "Touch")
    except CallFailed as error:
        return error.error_name
    return "done"


@pytest.mark.parametrize(
    ("who", "name", "may"),
    [
        ("root", ENGINE.destination, True),
        ("agent", ENGINE.destination, False),
        ("nobody", ENGINE.destination, False),
        ("agent", AGENT.destination, True),
        ("nobody", AGENT.destination, False),
    ],
)
def test_who_may_be_it(daemon: PrivateBus, who: str, name: str, may: bool) -> None:
    async def scenario() -> None:
        bus = await connect_as(uid_of(who), daemon.address)
        if may:
            await bus.request_name(name)
        else:
            with pytest.raises(CallFailed) as caught:
                await bus.request_name(name)
            assert caught.value.error_name == errors.ACCESS_DENIED
        await bus.close()

    run(scenario())


@pytest.mark.parametrize(("who", "answer"), [("root", "done"), ("agent", "done"), ("nobody", errors.ACCESS_DENIED)])
def test_who_may_call_the_helper(daemon: PrivateBus, who: str, answer: str) -> None:
    async def scenario() -> None:
        helper, caller = await connect_as(ROOT, daemon.address), await connect_as(uid_of(who), daemon.address)
        await serve(helper, ENGINE)
        assert await outcome(caller, ENGINE) == answer
        await caller.close()
        await helper.close()

    run(scenario())


@pytest.mark.parametrize("who", ["root", "nobody"])
def test_anybody_may_ask_the_agent_whatever_polkit_says_then(daemon: PrivateBus, who: str) -> None:
    async def scenario() -> None:
        agent, caller = await connect_as(agent_uid(), daemon.address), await connect_as(uid_of(who), daemon.address)
        await serve(agent, AGENT)
        assert await outcome(caller, AGENT) == "done"
        await caller.close()
        await agent.close()

    run(scenario())
