"""The lock service: groups, reloads, and operators' commands."""

from __future__ import annotations

import pytest

from tests.fakes.asyncs import run
from tests.fakes.clock import FakeClock
from tests.fakes.memory_store import MemoryStore, Trouble
from tidegate.coordinator.combiner import OnEvent
from tidegate.coordinator.model import AuditEvent, Call, DenialKind, Denied, Granted, Released, Rules
from tidegate.coordinator.service import CHECK_AGE_SECS, LockService
from tidegate.errors import ErrorKind, TidegateError
from tidegate.fleetlock.protocol import ClientParams, Verb

WORKERS = {"workers": Rules(slots=1)}


def lock(host: str, group: str = "workers", verb: Verb = Verb.PRE_REBOOT) -> Call:
    return Call(verb, ClientParams(host, group), "::1")


def service(
    store: MemoryStore, groups: dict[str, Rules], clock: FakeClock, on_event: OnEvent | None = None
) -> LockService:
    return LockService(store, clock, groups, on_event=on_event or list[AuditEvent]().append)


def test_an_unknown_group_is_refused_for_both() -> None:
    async def scenario() -> None:
        async with service(MemoryStore(), WORKERS, FakeClock()) as locks:
            for verb in Verb:
                answer = await locks.call(lock("a", "strangers", verb))
                assert answer == Denied(DenialKind.UNKNOWN_GROUP, "there is no group strangers")

    run(scenario())


def test_a_default_group_takes_them_in() -> None:
    async def scenario() -> None:
        async with LockService(MemoryStore(), FakeClock(), WORKERS, "workers") as locks:
            assert isinstance(await locks.call(lock("a", "strangers")), Granted)
            (view,) = await locks.groups()
            assert (view.name, [one.id for one in view.holders]) == ("workers", ["a"])

    run(scenario())


def test_other_rules_count_from_the_next_call_on() -> None:
    async def scenario() -> None:
        store = MemoryStore()
        async with service(store, WORKERS, FakeClock()) as locks:
            await locks.call(lock("a"))
            assert isinstance(await locks.call(lock("b")), Denied)
            locks.configure({"workers": Rules(slots=2)})
            assert isinstance(await locks.call(lock("b")), Granted)
            assert store.current(None).state.semaphore.slots == 2
            locks.configure({"more": Rules(slots=1)})
            answer = await locks.call(lock("a"))
            assert isinstance(answer, Denied)
            assert answer.kind is DenialKind.UNKNOWN_GROUP

    run(scenario())


def test_the_slots_are_written_down_at_the_start() -> None:
    async def scenario() -> None:
        store = MemoryStore()
        async with service(store, {"workers": Rules(slots=4)}, FakeClock()) as locks:
            await locks.call(lock("a", verb=Verb.STEADY_STATE))
            assert store.current(None).state.semaphore.slots == 4

    run(scenario())


def test_a_person_takes_a_slot_and_names_what_is_not() -> None:
    async def scenario() -> None:
        async with service(MemoryStore(), WORKERS, FakeClock()) as locks:
            await locks.call(lock("a"))
            assert await locks.force_release(None, "a", "root", "gone") == ("workers",)
            with pytest.raises(TidegateError) as no_holder:
                await locks.force_release("workers", "a", "root", "gone")
            assert no_holder.value.kind is ErrorKind.COORDINATOR_NO_HOLDER
            with pytest.raises(TidegateError) as no_group:
                await locks.force_release("strangers", "a", "root", "gone")
            assert no_group.value.kind is ErrorKind.COORDINATOR_UNKNOWN_GROUP
            assert await locks.call(lock("a", verb=Verb.STEADY_STATE)) == Released(held=False)
            assert [(one.what, one.by) for one in await locks.history(None, 10)] == [
                ("taken", "root"),
                ("granted", "::1"),
            ]
            assert [one.what for one in await locks.history("workers", 1)] == ["taken"]

    run(scenario())


def test_a_check_is_good_for_a_while_whatever_came_of_it() -> None:
    async def scenario() -> None:
        store, clock = MemoryStore(), FakeClock()
        async with service(store, WORKERS, clock) as locks:
            await locks.check()
            store.troubles.append(Trouble.FAILS)
            await locks.check()
            assert store.checks == 1
            clock.advance(CHECK_AGE_SECS)
            for _ in range(2):
                with pytest.raises(TidegateError, match="refused"):
                    await locks.check()
            clock.advance(CHECK_AGE_SECS)
            await locks.check()
            assert store.checks == 3

    run(scenario())


def test_whatever_hangs_ends() -> None:
    async def scenario() -> None:
        store = MemoryStore()
        async with LockService(store, FakeClock(), WORKERS, timeout_secs=0.02) as locks:
            await locks.call(lock("a"))
            store.troubles.extend([Trouble.HANGS] * 3)
            for asking in (locks.check(), locks.history(None, 1), locks.groups()):
                with pytest.raises(TidegateError, match="does not answer within") as caught:
                    await asking
                assert caught.value.kind is ErrorKind.COORDINATOR_STORE_UNAVAILABLE

    run(scenario())


def test_it_ends_while_its_store_hangs() -> None:
    async def scenario() -> None:
        store = MemoryStore()
        store.troubles.append(Trouble.HANGS)
        async with service(store, WORKERS, FakeClock()):
            pass

    run(scenario())
