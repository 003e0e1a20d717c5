"""Batching of many callers into one compare-and-swap, on a store that fails, hangs and conflicts."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from tests.fakes.asyncs import run, until
from tests.fakes.clock import START, FakeClock
from tests.fakes.memory_store import MemoryStore, Trouble
from tidegate.coordinator import combiner as module
from tidegate.coordinator.combiner import DENIAL_AGE_SECS, Combiner, Setting
from tidegate.coordinator.group_clock import GroupTime
from tidegate.coordinator.group_state import MAX_CHANGES, decide
from tidegate.coordinator.model import (
    Answer,
    AuditEvent,
    Call,
    DenialKind,
    Denied,
    ForceRelease,
    Granted,
    Released,
    Rules,
    SyncSlots,
)
from tidegate.errors import ErrorKind, TidegateError
from tidegate.fleetlock.protocol import ClientParams, Verb

FREED, NOTHING = Released(held=True), Released(held=False)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_SECS", 0)


def lock(host: str) -> Call:
    return Call(Verb.PRE_REBOOT, ClientParams(host, "g"), "::1")


def unlock(host: str) -> Call:
    return Call(Verb.STEADY_STATE, ClientParams(host, "g"), "::1")


class Lab:
    """A combiner on a store in memory."""

    def __init__(self, slots: int, timeout_secs: float) -> None:
        self.store, self.clock, self.heard = MemoryStore(), FakeClock(), list[AuditEvent]()
        setting = Setting(self.clock, self.heard.append, timeout_secs)
        self.combiner = Combiner("g", self.store, Rules(slots), setting)

    def ask(self, *calls: Call) -> list[asyncio.Task[Answer]]:
        return [asyncio.create_task(self.combiner.submit(call)) for call in calls]

    async def answers(self, *calls: Call) -> list[Answer]:
        return await asyncio.gather(*self.ask(*calls))


@asynccontextmanager
async def lab(slots: int = 1, timeout_secs: float = 5.0, *troubles: Trouble) -> AsyncGenerator[Lab, None]:
    made = Lab(slots, timeout_secs)
    made.store.troubles = deque(troubles)
    yield made
    await made.combiner.aclose()


def granted(answer: Answer) -> bool:
    return isinstance(answer, Granted)


def test_all_that_wait_become_one_swap() -> None:
    async def scenario() -> None:
        async with lab(slots=50) as it:
            answers = await it.answers(*(lock(f"h{n}") for n in range(50)), lock("late"))
            assert [granted(one) for one in answers] == [True] * 50 + [False]
            assert len(it.store.swaps) == 1
            assert {one.revision for one in answers if isinstance(one, Granted)} == {1}

    run(scenario())


def test_more_than_fits_into_one_goes_into_the_next() -> None:
    async def scenario() -> None:
        async with lab(slots=200) as it:
            answers = await it.answers(*(lock(f"h{n}") for n in range(2 * MAX_CHANGES + 1)))
            assert all(map(granted, answers))
            assert [len(swap.touched) for swap in it.store.swaps] == [MAX_CHANGES, MAX_CHANGES, 1]

    run(scenario())


def test_who_comes_while_the_store_is_busy_is_in_the_next_round() -> None:
    async def scenario() -> None:
        async with lab(slots=3) as it:
            it.store.gate = asyncio.Event()
            first = it.ask(lock("a"))
            await until(lambda: it.store.reads == 1)
            others = it.ask(lock("b"), lock("c"), lock("d"))
            await asyncio.sleep(0)
            it.store.gate.set()
            answers = await asyncio.gather(*first, *others)
            assert [granted(one) for one in answers] == [True, True, True, False]
            assert len(it.store.swaps) <= 2

    run(scenario())


def test_denials_write_nothing_and_read_seldom() -> None:
    async def scenario() -> None:
        async with lab() as it:
            await it.answers(lock("a"))
            for _ in range(10):
                assert not any(map(granted, await it.answers(lock("b"), lock("c"))))
            assert (it.store.reads, it.store.confirmed, len(it.store.swaps)) == (1, 0, 1)
            it.clock.advance(DENIAL_AGE_SECS * 1.1)
            await it.answers(lock("b"))
            assert (it.store.confirmed, len(it.store.swaps)) == (1, 1)

    run(scenario())


def test_a_slot_that_another_coordinator_frees_is_seen_soon() -> None:
    async def scenario() -> None:
        async with lab() as it:
            it.store.hold("elsewhere")
            assert not granted(*await it.answers(lock("a")))
            it.store.hold()
            it.clock.advance(DENIAL_AGE_SECS * 1.1)
            assert granted(*await it.answers(lock("a")))

    run(scenario())


def test_that_one_holds_nothing_is_never_said_from_memory() -> None:
    """Another coordinator may have let it in a moment ago; its slot would be lost."""

    async def scenario() -> None:
        async with lab() as it:
            assert await it.answers(unlock("a")) == [NOTHING]
            it.clock.advance(0.001)
            it.store.hold("a")
            assert await it.answers(unlock("a")) == [FREED]
            assert it.store.holders == set()

    run(scenario())


def test_unlocks_without_a_slot_are_one_write_for_all_that_wait() -> None:
    async def scenario() -> None:
        async with lab() as it:
            assert await it.answers(*(unlock(f"h{n}") for n in range(500))) == [NOTHING] * 500
            assert len(it.store.swaps) == 1
            assert not it.store.happened

    run(scenario())


def test_a_frozen_coordinators_swap_does_not_succeed_after_an_unlock_without_a_slot() -> None:
    """Its client has given up, released its slot through another coordinator, and will not ask again."""

    async def scenario() -> None:
        async with lab() as it:
            frozen = it.store.current(None)
            change = decide(frozen.state, [lock("a")], Rules(1), GroupTime(START), "g").change
            assert change is not None
            it.store.delayed.append((frozen, change))
            assert await it.answers(unlock("a")) == [NOTHING]
            it.store.deliver()
            assert it.store.holders == set()

    run(scenario())


def test_after_a_conflict_everything_is_decided_anew() -> None:
    async def scenario() -> None:
        async with lab() as it:
            await it.answers(lock("a"), unlock("a"))
            it.store.hold("b")
            (answer,) = await it.answers(lock("a"))
            assert isinstance(answer, Denied)
            assert answer.kind is DenialKind.SEMAPHORE_FULL
            assert it.store.holders == {"b"}

    run(scenario())


@pytest.mark.parametrize("place", range(3))
def test_an_error_anywhere_is_got_over(place: int) -> None:
    async def scenario() -> None:
        async with lab(1, 5.0, *[Trouble.NONE] * place, Trouble.FAILS) as it:
            assert [granted(one) for one in await it.answers(lock("a"), lock("b"))] == [True, False]
            assert await it.answers(unlock("a")) == [FREED]
            assert it.store.holders == set()

    run(scenario())


def test_a_swap_whose_answer_was_lost_is_not_sent_again() -> None:
    async def scenario() -> None:
        async with lab(2, 5.0, Trouble.NONE, Trouble.DONE_BUT_FAILS) as it:
            assert all(map(granted, await it.answers(lock("a"), lock("b"))))
            assert it.store.holders == {"a", "b"}
            first, second = it.store.swaps
            assert first != second
            assert [one.what for one in it.store.happened] == ["granted", "granted"]

    run(scenario())


def test_an_unlock_whose_answer_was_lost_frees_nobody_else() -> None:
    async def scenario() -> None:
        async with lab() as it:
            await it.answers(lock("a"))
            it.store.troubles = deque([Trouble.DONE_BUT_FAILS])
            assert await it.answers(unlock("a"), lock("b"), unlock("a")) == [NOTHING, Granted(True, 3), NOTHING]
            assert it.store.holders == {"b"}

    run(scenario())


def test_a_swap_that_arrives_late_gives_nobody_a_slot_who_has_given_it_back() -> None:
    """Its client gave up and unlocked: had the answer been "you have none" and nothing more, it would have one now."""

    async def scenario() -> None:
        async with lab() as it:
            await it.answers(unlock("x"))
            it.store.swaps.clear()
            it.store.gate, it.store.troubles = asyncio.Event(), deque([Trouble.DELAYED])
            (gone,) = it.ask(lock("a"))
            await until(lambda: bool(it.store.swaps))
            gone.cancel()
            await asyncio.sleep(0)
            it.store.gate.set()
            assert await it.answers(unlock("a")) == [NOTHING]
            it.store.deliver()
            assert it.store.holders == set()
            assert len(it.store.swaps) == 2

    run(scenario())


def test_a_swap_that_may_arrive_late_is_overtaken_when_nobody_waits_any_more() -> None:
    async def scenario() -> None:
        async with lab() as it:
            await it.answers(unlock("x"))
            it.store.swaps.clear()
            it.store.gate, it.store.troubles = asyncio.Event(), deque([Trouble.DELAYED, Trouble.FAILS, Trouble.FAILS])
            (gone,) = it.ask(lock("a"))
            await until(lambda: bool(it.store.swaps))
            gone.cancel()
            it.store.gate.set()
            await until(lambda: it.store.current(None).revision == 2)
            it.store.deliver()
            assert it.store.holders == set()

    run(scenario())


def test_a_store_that_hangs_is_said_to_be_away_in_time() -> None:
    async def scenario() -> None:
        async with lab(1, 0.02, Trouble.HANGS) as it:
            tasks = it.ask(lock("a"), lock("b"))
            for task in tasks:
                with pytest.raises(TidegateError) as caught:
                    await task
                assert caught.value.kind is ErrorKind.COORDINATOR_STORE_UNAVAILABLE

    run(scenario())


def test_while_it_errs_callers_hear_of_it_with_the_reason() -> None:
    async def scenario() -> None:
        async with lab(1, 0.02, *[Trouble.FAILS] * 100_000) as it:
            with pytest.raises(TidegateError, match=r"within 0\.02 s: refused"):
                await it.combiner.submit(lock("a"))

    run(scenario())


def test_nonsense_in_the_store_is_told_at_once() -> None:
    async def scenario() -> None:
        async with lab(1, 5.0, Trouble.NONSENSE) as it:
            with pytest.raises(TidegateError, match="poem") as caught:
                await it.combiner.submit(lock("a"))
            assert caught.value.kind is ErrorKind.COORDINATOR_STORE_NONSENSE
            assert granted(*await it.answers(lock("a")))

    run(scenario())


def test_a_defect_leaves_nobody_waiting(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with lab(1, 5.0, Trouble.DEFECT) as it:
            with pytest.raises(TidegateError, match="ZeroDivisionError"):
                await it.combiner.submit(lock("a"))
            assert granted(*await it.answers(lock("a")))

    run(scenario())
    assert "ZeroDivisionError" in caplog.text


def test_who_goes_away_before_its_turn_gets_nothing_and_harms_nobody() -> None:
    async def scenario() -> None:
        async with lab() as it:
            it.store.gate = asyncio.Event()
            (gone, other) = it.ask(lock("a"), lock("b"))
            await until(lambda: it.store.reads == 1)
            gone.cancel()
            await asyncio.sleep(0)
            it.store.gate.set()
            assert granted(await other)
            assert it.store.holders == {"b"}

    run(scenario())


def test_who_goes_away_while_it_is_written_does_not_break_the_others_answer() -> None:
    async def scenario() -> None:
        async with lab(slots=2) as it:
            await it.answers(unlock("x"))
            it.store.swaps.clear()
            it.store.gate = asyncio.Event()
            (gone, other) = it.ask(lock("a"), lock("b"))
            await until(lambda: bool(it.store.swaps))
            gone.cancel()
            await asyncio.sleep(0)
            it.store.gate.set()
            assert granted(await other)
            assert it.store.holders == {"a", "b"}  # as after a lost answer: it asks again, or gives it back

    run(scenario())


def test_what_was_done_is_told_once_it_is_done() -> None:
    async def scenario() -> None:
        async with lab(1, 5.0, Trouble.NONE, Trouble.FAILS) as it:
            await it.answers(lock("a"))
            await it.combiner.submit(ForceRelease("a", "root", "gone"))
            assert [(one.what, one.id) for one in it.heard] == [("granted", "a"), ("taken", "a")]

    run(scenario())


def test_slots_are_written_on_command() -> None:
    async def scenario() -> None:
        async with lab(slots=7) as it:
            await it.combiner.submit(SyncSlots())
            assert it.store.current(None).state.semaphore.slots == 7

    run(scenario())


def test_the_view_is_the_stores_and_names_who_waits() -> None:
    async def scenario() -> None:
        async with lab() as it:
            await it.answers(lock("a"), lock("b"), lock("c"))
            it.store.hold("c")
            version, denials = await it.combiner.view()
            assert {*version.state.semaphore.holders} == {"c"}
            assert {*denials} == {"b"}
            it.clock.advance(3600)
            assert (await it.combiner.view())[1] == {}

    run(scenario())


def test_when_it_stops_those_who_wait_hear_of_it() -> None:
    async def scenario() -> None:
        async with lab() as it:
            it.store.gate = asyncio.Event()
            (task,) = it.ask(lock("a"))
            await until(lambda: it.store.reads == 1)
            await it.combiner.aclose()
            with pytest.raises(TidegateError, match="stops"):
                await task

    run(scenario())


def test_two_coordinators_under_load_never_give_out_a_slot_twice() -> None:
    async def scenario() -> None:
        async with lab(slots=3) as it:
            other = Combiner("g", it.store, Rules(3), Setting(it.clock, it.heard.append))

            async def host(name: str, asks: Combiner) -> int:
                had = 0
                for _ in range(40):
                    if granted(await asks.submit(lock(name))):
                        had += 1
                        assert name in it.store.holders
                        await asks.submit(unlock(name))
                    it.clock.advance(0.01)
                return had

            names = [f"h{n}" for n in range(10)]
            had = await asyncio.gather(*(host(name, (it.combiner, other)[n % 2]) for n, name in enumerate(names)))
            assert sum(had) > 100
            assert max(len(swap.state.semaphore.holders) for swap in it.store.swaps) == 3
            await other.aclose()

    run(scenario())
