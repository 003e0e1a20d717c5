"""The fault harness can fail: each defect that it is there for makes it name a broken rule."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from tests.fakes.engine import FakeEngine
from tests.fakes.lock_server import FakeLockServer
from tests.faults import parts
from tests.faults.harness import Trial, play, table, trials
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.world import Fault, FaultKind
from tests.model import mutants
from tests.model.mutants import Mutant
from tidegate import loop
from tidegate.engines.base import ProgressSink
from tidegate.errors import TidegateError
from tidegate.loop import Keeper
from tidegate.machine.effects import AcquireLock, Effect
from tidegate.machine.events import Event
from tidegate.machine.step import step
from tidegate.release import Release

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Callable[[Mutant], None]:
    """Plants a defect at the machine's door."""
    return lambda mutant: monkeypatch.setattr(loop, "step", mutant(step))


Plant = Callable[[Mutant], None]


def broken_at(scenario: Scenario, point: str, *kinds: FaultKind, keeper: type[Keeper] = Keeper) -> list[str]:
    """The rules that broke in the clean run, and in the runs with one of ``kinds`` at each passing of ``point``."""
    clean, names = played(scenario, None, keeper)
    broken = [clean]
    for index, name in enumerate(names):
        if name == point:
            broken.extend(played(scenario, Fault(index, kind), keeper)[0] for kind in kinds)
    return [rule for rule in broken if rule is not None]


def played(scenario: Scenario, fault: Fault | None, keeper: type[Keeper] = Keeper) -> tuple[str | None, list[str]]:
    """Which rule broke, and the names of the points."""
    trial, names = play(scenario, fault, keeper)
    return trial.broken, names


def test_without_a_defect_nothing_is_reported() -> None:
    assert broken_at(BY_NAME["update"], "engine arm", FaultKind.KILL_AFTER, FaultKind.ERROR_AFTER) == []


def test_a_keeper_that_does_not_save_is_noticed() -> None:
    class Forgetful(Keeper):
        def feed(self, event: Event) -> tuple[Effect, ...]:
            self.state, effects = step(self.state, event, self._clock.now())
            return effects

    assert played(BY_NAME["update"], None, Forgetful)[0] == "armed without an intent on disk"


def test_a_keeper_that_hands_out_effects_although_the_save_failed_is_noticed() -> None:
    class Careless(Keeper):
        def feed(self, event: Event) -> tuple[Effect, ...]:
            state, effects = step(self.state, event, self._clock.now())
            if state.records != self.state.records:
                with suppress(TidegateError):
                    self._store.save(state.records)
            self.state = state
            return effects

    broken = broken_at(BY_NAME["update"], "save records", FaultKind.ERROR, keeper=Careless)
    assert "armed without an intent on disk" in broken


def test_a_machine_that_forgets_to_disarm_is_noticed(plant: Plant) -> None:
    plant(mutants.does_not_disarm)
    broken, _ = played(BY_NAME["gate closes at the last look"], None)
    assert broken == "the next boot is armed and no intent on disk says so"


def test_an_agent_that_does_not_take_back_an_interrupted_attempt_is_noticed(plant: Plant) -> None:
    plant(mutants.does_not_disarm_after_a_restart)
    broken = broken_at(BY_NAME["update"], "engine arm", FaultKind.KILL_AFTER)
    assert "the next boot is armed and no intent on disk says so" in broken


def test_a_machine_that_skips_the_last_look_is_noticed(plant: Plant) -> None:
    """It boots into the release although the window has closed: the refusal is left for a later question."""
    plant(mutants.skips_the_last_look)
    assert played(BY_NAME["gate closes at the last look"], None)[0] is not None


def test_a_power_cut_that_denies_a_release_is_noticed(plant: Plant) -> None:
    plant(mutants.denies_after_a_power_cut)
    broken = broken_at(BY_NAME["update"], "logind reboot", FaultKind.POWER_BEFORE)
    assert any("denied without evidence" in rule or "no end" in rule for rule in broken)


def test_a_fallback_that_is_not_denied_is_noticed(plant: Plant) -> None:
    plant(mutants.leaves_a_release_and_does_not_deny_it)
    assert played(BY_NAME["boot loader falls back"], None)[0] is not None


def test_an_attempt_without_end_is_noticed(plant: Plant) -> None:
    plant(mutants.forgets_failed_attempts)
    assert played(BY_NAME["logind says yes, host stays up"], None)[0] is not None


def test_a_boot_that_is_never_marked_good_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(self: FakeEngine, payload: str) -> None:
        assert self
        await asyncio.sleep(0)

    monkeypatch.setattr(FakeEngine, "mark_good", nothing)
    assert played(BY_NAME["update"], None)[0] == "the booted release was not marked good"


def test_a_staging_that_starts_over_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = FakeEngine.stage

    async def wasteful(self: FakeEngine, release: Release, progress: ProgressSink) -> None:
        self.host.on_disk[release.payload] = 0
        self.host.staged = None
        await stage(self, release, progress)

    monkeypatch.setattr(FakeEngine, "stage", wasteful)
    broken = broken_at(BY_NAME["update"], "engine stage", FaultKind.ERROR_AFTER)
    assert any("bytes were fetched twice" in rule for rule in broken)


def test_a_lock_that_is_asked_for_before_its_record_is_written_is_noticed() -> None:
    class Hasty(Keeper):
        """Runs what a step wants done although its records are not saved, where that is a request for a lock."""

        def feed(self, event: Event) -> tuple[Effect, ...]:
            state, effects = step(self.state, event, self._clock.now())
            if any(isinstance(effect, AcquireLock) for effect in effects):
                self.state = state
                return effects
            return super().feed(event)

    assert played(BY_NAME["lock: granted"], None, Hasty)[0] == "a lock is asked for without a record of it on disk"


def test_a_machine_that_takes_no_answer_of_the_lock_server_for_a_no_is_noticed(plant: Plant) -> None:
    plant(mutants.takes_no_answer_for_a_no)
    broken = broken_at(BY_NAME["lock: granted"], "lock pre-reboot", FaultKind.ERROR_AFTER)
    assert broken == ["the lock server counts this host and no record on disk says so"]


def test_a_machine_that_does_not_ask_for_the_lock_again_is_noticed(plant: Plant) -> None:
    plant(mutants.does_not_ask_for_the_lock_again)
    broken, _ = played(BY_NAME["lock: lost before the last look"], None)
    assert broken == "a reboot is asked for, and the lock was not granted after arming"


def test_a_machine_that_unlocks_amid_the_reboot_is_noticed(plant: Plant) -> None:
    plant(mutants.unlocks_while_logind_takes_the_host_down)
    assert played(BY_NAME["lock: host stays up"], None)[0] == "a lock is given back amid a reboot"


def test_a_machine_that_forgets_the_lock_when_it_has_disarmed_is_noticed(plant: Plant) -> None:
    plant(mutants.forgets_the_lock_when_it_has_disarmed)
    broken, _ = played(BY_NAME["lock: window shuts after the grant"], None)
    assert broken == "the lock server counts this host and no record on disk says so"


def test_a_machine_that_waits_for_the_lock_server_with_everything_is_noticed(plant: Plant) -> None:
    plant(mutants.waits_for_the_lock_server_with_everything)
    assert played(BY_NAME["lock: server down at start"], None)[0] == "no staging while the server was down"


def test_a_grace_that_is_cut_short_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "GRACE_SECS", 0.5)
    assert played(BY_NAME["lock: somebody is logged in"], None)[0] == "the grace was cut short"


def test_two_hosts_on_a_server_that_does_not_count_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:

    def counts_nobody(self: FakeLockServer, host: str) -> bool:
        return False

    monkeypatch.setattr(FakeLockServer, "counts", counts_nobody)
    assert played(BY_NAME["lock: two hosts, one slot"], None)[0] == "the host goes down without its lock"


@pytest.mark.parametrize("fault", [Fault(10**6, FaultKind.KILL_BEFORE), Fault(0, FaultKind.POWER_AFTER)], ids=str)
def test_a_fault_that_was_never_injected_proves_nothing(fault: Fault) -> None:
    _, (first, *_) = played(BY_NAME["update"], None)
    assert first == "engine status", "nothing is different after it"
    assert played(BY_NAME["update"], fault)[0] == "the fault was never injected"


def test_a_run_is_the_same_again() -> None:
    """What a fault meets depends on what was at that point in the clean run; a trial that failed can be repeated."""
    for name in ("lock: server hangs at start", "lock: two hosts, one slot"):
        assert played(BY_NAME[name], None) == played(BY_NAME[name], None)


def test_every_kind_of_fault_is_injected_at_every_point_where_it_applies() -> None:
    done = list(_few(BY_NAME["update"]))
    clean, *injected = done
    assert (clean.fault, clean.broken) == (None, None)
    tried = {(trial.point, trial.fault.kind) for trial in injected if trial.fault is not None}
    for point, kinds in (
        ("engine status", {FaultKind.KILL_BEFORE, FaultKind.ERROR, FaultKind.HANG, FaultKind.POWER_BEFORE}),
        ("engine stage", set(FaultKind)),
        ("save records", set(FaultKind) - {FaultKind.ERROR_AFTER}),
    ):
        assert {kind for at, kind in tried if at == point} == kinds
    printed = table(done)
    assert [line.split()[:2] for line in printed.splitlines()[1:5]] == [
        ["engine", "stage"],
        ["engine", "status"],
        ["find", "offers"],
        ["save", "records"],
    ]
    assert "0 with a broken rule" in printed


def _few(scenario: Scenario) -> Iterator[Trial]:
    for number, trial in enumerate(trials(scenario)):
        if number > 3 * len(FaultKind):
            return
        yield trial
