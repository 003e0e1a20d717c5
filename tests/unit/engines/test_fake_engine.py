"""The fake engine keeps to its traits, and succeeds without effect when it is to: scenarios rely on that."""

from __future__ import annotations

from collections.abc import Awaitable

import pytest

from tests.fakes.asyncs import run
from tests.fakes.engine import FakeEngine, FakeHost, payload_of
from tidegate.engines.base import EngineTraits, Progress, RebootOwner
from tidegate.errors import ErrorKind, TidegateError

TWO = payload_of("2")


def ignore(_progress: Progress) -> None: ...


async def staged(engine: FakeEngine) -> FakeEngine:
    await engine.stage(engine.host.publish("2"), ignore)
    return engine


async def refused(doing: Awaitable[object]) -> ErrorKind:
    with pytest.raises(TidegateError) as caught:
        await doing
    return caught.value.kind


def test_what_the_traits_exclude_is_refused() -> None:
    async def scenario() -> None:
        traits = EngineTraits(stages_locked=False, can_disarm=False, can_rollback=False, can_discard=False)
        engine = await staged(FakeEngine(FakeHost("1"), traits=traits))
        assert (await engine.status()).next_boot == TWO, "staging is arming"
        assert (await engine.status()).traits == engine.traits == traits
        for doing in (engine.disarm(TWO), engine.discard(TWO), engine.rollback(payload_of("1"))):
            assert await refused(doing) is ErrorKind.ENGINE_UNSUPPORTED_VERB
        engine.host.reboot()
        status = await engine.status()
        assert (status.booted.version, status.rollback) == ("2", None)

    run(scenario())


def test_an_engine_that_reboots_does_so_when_it_arms() -> None:
    async def scenario() -> None:
        engine = await staged(FakeEngine(FakeHost("1"), traits=EngineTraits(reboots=RebootOwner.ENGINE)))
        await engine.arm(TWO)
        assert engine.host.booted.version == "2"
        assert len(engine.host.boots) == 2

    run(scenario())


def test_a_lie_is_a_success_without_effect() -> None:
    async def scenario() -> None:
        engine = await staged(FakeEngine(FakeHost("1")))
        engine.lie("arm")
        await engine.arm(TWO)
        assert (await engine.status()).next_boot == payload_of("1")
        engine.be_honest()
        await engine.arm(TWO)
        engine.lie("disarm")
        await engine.disarm(TWO)
        assert (await engine.status()).next_boot == TWO
        engine.host.reboot()
        engine.lie("rollback")
        await engine.rollback(payload_of("1"))
        assert (await engine.status()).next_boot == TWO
        assert await refused(engine.rollback(payload_of("7"))) is ErrorKind.ENGINE_NO_ROLLBACK
        with pytest.raises(ValueError, match="status"):
            engine.lie("status")

    run(scenario())


def test_a_slow_verb_takes_its_time() -> None:
    pauses: list[float] = []

    async def sleep(secs: float) -> None:
        pauses.append(secs)

    async def scenario() -> None:
        engine = await staged(FakeEngine(FakeHost("1"), sleep=sleep))
        engine.slow("arm", 90.0)
        await engine.arm(TWO)
        assert pauses == [90.0]

    run(scenario())
