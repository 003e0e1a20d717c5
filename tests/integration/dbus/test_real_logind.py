"""Reboots through the real systemd-logind of this host: inhibitors, delays, refusals, signals."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable

import pytest

from tests.fakes.asyncs import run, until
from tests.fakes.logind import OPERATION_IN_PROGRESS
from tests.integration.dbus.real_logind import NOBODY, RealLogind, connect_as, gone, missing, real_logind
from tidegate.bus.errors import CallFailed
from tidegate.errors import ErrorKind, TidegateError
from tidegate.services.inhibitors import Inhibitor
from tidegate.services.logind import MANAGER, Logind
from tidegate.services.power import LogindPower
from tidegate.system.reboot import RebootAccepted, RebootKind, RebootRefused

WHY_NOT = missing()
pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]


def beside(scenario: Callable[[RealLogind], Awaitable[None]]) -> None:
    """Run ``scenario`` beside a fresh logind."""

    async def whole() -> None:
        async with real_logind() as logind:
            await scenario(logind)

    run(whole())


def test_a_reboot_is_announced_and_begun() -> None:
    async def scenario(real: RealLogind) -> None:
        logind, signals = Logind(real.bus), list[bool]()
        await logind.on_prepare_for_shutdown(signals.append)
        assert (
            await LogindPower(logind).go_down(RebootKind.REBOOT, "Tidegate reboots this host into 2.")
            == RebootAccepted()
        )
        await until(lambda: real.systemd.started == ["reboot.target"])
        assert signals == [True]

    beside(scenario)


def test_a_block_is_seen_and_named_and_ends() -> None:
    async def scenario(real: RealLogind) -> None:
        logind = Logind(real.bus)
        lock = await real.inhibit("block")
        assert await logind.inhibitors() == (Inhibitor(frozenset({"shutdown"}), "backup", "backup running", "block"),)
        # systemd 252 would let root through: this is why they are looked at first.
        assert await LogindPower(logind).go_down(RebootKind.REBOOT, "x") == RebootRefused(
            "backup holds shutdowns back: backup running", "wait for it, or end it: systemd-inhibit --list"
        )
        assert real.systemd.started == []
        os.close(lock)
        while await logind.inhibitors():  # logind has no signal for it
            await asyncio.sleep(0.01)
        assert await LogindPower(logind).go_down(RebootKind.REBOOT, "x") == RebootAccepted()

    beside(scenario)


def test_a_delay_lets_the_shutdown_begin_and_holds_its_end() -> None:
    async def scenario(real: RealLogind) -> None:
        logind = Logind(real.bus)
        lock = await real.inhibit("delay")
        assert not await logind.preparing_for_shutdown()
        assert await LogindPower(logind).go_down(RebootKind.REBOOT, "x") == RebootAccepted()
        assert await logind.preparing_for_shutdown()
        assert real.systemd.started == []
        with pytest.raises(CallFailed) as failed:
            await logind.reboot()
        assert failed.value.error_name == OPERATION_IN_PROGRESS
        again = await LogindPower(logind).go_down(RebootKind.REBOOT, "x")
        assert isinstance(again, RebootRefused)
        assert again.reason == "another shutdown or sleep is in progress"
        os.close(lock)
        await until(lambda: real.systemd.started == ["reboot.target"])

    beside(scenario)


def test_without_polkit_a_user_is_refused() -> None:
    async def scenario(real: RealLogind) -> None:
        bus = await connect_as(NOBODY, real.daemon.address)
        answer = await LogindPower(Logind(bus)).go_down(RebootKind.REBOOT, "x")
        assert isinstance(answer, RebootRefused)
        assert "polkit" in answer.remedy
        assert real.systemd.started == []
        await bus.close()

    beside(scenario)


def test_a_logind_that_is_gone_is_no_refusal() -> None:
    async def scenario(real: RealLogind) -> None:
        real.process.kill()
        await gone(real.bus, MANAGER.destination)
        with pytest.raises(TidegateError) as failed:
            await LogindPower(Logind(real.bus)).go_down(RebootKind.REBOOT, "x")
        assert failed.value.kind is ErrorKind.REBOOT_UNREACHABLE

    beside(scenario)


def test_a_shutdown_that_cannot_begin_is_called_off() -> None:
    """Nobody starts ``reboot.target``: logind takes its word back."""

    async def scenario(real: RealLogind) -> None:
        logind, signals = Logind(real.bus), list[bool]()
        await logind.on_prepare_for_shutdown(signals.append)
        lock = await real.inhibit("delay")
        await logind.reboot()
        await real.systemd.leave()
        os.close(lock)
        await until(lambda: signals == [True, False])
        assert not await logind.preparing_for_shutdown()

    beside(scenario)
