"""Clients of system services, with fakes of these on a real bus."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from tests.fakes.asyncs import run, until
from tests.fakes.logind import OPERATION_IN_PROGRESS, FakeLogind
from tests.fakes.polkit import FakePolkit
from tests.fakes.private_bus import PrivateBus
from tests.fakes.systemd1 import FakeSystemd1
from tidegate.bus import errors
from tidegate.bus.bus import Bus
from tidegate.bus.errors import CallFailed, ErrorReply
from tidegate.bus.interface import Caller
from tidegate.errors import ErrorKind, TidegateError
from tidegate.services.inhibitors import Inhibitor
from tidegate.services.logind import Logind
from tidegate.services.polkit import check_authorization
from tidegate.services.power import LogindPower
from tidegate.services.systemd import Systemd, UnitState
from tidegate.system.reboot import RebootAccepted, RebootKind, RebootRefused


@asynccontextmanager
async def beside(daemon: PrivateBus, *serve: Callable[[Bus], Awaitable[None]]) -> AsyncGenerator[Bus]:
    """A connection to a bus on which ``serve`` are being served."""
    server, client = await Bus.connect(daemon.address), await Bus.connect(daemon.address)
    for one in serve:
        await one(server)
    try:
        yield client
    finally:
        await client.close()
        await server.close()


@pytest.mark.parametrize(("version", "method"), [(247, "Reboot"), (252, "RebootWithFlags"), (257, "RebootWithFlags")])
def test_reboot(daemon: PrivateBus, version: int, method: str) -> None:
    async def scenario() -> None:
        fake = FakeLogind(version)
        async with beside(daemon, fake.serve) as bus:
            logind, signals = Logind(bus), list[bool]()
            await logind.on_prepare_for_shutdown(signals.append)
            assert not await logind.preparing_for_shutdown()
            await logind.reboot()
            assert fake.reboots == [method]
            assert await logind.preparing_for_shutdown()
            fake.prepare(False)
            await until(lambda: signals == [True, False])

    run(scenario())


def test_a_second_reboot_is_refused(daemon: PrivateBus) -> None:
    async def scenario() -> None:
        fake = FakeLogind()
        async with beside(daemon, fake.serve) as bus:
            await Logind(bus).reboot()
            with pytest.raises(CallFailed) as failed:
                await Logind(bus).reboot()
            assert failed.value.error_name == OPERATION_IN_PROGRESS
            assert len(fake.reboots) == 1

    run(scenario())


@pytest.mark.parametrize(
    ("version", "error_name"),
    [
        (247, errors.INTERACTIVE_AUTHORIZATION_REQUIRED),
        (252, errors.INTERACTIVE_AUTHORIZATION_REQUIRED),
        (257, errors.ACCESS_DENIED),
    ],
)
def test_a_block_is_a_refusal_that_power_explains(daemon: PrivateBus, version: int, error_name: str) -> None:
    async def scenario() -> None:
        fake = FakeLogind(version)
        fake.inhibit("backup", "backup running")
        fake.inhibit("mail", "queue", mode="delay")
        async with beside(daemon, fake.serve) as bus:
            logind = Logind(bus)
            assert await logind.inhibitors() == (
                Inhibitor(frozenset({"shutdown", "sleep"}), "backup", "backup running", "block"),
                Inhibitor(frozenset({"shutdown", "sleep"}), "mail", "queue", "delay"),
            )
            with pytest.raises(CallFailed) as failed:
                await logind.reboot()
            assert failed.value.error_name == error_name
            answer = await LogindPower(logind).go_down(RebootKind.REBOOT, "an update")
            assert isinstance(answer, RebootRefused)
            assert answer.reason == "backup holds shutdowns back: backup running"
            assert (fake.reboots, fake.wall_messages) == ([], [])

    run(scenario())


@pytest.mark.parametrize(
    ("what", "mode", "blocks"),
    [
        ("shutdown", "block", True),
        ("sleep:shutdown:idle", "block", True),
        ("sleep", "block", False),
        ("shutdown", "delay", False),
        ("handle-shutdown-key", "block", False),
    ],
)
def test_what_blocks_a_shutdown(what: str, mode: str, blocks: bool) -> None:
    assert Inhibitor(frozenset(what.split(":")), "who", "why", mode).blocks_shutdown is blocks


def test_power_reboots_and_announces_it(daemon: PrivateBus) -> None:
    async def scenario() -> None:
        fake = FakeLogind()
        fake.inhibit("mail", "queue", mode="delay")
        async with beside(daemon, fake.serve) as bus:
            power = LogindPower(Logind(bus))
            assert await power.go_down(RebootKind.REBOOT, "into 2") == RebootAccepted()
            assert fake.wall_messages == ["into 2"]
            assert await power.shutting_down()
            assert isinstance(await power.go_down(RebootKind.REBOOT, "into 2"), RebootRefused)

    run(scenario())


def test_power_without_the_polkit_rule_says_what_is_missing(daemon: PrivateBus) -> None:
    async def scenario() -> None:
        async with beside(daemon, FakeLogind(polkit_allows=False).serve) as bus:
            answer = await LogindPower(Logind(bus)).go_down(RebootKind.REBOOT, "into 2")
            assert isinstance(answer, RebootRefused)
            assert "polkit" in answer.remedy

    run(scenario())


def test_no_logind(daemon: PrivateBus) -> None:
    async def scenario() -> None:
        async with beside(daemon) as bus:
            for ask in (Logind(bus).reboot(), Logind(bus).inhibitors(), Logind(bus).preparing_for_shutdown()):
                with pytest.raises(TidegateError, match="logind does not answer") as failed:
                    await ask
                assert failed.value.kind is ErrorKind.REBOOT_UNREACHABLE

    run(scenario())


def test_the_bus_dies_over_the_reboot(daemon: PrivateBus) -> None:
    """Nothing is known then; above all it is not a refusal."""

    async def scenario() -> None:
        fake = FakeLogind()

        def die(_active: bool) -> None:
            daemon.kill()

        async with beside(daemon, fake.serve) as bus:
            await Logind(bus).on_prepare_for_shutdown(die)
            fake.prepare = lambda active: daemon.kill()  # type: ignore[method-assign]  # the shutdown is faster than the answer
            with pytest.raises(TidegateError) as failed:
                await LogindPower(Logind(bus)).go_down(RebootKind.REBOOT, "into 2")
            assert failed.value.kind is ErrorKind.BUS_UNREACHABLE
            assert fake.reboots == ["RebootWithFlags"]

    run(scenario())


def test_units(daemon: PrivateBus) -> None:
    async def scenario() -> None:
        well = UnitState("loaded", "active", "active")
        fake = FakeSystemd1(units={"boot-complete.target": well})
        async with beside(daemon, fake.serve) as bus:
            systemd = Systemd(bus)
            assert await systemd.unit_state("boot-complete.target") == well
            assert (await systemd.unit_state("no-such.service")).load == "not-found"

    run(scenario())


@pytest.mark.parametrize(("soft_reboots", "count"), [(None, 0), (0, 0), (2, 2)])
def test_soft_reboots(daemon: PrivateBus, soft_reboots: int | None, count: int) -> None:
    async def scenario() -> None:
        async with beside(daemon, FakeSystemd1(soft_reboots=soft_reboots).serve) as bus:
            assert await Systemd(bus).soft_reboots_count() == count

    run(scenario())


def test_no_systemd(daemon: PrivateBus) -> None:
    async def scenario() -> None:
        async with beside(daemon) as bus:
            with pytest.raises(CallFailed):
                await Systemd(bus).soft_reboots_count()

    run(scenario())


CALLER = Caller(":1.7", 1000, 4711)


def test_polkit_decides(daemon: PrivateBus) -> None:
    async def scenario() -> None:
        polkit = FakePolkit("org.tidegate.agent1.check")
        async with beside(daemon, polkit.serve) as bus:
            assert await check_authorization(bus, CALLER, "org.tidegate.agent1.check")
            assert not await check_authorization(bus, CALLER, "org.tidegate.agent1.apply")
            subject = ("system-bus-name", {"name": ":1.7"})
            assert polkit.asked[0] == (subject, "org.tidegate.agent1.check", {}, 0, "")

    run(scenario())


def test_polkit_may_prompt_the_user_of_a_caller_that_says_so(daemon: PrivateBus) -> None:
    async def scenario() -> None:
        polkit = FakePolkit("org.tidegate.agent1.check")
        async with beside(daemon, polkit.serve) as bus:
            assert await check_authorization(bus, replace(CALLER, may_interact=True), "org.tidegate.agent1.check")
            assert polkit.asked[0][3] == 1

    run(scenario())


def test_no_polkit_or_one_that_fails_allows_nothing(daemon: PrivateBus, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with beside(daemon) as bus:
            assert not await check_authorization(bus, CALLER, "org.tidegate.agent1.check")
        failing = FakePolkit("org.tidegate.agent1.check", error=ErrorReply(errors.ACCESS_DENIED, "not for you"))
        async with beside(daemon, failing.serve) as bus:
            assert not await check_authorization(bus, CALLER, "org.tidegate.agent1.check")
            daemon.kill()
            await asyncio.wait_for(bus.closed.wait(), 5)
            assert not await check_authorization(bus, CALLER, "org.tidegate.agent1.check")

    with caplog.at_level(logging.WARNING):
        run(scenario())
    assert len(caplog.records) == 3
