"""One verb at a time, and stagings whose callers have disconnected."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager

import pytest

from tests.fakes.asyncs import run
from tests.fakes.engine import FakeEngine, FakeHost, Hold, payload_of
from tidegate.engines.base import Progress
from tidegate.errors import ErrorKind, TidegateError
from tidegate.helper.idle import Idle
from tidegate.helper.jobs import Jobs
from tidegate.release import Release


class Bench:
    """Jobs over a fake engine. ``told`` is the progress that was heard."""

    def __init__(self) -> None:
        self.host = FakeHost("1")
        self.engine = FakeEngine(self.host)
        self.told: list[tuple[str, Progress]] = []
        self.jobs = Jobs(Idle(1000), lambda payload, progress: self.told.append((payload, progress)))

    def stage(self, version: str) -> asyncio.Task[None]:
        return asyncio.create_task(self.jobs.stage(self.engine, self.host.publish(version)))

    async def arm(self, version: str) -> None:
        await self.jobs.run("arm", lambda: self.engine.arm(payload_of(version)))

    @asynccontextmanager
    async def staging(self, version: str) -> AsyncGenerator[tuple[asyncio.Task[None], Hold]]:
        """A staging that stands still half-way."""
        with self.engine.hold("stage") as hold:
            task = self.stage(version)
            await hold.reached.wait()
            yield task, hold

    @property
    def stagings(self) -> int:
        return [call.verb for call in self.engine.calls].count("stage")


async def refused(doing: Coroutine[object, object, object]) -> TidegateError:
    with pytest.raises(TidegateError) as caught:
        await doing
    return caught.value


async def abandon(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()


def test_a_staging_reports_and_ends() -> None:
    async def scenario() -> None:
        bench = Bench()
        await bench.stage("2")
        assert bench.host.staged is not None
        assert {payload for payload, _ in bench.told} == {payload_of("2")}
        assert bench.told[-1][1].fraction == 1.0
        assert bench.jobs.under_way == ""

    run(scenario())


def test_a_second_one_for_the_same_release_joins() -> None:
    async def scenario() -> None:
        bench = Bench()
        async with bench.staging("2") as (first, hold):
            second = bench.stage("2")
            await asyncio.sleep(0)
            hold.release()
            await asyncio.gather(first, second)
        assert bench.stagings == 1

    run(scenario())


def test_whoever_joined_gets_the_error_as_well() -> None:
    async def scenario() -> None:
        bench = Bench()
        async with bench.staging("2") as (first, hold):
            second = bench.stage("2")
            await asyncio.sleep(0)
            bench.host.remote_down = True
            hold.release()
            for task in (first, second):
                with pytest.raises(TidegateError) as caught:
                    await task
                assert caught.value.kind is ErrorKind.ENGINE_REMOTE_DOWN
        bench.host.remote_down = False
        await bench.stage("2")

    run(scenario())


def test_others_are_told_what_runs() -> None:
    async def scenario() -> None:
        bench = Bench()
        async with bench.staging("2") as (first, hold):
            assert bench.jobs.under_way == "stage 2"
            for other in (bench.arm("2"), bench.jobs.stage(bench.engine, bench.host.publish("3"))):
                error = await refused(other)
                assert error.kind is ErrorKind.ENGINE_BUSY
                assert "stage 2 is under way" in error.message
            hold.release()
            await first
        with bench.engine.hold("arm") as hold:
            arming = asyncio.create_task(bench.arm("2"))
            await hold.reached.wait()
            error = await refused(bench.jobs.stage(bench.engine, bench.host.publish("3")))
            assert "arm is under way" in error.message
            hold.release()
            await arming

    run(scenario())


def test_an_orphan_goes_on_and_is_joined_by_who_comes_back() -> None:
    async def scenario() -> None:
        bench = Bench()
        async with bench.staging("2") as (first, hold):
            await abandon(first)
            assert bench.jobs.under_way == "stage 2"
            again = bench.stage("2")
            await asyncio.sleep(0)
            hold.release()
            await again
        assert bench.stagings == 1
        assert bench.host.transferred_bytes == bench.host.remote[payload_of("2")]

    run(scenario())


def test_an_orphan_ends_by_itself() -> None:
    async def scenario() -> None:
        bench = Bench()
        async with bench.staging("2") as (first, hold):
            await abandon(first)
            hold.release()
            while bench.jobs.under_way:
                await asyncio.sleep(0)
        assert bench.host.staged is not None
        await bench.arm("2")

    run(scenario())


def test_an_orphan_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        bench = Bench()
        async with bench.staging("2") as (first, hold):
            await abandon(first)
            bench.host.remote_down = True
            hold.release()
            while bench.jobs.under_way:
                await asyncio.sleep(0)

    with caplog.at_level(logging.WARNING):
        run(scenario())
    assert "the staging of 2 failed after its caller had disconnected" in caplog.text


def test_an_orphan_gives_way_to_everything_else() -> None:
    async def scenario() -> None:
        bench = Bench()
        async with bench.staging("2") as (first, hold):
            await abandon(first)
            other = bench.stage("3")
            hold.release()
            await other
        assert bench.host.staged is not None
        assert bench.host.staged.version == "3"
        async with bench.staging("4") as (first, hold):
            await abandon(first)
            await bench.arm("3")
        assert not bench.host.staged.locked

    run(scenario())


def test_an_orphan_that_somebody_joined_again_is_none() -> None:
    async def scenario() -> None:
        bench = Bench()
        async with bench.staging("2") as (first, hold):
            await abandon(first)
            again = bench.stage("2")
            await asyncio.sleep(0)
            assert (await refused(bench.arm("2"))).kind is ErrorKind.ENGINE_BUSY
            hold.release()
            await again

    run(scenario())


def test_two_that_wait_for_an_orphan_to_go_do_not_both_run() -> None:
    async def scenario() -> None:
        bench = Bench()
        async with bench.staging("2") as (first, _hold):
            await abandon(first)
            with bench.engine.hold("disarm") as held:
                tasks = [asyncio.create_task(bench.jobs.run(verb, lambda: bench.engine.disarm("x"))) for verb in "ab"]
                await held.reached.wait()
                held.release()
                came = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in came] == [type(None), TidegateError]

    run(scenario())


def test_a_cancelled_staging_is_told_to_who_waits() -> None:
    async def scenario() -> None:
        bench = Bench()
        async with bench.staging("2") as (first, _hold):
            await bench.jobs.cancel_stage()
            assert bench.jobs.under_way == ""
            with pytest.raises(TidegateError) as caught:
                await first
            assert caught.value.kind is ErrorKind.ENGINE_CANCELLED
        await bench.jobs.cancel_stage()

    run(scenario())


def test_after_closing_nothing_is_staged_but_verbs_run() -> None:
    async def scenario() -> None:
        bench = Bench()
        await bench.stage("2")
        async with bench.staging("3") as (first, _hold):
            await bench.jobs.close()
            with pytest.raises(TidegateError):
                await first
        error = await refused(bench.jobs.stage(bench.engine, Release("3", payload_of("3"))))
        assert error.kind is ErrorKind.ENGINE_BUSY
        await bench.arm("2")

    run(scenario())


def test_a_verb_that_fails_makes_room() -> None:
    async def scenario() -> None:
        bench = Bench()
        assert (await refused(bench.arm("2"))).kind is ErrorKind.ENGINE_NOT_STAGED
        await bench.stage("2")
        await bench.arm("2")

    run(scenario())


def test_idle_only_when_nothing_goes_on() -> None:
    async def scenario() -> None:
        idle = Idle(0.0)
        with idle.busy():
            with idle.busy():
                pass
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(idle.wait(), 0.01)
        await idle.wait()

    run(scenario())
