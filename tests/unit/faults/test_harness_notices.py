"""The fault harness can fail: each defect that it is there for makes it name a broken rule."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import pytest

from tests.fakes.engine import FakeEngine
from tests.fakes.lock_server import FakeLockServer
from tests.faults import parts, world
from tests.faults.harness import Trial, play, table, trials
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.world import Blow, Fault
from tidegate.clock import Now
from tidegate.engines.base import EngineStatus, ProgressSink
from tidegate.errors import TidegateError
from tidegate.fleetlock.account import LockGranted
from tidegate.gates.base import Verdict
from tidegate.loop import Keeper
from tidegate.machine import finalize, lock_duty, polling, step, undo, verify, waiting
from tidegate.machine.effects import AcquireLock, Effect
from tidegate.machine.events import Event, HostView
from tidegate.machine.phases.executing import Executing
from tidegate.machine.phases.starting import Starting
from tidegate.machine.phases.steady import Steady
from tidegate.machine.phases.undoing import Undoing
from tidegate.machine.phases.waiting import Staged
from tidegate.machine.state import State, Step
from tidegate.records.model import Denial, Intent, Outcome, Records
from tidegate.release import Release

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


def struck_at(scenario: Scenario, point: str, *blows: Blow) -> list[str]:
    """The rules that broke in the clean run, and in the runs with one of ``blows`` at each passing of ``point``."""
    clean, names = played(scenario, None)
    broken = [clean]
    for index, name in enumerate(names):
        if name == point:
            broken.extend(played(scenario, Fault(index, blow))[0] for blow in blows)
    return [rule for rule in broken if rule is not None]


def played(scenario: Scenario, fault: Fault | None) -> tuple[str | None, list[str]]:
    """Which rule broke, and the names of the points."""
    trial, names = play(scenario, fault)
    return trial.broken, names


def test_without_a_defect_nothing_is_reported() -> None:
    assert struck_at(BY_NAME["update"], "engine arm", Blow.KILL_AFTER, Blow.ERROR_AFTER) == []


def test_a_keeper_that_does_not_save_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Forgetful(Keeper):
        def feed(self, event: Event) -> tuple[Effect, ...]:
            self.state, effects = step.step(self.state, event, self._clock.now())
            return effects

    monkeypatch.setattr(world, "Keeper", Forgetful)
    assert played(BY_NAME["update"], None)[0] == "armed without an intent on disk"


def test_a_keeper_that_hands_out_effects_although_the_save_failed_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Careless(Keeper):
        def feed(self, event: Event) -> tuple[Effect, ...]:
            state, effects = step.step(self.state, event, self._clock.now())
            if state.records != self.state.records:
                with suppress(TidegateError):
                    self._store.save(state.records)
            self.state = state
            return effects

    monkeypatch.setattr(world, "Keeper", Careless)
    assert "armed without an intent on disk" in struck_at(BY_NAME["update"], "save records", Blow.ERROR)


def test_a_machine_that_forgets_to_disarm_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgets(state: State, phase: Finalizing, verdicts: tuple[Verdict, ...]) -> Step:
        state = replace(state, records=state.records.abandoned())
        return replace(state, phase=Staged(phase.target, phase.since, 1e9, verdicts)), ()

    monkeypatch.setattr(finalize, "call_off", forgets)
    broken, _ = played(BY_NAME["gate closes at the last look"], None)
    assert broken == "the next boot is armed and no intent on disk says so"


def test_an_agent_that_does_not_take_back_an_interrupted_attempt_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgets(state: State, *_: object) -> Step:
        return replace(state, phase=Steady(), records=state.records.abandoned()), ()

    monkeypatch.setattr(verify, "_resume", forgets)
    broken = struck_at(BY_NAME["update"], "engine arm", Blow.KILL_AFTER)
    assert "the next boot is armed and no intent on disk says so" in broken


def test_a_machine_that_skips_the_last_look_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It boots into the release although the window has closed: the refusal is left for a later question."""
    armed = finalize.armed

    def skips(state: State, phase: Arming, host: HostView, now: Now) -> Step:
        state, _ = armed(state, phase, host, now)
        confirming = state.phase
        assert isinstance(confirming, RecheckingGates)
        return finalize.confirmed(state, confirming, (), now)

    monkeypatch.setattr(finalize, "armed", skips)
    assert played(BY_NAME["gate closes at the last look"], None)[0] is not None


def test_a_power_cut_that_denies_a_release_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def hasty(intent: Intent, host: EngineStatus) -> Outcome:
        return Outcome.APPLIED if intent.target.payload == host.booted.payload else Outcome.FELL_BACK

    monkeypatch.setattr(verify, "decide_outcome", hasty)
    broken = struck_at(BY_NAME["update"], "logind reboot", Blow.POWER_BEFORE)
    assert any("denied without evidence" in rule or "no end" in rule for rule in broken)


def test_a_fallback_that_is_not_denied_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def lenient(self: Records, denial: Denial) -> Records:
        assert denial
        return self

    monkeypatch.setattr(Records, "with_denied", lenient)
    assert played(BY_NAME["boot loader falls back"], None)[0] is not None


def test_an_attempt_without_end_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "MAX_ATTEMPTS", 10**6)
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
    broken = struck_at(BY_NAME["update"], "engine stage", Blow.ERROR_AFTER)
    assert any("bytes were fetched twice" in rule for rule in broken)


def test_a_lock_that_is_asked_for_before_its_record_is_written_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hasty(Keeper):
        """Runs what a step wants done although its records are not saved, where that is a request for a lock."""

        def feed(self, event: Event) -> tuple[Effect, ...]:
            state, effects = step.step(self.state, event, self._clock.now())
            if any(isinstance(effect, AcquireLock) for effect in effects):
                self.state = state
                return effects
            return super().feed(event)

    monkeypatch.setattr(world, "Keeper", Hasty)
    assert played(BY_NAME["lock: granted"], None)[0] == "a lock is asked for without a record of it on disk"


def test_a_machine_that_takes_no_answer_of_the_lock_server_for_a_no_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finalize, "NOT_TAKEN", frozenset({"lock.uncertain"}))
    broken = struck_at(BY_NAME["lock: granted"], "lock pre-reboot", Blow.ERROR_AFTER)
    assert broken == ["the lock server counts this host and no record on disk says so"]


def test_a_machine_that_does_not_ask_for_the_lock_again_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    armed = finalize.armed

    def careless(state: State, phase: Arming, host: HostView, now: Now) -> Step:
        after, effects = armed(state, phase, host, now)
        if isinstance(after.phase, ConfirmingLock):
            return finalize.relocked(after, after.phase, LockGranted(), now)
        return after, effects

    monkeypatch.setattr(finalize, "armed", careless)
    broken, _ = played(BY_NAME["lock: lost before the last look"], None)
    assert broken == "a reboot is asked for, and the lock was not granted after arming"


def test_a_machine_that_unlocks_amid_the_reboot_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def in_use(state: State) -> bool:
        return isinstance(state.phase, Starting | Finalizing)

    monkeypatch.setattr(lock_duty, "_in_use", in_use)
    assert played(BY_NAME["lock: host stays up"], None)[0] == "a lock is given back amid a reboot"


def test_a_machine_that_forgets_the_lock_when_it_has_disarmed_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    disarmed = undo.disarmed

    def forgetful(state: State, phase: Disarming, host: HostView, now: Now) -> Step:
        after, effects = disarmed(state, phase, host, now)
        return replace(after, records=replace(after.records, lock=None)), effects

    monkeypatch.setattr(undo, "disarmed", forgetful)
    broken, _ = played(BY_NAME["lock: window shuts after the grant"], None)
    assert broken == "the lock server counts this host and no record on disk says so"


def test_a_machine_that_waits_for_the_lock_server_with_everything_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    due = polling.poll_due

    def patient(state: State) -> float | None:
        return None if state.lock.startup_release else due(state)

    monkeypatch.setattr(polling, "poll_due", patient)
    assert played(BY_NAME["lock: server down at start"], None)[0] == "no staging while the server was down"


def test_a_grace_that_is_cut_short_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "GRACE_SECS", 0.5)
    assert played(BY_NAME["lock: somebody is logged in"], None)[0] == "the grace was cut short"


def test_two_hosts_on_a_server_that_does_not_count_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:

    def counts_nobody(self: FakeLockServer, host: str) -> bool:
        return False

    monkeypatch.setattr(FakeLockServer, "counts", counts_nobody)
    assert played(BY_NAME["lock: two hosts, one slot"], None)[0] == "the host goes down without its lock"


@pytest.mark.parametrize("fault", [Fault(10**6, Blow.KILL_BEFORE), Fault(0, Blow.POWER_AFTER)], ids=str)
def test_a_fault_that_never_struck_proves_nothing(fault: Fault) -> None:
    _, (first, *_) = played(BY_NAME["update"], None)
    assert first == "engine status", "nothing is different after it"
    assert played(BY_NAME["update"], fault)[0] == "the fault never struck"


def test_a_run_is_the_same_again() -> None:
    """What a fault strikes depends on what was at that point in the clean run; a trial that failed can be repeated."""
    for name in ("lock: server hangs at start", "lock: two hosts, one slot"):
        assert played(BY_NAME[name], None) == played(BY_NAME[name], None)


def test_every_point_is_struck_with_every_blow_that_there_is() -> None:
    done = list(_few(BY_NAME["update"]))
    clean, *struck = done
    assert (clean.fault, clean.broken) == (None, None)
    tried = {(trial.point, trial.fault.blow) for trial in struck if trial.fault is not None}
    for point, blows in (
        ("engine status", {Blow.KILL_BEFORE, Blow.ERROR, Blow.HANG, Blow.POWER_BEFORE}),
        ("engine stage", set(Blow)),
        ("save records", set(Blow) - {Blow.ERROR_AFTER}),
    ):
        assert {blow for at, blow in tried if at == point} == blows
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
        if number > 3 * len(Blow):
            return
        yield trial
