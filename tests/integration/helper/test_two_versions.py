"""Agent and helper of two versions, which run side by side while a package is upgraded."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from tests.fakes.asyncs import run
from tests.fakes.engine import Call, FakeEngine, FakeHost, deployment, payload_of
from tests.fakes.first_engine1 import FIRST, FirstAgent, FirstHelper
from tests.fakes.private_bus import private_bus, settle, two
from tests.fakes.served_engine import serving
from tidegate.engines.base import EngineTraits, FinalizeFailure, Progress, RebootOwner, StagedDeployment
from tidegate.engines.remote import RemoteEngine
from tidegate.errors import ErrorKind, TidegateError
from tidegate.release import Release


@pytest.fixture(scope="module")
def address() -> Generator[str]:
    """The address of a real dbus-daemon."""
    with private_bus() as bus:
        yield bus.address


@dataclass(frozen=True, slots=True)
class WithOldHelper:
    """Today's agent in front of a helper of the first version."""

    engine: FakeEngine
    helper: FirstHelper
    agent: RemoteEngine

    @property
    def host(self) -> FakeHost:
        return self.engine.host


@asynccontextmanager
async def old_helper(address: str) -> AsyncGenerator[WithOldHelper]:
    async with two(address) as (helper_bus, agent_bus):
        engine = FakeEngine(FakeHost("1"))
        helper = FirstHelper(helper_bus, engine)
        await helper_bus.request_name(FIRST.destination)
        yield WithOldHelper(engine, helper, RemoteEngine(agent_bus))
        await settle(agent_bus, helper_bus)


@asynccontextmanager
async def old_agent(address: str, engine: FakeEngine) -> AsyncGenerator[FirstAgent]:
    """An agent of the first version in front of today's helper."""
    async with two(address) as (helper_bus, agent_bus), serving(helper_bus, engine):
        yield FirstAgent(agent_bus)


async def refused(doing: Awaitable[object]) -> TidegateError:
    with pytest.raises(TidegateError) as caught:
        await doing
    return caught.value


def test_an_old_helpers_status_is_read_with_default_traits(address: str) -> None:
    async def main() -> None:
        async with old_helper(address) as at:
            at.host.finalize_failure = FinalizeFailure("no room in /boot")
            at.host.stage_by_hand("2")
            seen = await at.engine.status()
            assert await at.agent.status() == replace(seen, booted_by_current_menu=None), "nothing proves it"
            assert (at.agent.name, at.agent.traits) == ("ostree", EngineTraits())

    run(main())


def test_an_old_helper_stages_without_metadata(address: str) -> None:
    async def main() -> None:
        async with old_helper(address) as at:
            at.host.publish("2")
            heard: list[Progress] = []
            await at.agent.stage(Release("2", payload_of("2"), 2, {"size": "12"}), heard.append)
            assert at.host.staged == StagedDeployment("2", payload_of("2"), locked=True)
            assert heard

    run(main())


def test_an_old_helpers_latest_is_read(address: str) -> None:
    async def main() -> None:
        async with old_helper(address) as at:
            at.host.publish("2")
            at.host.end_of_life = "the last one"
            assert await at.agent.latest() == await at.engine.latest()

    run(main())


def test_an_old_helper_rolls_back_to_the_target(address: str) -> None:
    async def main() -> None:
        async with old_helper(address) as at:
            at.host.stage_by_hand("2")
            at.host.reboot()
            for _ in range(2):
                await at.agent.rollback(payload_of("1"))
                assert (await at.agent.status()).next_boot == payload_of("1")

    run(main())


def test_an_old_helper_is_not_asked_for_a_rollback_to_another_release(address: str) -> None:
    async def main() -> None:
        async with old_helper(address) as at:
            at.host.stage_by_hand("2")
            at.host.reboot()
            error = await refused(at.agent.rollback(payload_of("3")))
            assert error.kind is ErrorKind.ENGINE_NO_ROLLBACK
            assert (await at.agent.status()).next_boot == payload_of("2")

    run(main())


def test_a_rollback_of_an_old_helper_that_leads_elsewhere_is_taken_back(address: str) -> None:
    async def main() -> None:
        async with old_helper(address) as at:
            at.host.stage_by_hand("2")
            at.host.reboot()
            at.host.entries.append(deployment("0"))
            at.helper.rolls_back_to = deployment("0")
            error = await refused(at.agent.rollback(payload_of("1")))
            assert error.kind is ErrorKind.ENGINE_NO_ROLLBACK
            assert "0 (" in error.message
            assert (await at.agent.status()).next_boot == payload_of("2")

    run(main())


def test_an_old_helper_that_lacks_more_is_unreachable(address: str) -> None:
    async def main() -> None:
        async with old_helper(address) as at:
            error = await refused(at.agent.arm(payload_of("2")))
            assert error.kind is ErrorKind.ENGINE_UNREACHABLE
            assert "another version" in error.message

    run(main())


def test_an_old_agent_updates_with_a_new_helper(address: str) -> None:
    async def main() -> None:
        engine = FakeEngine(FakeHost("1"))
        async with old_agent(address, engine) as agent:
            engine.host.publish("2")
            booted, newest, ending = await agent.latest()
            assert (booted, newest, ending) == (("1", payload_of("1"), (1,)), ("2", payload_of("2"), (2,)), ())
            await agent.stage("2", payload_of("2"))
            status = await agent.status()
            assert (status["engine"], status["reboot_owner"]) == ("ostree", "agent")
            assert status["staged"] == (("2", payload_of("2"), True),)
            assert (status["finalize_failure"], status["rollback"]) == ((), ())
            await agent.verb("Arm", payload_of("2"))
            await agent.verb("Disarm", payload_of("2"))
            await agent.verb("Discard", payload_of("2"))
            await agent.verb("MarkGood", payload_of("1"))
            await agent.prune_rollback()

    run(main())


def test_an_old_agent_gets_a_failure_as_a_text(address: str) -> None:
    async def main() -> None:
        engine = FakeEngine(FakeHost("1"), traits=EngineTraits(reboots=RebootOwner.ENGINE))
        engine.host.finalize_failure = FinalizeFailure("no room in /boot", payload_of("2"))
        async with old_agent(address, engine) as agent:
            status = await agent.status()
            assert (status["finalize_failure"], status["reboot_owner"]) == (("no room in /boot",), "engine")

    run(main())


def test_an_old_agent_is_told_where_its_rollback_leads(address: str) -> None:
    async def main() -> None:
        engine = FakeEngine(FakeHost("1"))
        async with old_agent(address, engine) as agent:
            assert (await refused(agent.rollback())).kind is ErrorKind.ENGINE_NO_ROLLBACK
            engine.host.stage_by_hand("2")
            engine.host.reboot()
            assert await agent.rollback() == ("1", payload_of("1"))
            assert (await agent.status())["rollback"] == (("1", payload_of("1")),)
            assert engine.calls[-2] == Call("rollback", payload_of("1"))

    run(main())
