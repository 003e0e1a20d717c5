"""Concurrent requests share one run."""

from __future__ import annotations

import asyncio

import pytest

from tests.fakes.asyncs import run, until
from tidegate.bus.single_flight import SingleFlight


class Work:
    """Answers with its number, once it is let."""

    def __init__(self) -> None:
        self.begun = 0
        self.let = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> int:
        self.begun += 1
        number = self.begun
        await self.let.wait()
        if self.error is not None:
            raise self.error
        return number


def test_whoever_asks_meanwhile_shares_the_next_turn() -> None:
    async def scenario() -> None:
        work = Work()
        turns = SingleFlight(work)
        first = asyncio.ensure_future(turns.ask())
        await until(lambda: work.begun == 1)
        others = [asyncio.ensure_future(turns.ask()) for _ in range(100)]
        await asyncio.sleep(0)
        assert work.begun == 1, "never two at once"
        work.let.set()
        assert await first == 1, "which began before the others asked"
        assert await asyncio.gather(*others) == [2] * 100
        assert await turns.ask() == 3

    run(scenario())


def test_who_gives_up_takes_the_answer_from_nobody() -> None:
    async def scenario() -> None:
        work = Work()
        turns = SingleFlight(work)
        leaving, staying = (asyncio.ensure_future(turns.ask()) for _ in range(2))
        await until(lambda: work.begun == 1)
        leaving.cancel()
        await asyncio.sleep(0)
        work.let.set()
        assert await staying == 1
        assert leaving.cancelled()

    run(scenario())


def test_a_failure_is_for_those_who_waited_and_is_not_kept() -> None:
    async def scenario() -> None:
        work = Work()
        work.let.set()
        work.error = ValueError("broken")
        turns = SingleFlight(work)
        results = await asyncio.gather(turns.ask(), turns.ask(), return_exceptions=True)
        assert [str(error) for error in results] == ["broken", "broken"]
        work.error = None
        assert await turns.ask() == 2

    run(scenario())


def test_a_failure_that_nobody_waits_for_any_more_is_no_noise() -> None:
    """asyncio tells of exceptions that nobody looked at; here that would be a warning, and fail the test."""

    async def scenario() -> None:
        work = Work()
        work.error = ValueError("broken")
        turns = SingleFlight(work)
        waiting = asyncio.ensure_future(turns.ask())
        await until(lambda: work.begun == 1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        work.let.set()

    run(scenario())
