"""Whether the host goes down, where logind is started anew or says nothing more, on a real bus."""

from __future__ import annotations

import pytest

from tests.fakes.asyncs import run, until
from tests.fakes.logind import FakeLogind
from tests.fakes.private_bus import PrivateBus
from tidegate.bus.bus import Bus
from tidegate.services import shutdown
from tidegate.services.logind import Logind
from tidegate.services.shutdown import ShutdownWatch


async def watched(bus: Bus) -> list[bool]:
    """What is heard on ``bus`` from now on."""
    heard = list[bool]()
    await ShutdownWatch(bus, Logind(bus), heard.append).start()
    return heard


def test_a_logind_that_is_started_anew_has_forgotten_the_shutdown(daemon: PrivateBus) -> None:
    async def scenario() -> None:
        client = await Bus.connect(daemon.address)
        first, second = await Bus.connect(daemon.address), await Bus.connect(daemon.address)
        old, new = FakeLogind(), FakeLogind()
        await old.serve(first)
        heard = await watched(client)
        old.prepare(True)
        await until(lambda: heard == [True])
        await first.close()
        await new.serve(second)
        await until(lambda: heard == [True, False])
        await client.close()
        await second.close()

    run(scenario())


def test_a_shutdown_whose_end_was_missed_is_asked_about_again(
    daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutdown, "AGAIN_SECS", 0.05)

    async def scenario() -> None:
        client, server = await Bus.connect(daemon.address), await Bus.connect(daemon.address)
        logind = FakeLogind()
        await logind.serve(server)
        heard = await watched(client)
        logind.prepare(True)
        await until(lambda: len(heard) > 2)
        assert set(heard) == {True}, "it is under way still"
        logind.preparing = False  # and no signal says so
        await until(lambda: heard[-1] is False)
        count = len(heard)
        logind.prepare(True)
        await until(lambda: len(heard) > count and heard[-1])
        await client.close()
        await server.close()

    run(scenario())


def test_a_logind_that_does_not_answer_is_asked_again(daemon: PrivateBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutdown, "AGAIN_SECS", 0.05)

    async def scenario() -> None:
        client, first = await Bus.connect(daemon.address), await Bus.connect(daemon.address)
        old = FakeLogind()
        await old.serve(first)
        heard = await watched(client)
        old.prepare(True)
        await until(lambda: heard == [True])
        await first.close()
        second = await Bus.connect(daemon.address)
        await FakeLogind().serve(second)
        await until(lambda: heard[-1] is False)
        await client.close()
        await second.close()

    run(scenario())
