"""The rule that everything hangs on: saved first, then handed out; what could not be saved was not done."""

from __future__ import annotations

import pytest

from tests.fakes.builders import ALLOW, BOOT, DISK_FULL, host, intent, offers, step_of
from tests.fakes.clock import FakeClock
from tidegate.gates.base import Wait
from tidegate.loop import Keeper
from tidegate.machine import effects
from tidegate.machine.effects import Arm, AskGates, Effect, Task
from tidegate.machine.events import Completed, Event, PolicyChanged, Tick
from tidegate.machine.phases.waiting import Staged
from tidegate.machine.plan import PlanStep
from tidegate.machine.state import Policy
from tidegate.machine.step import next_wakeup
from tidegate.records.model import Records
from tidegate.system.boot import BootInstance

TASKS = (
    effects.ReadHost,
    effects.FindOffers,
    effects.Stage,
    effects.AskGates,
    effects.GiveNotice,
    effects.AcquireLock,
    effects.ReleaseLock,
    effects.Arm,
    effects.Disarm,
    effects.Reboot,
    effects.ReadHealth,
    effects.MarkGood,
)


class NotingStore:
    """Keeps what is saved, in order; ``full`` makes it refuse."""

    def __init__(self) -> None:
        self.saved: list[Records] = []
        self.full = False

    def load(self) -> Records:
        return self.saved[-1] if self.saved else Records()

    def save(self, records: Records) -> None:
        if self.full:
            raise DISK_FULL.error()
        self.saved.append(records)


class Driven:
    """A keeper and its last effects."""

    def __init__(self, store: NotingStore, records: Records | None = None, boot: BootInstance = BOOT) -> None:
        self.clock = FakeClock()
        self.keeper = Keeper(self.clock, store, boot, Policy(), records or Records())
        self.effects: tuple[Effect, ...] = self.keeper.first_effects

    def feed(self, event: Event) -> Driven:
        self.effects = self.keeper.feed(event)
        return self

    def tasks(self) -> list[Task]:
        return [effect for effect in self.effects if isinstance(effect, TASKS)]

    def answer(self, result: object) -> Driven:
        (task,) = self.tasks()
        return self.feed(Completed(task.id, result))  # type: ignore[arg-type]  # one of each kind


def deciding(store: NotingStore) -> Driven:
    driven = Driven(store).answer(host()).feed(Tick()).answer(offers("2")).answer(host(staged="2"))
    return driven.feed(Tick())


def test_records_are_saved_when_the_effects_that_need_them_are_handed_out() -> None:
    store = NotingStore()
    driven = deciding(store)
    assert [saved.intent for saved in store.saved] == [None, None], "what it runs, since when it waits, nothing else"
    driven.answer(ALLOW)
    assert isinstance(driven.tasks()[0], Arm)
    *_, saved = store.saved
    assert len(store.saved) == 3
    assert saved == driven.keeper.state.records
    assert saved.intent is not None


def test_the_save_comes_before_the_effects() -> None:
    order: list[str] = []

    class Slow(NotingStore):
        def save(self, records: Records) -> None:
            order.append("saved")
            super().save(records)

    driven = deciding(Slow())
    order.clear()
    driven.answer(ALLOW)
    order.extend(type(task).__name__ for task in driven.tasks())
    assert order == ["saved", "Arm"]


def test_a_step_that_changes_no_record_does_not_touch_the_disk() -> None:
    store = NotingStore()
    store.full = True
    driven = Driven(store).answer(host()).feed(Tick()).answer(offers("2"))
    assert driven.tasks()


def test_a_step_that_cannot_be_saved_was_not_taken() -> None:
    store = NotingStore()
    driven = deciding(store)
    store.full = True
    before = driven.keeper.state.records
    driven.answer(ALLOW)
    assert driven.tasks() == []
    assert driven.keeper.state.records == before
    assert isinstance(driven.keeper.state.phase, Staged)
    assert driven.keeper.state.phase.verdicts[-1] == Wait("gates", DISK_FULL.message, remedy=DISK_FULL.remedy)


def test_a_step_that_would_only_have_noted_how_long_it_waits_is_taken_without_the_note() -> None:
    store = NotingStore()
    store.full = True
    driven = deciding(store)
    assert isinstance(driven.tasks()[0], AskGates), "a full disk does not undo a staging"
    assert driven.keeper.state.records == Records()
    assert driven.keeper.state.trouble is not None
    assert driven.keeper.state.trouble.failure == DISK_FULL
    driven.feed(PolicyChanged(Policy(enabled=False)))
    assert not driven.keeper.state.policy.enabled, "nor does it keep new settings from being taken"


def test_with_room_again_the_next_try_succeeds() -> None:
    store = NotingStore()
    driven = deciding(store)
    store.full = True
    driven.answer(ALLOW)
    store.full = False
    driven.clock.advance_to(next_wakeup(driven.keeper.state) or 0.0)
    while not driven.tasks() or not isinstance(driven.tasks()[0], AskGates):
        driven.answer(offers("2")) if driven.tasks() else driven.clock.advance(60)
        driven.feed(Tick())
    driven.answer(ALLOW)
    assert step_of(driven.keeper.state.phase) is PlanStep.ARM
    assert store.saved[-1].intent is not None


def test_what_a_failed_save_may_have_left_on_disk_is_written_over_with_the_next_step() -> None:
    """The rename was done, and the folder could not be synced."""
    store = NotingStore()
    driven = deciding(store)
    held = driven.keeper.state.records
    store.full = True
    driven.answer(ALLOW)
    store.full = False
    store.saved.append(Records())  # whatever it was
    driven.feed(Tick())
    assert store.saved[-1] == held
    saves = len(store.saved)
    driven.feed(Tick())
    assert len(store.saved) == saves, "once is enough"


def test_an_error_that_is_no_failure_to_save_is_not_hidden() -> None:
    class Defective(NotingStore):
        def save(self, records: Records) -> None:
            raise ZeroDivisionError

    driven = Driven(Defective())
    with pytest.raises(ZeroDivisionError):
        driven.answer(host())


def test_a_keeper_starts_from_the_records_and_saves_nothing_for_it() -> None:
    store = NotingStore()
    driven = Driven(store, Records(intent()))
    assert driven.keeper.state.records == Records(intent())
    assert store.saved == []
