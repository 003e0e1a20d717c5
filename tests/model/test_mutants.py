"""The model of a life can fail: each defect planted in the machine breaks a rule that it checks."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.model import random_history
from tests.model.random_history import Life
from tests.model.world import FLEET_LOCK, HIGHEST, Choices
from tidegate.clock import Now
from tidegate.fleetlock.account import NOT_TAKEN, LockAccount, LockGranted, LockRelease, LockReleased
from tidegate.gates.base import Verdict
from tidegate.health.base import ProbeResult
from tidegate.health.judgement import Bad, failing
from tidegate.machine import finalize, lock_duty, undo, update, wakeups, watch
from tidegate.machine.effects import AcquireLock
from tidegate.machine.events import HostView, LockAnswer
from tidegate.machine.lock_duty import Duty
from tidegate.machine.parts import enter, take_id
from tidegate.machine.phases import (
    AUTOMATIC,
    Arming,
    CheckingGates,
    ConfirmingLock,
    Disarming,
    Finalizing,
    Locking,
    Mandate,
    Paused,
    Rebooting,
    RecheckingGates,
    RollbackPending,
    Starting,
    Verifying,
)
from tidegate.machine.state import LockObligation, Policy, State, Step
from tidegate.machine.step import begin
from tidegate.records.model import Denial, Intent, Records
from tidegate.release import Purpose
from tidegate.system.boot import BootInstance

Plant = Callable[[pytest.MonkeyPatch], None]
PLANTS: dict[str, tuple[Plant, str, int]] = {}
"""By what the machine does wrong: how it is brought to that, what the model is to say about it, and the life in which
to look first, so that it takes no long search as long as neither changes much."""

MOST_LIVES = 600
MOVES_A_LIFE = 100


def planted(says: str, life: int = 0) -> Callable[[Plant], Plant]:
    def note(plant: Plant) -> Plant:
        PLANTS[plant.__name__.strip("_").replace("_", " ")] = plant, says, life
        return plant

    return note


def _always_bad(*_: object) -> Bad:
    return Bad("anything")


def _automatic(_state: State) -> Mandate:
    return AUTOMATIC


def _not_denied(records: Records, _denial: Denial) -> Records:
    return records


def _nothing(*_: object) -> tuple[()]:
    return ()


def _none(*_: object) -> None:
    return None


@planted("unlocks while a reboot of this boot is under way", life=36)
def _unlocks_while_logind_takes_the_host_down(patch: pytest.MonkeyPatch) -> None:
    def in_use(now: State) -> bool:
        return now.shutting_down or isinstance(now.phase, Starting | Finalizing | Disarming)

    patch.setattr(lock_duty, "_in_use", in_use)


@planted("unlocks while the host goes down")
def _unlocks_during_a_shutdown(patch: pytest.MonkeyPatch) -> None:
    def in_use(now: State) -> bool:
        return isinstance(now.phase, Starting | Finalizing | Rebooting | Disarming)

    patch.setattr(lock_duty, "_in_use", in_use)


@planted("unlocks while a reboot of this boot is under way", life=27)
def _unlocks_before_it_has_disarmed(patch: pytest.MonkeyPatch) -> None:
    def in_use(now: State) -> bool:
        return now.shutting_down or isinstance(now.phase, Starting | Finalizing | Rebooting)

    patch.setattr(lock_duty, "_in_use", in_use)


@planted("armed without the lock")
def _does_not_ask_for_the_lock(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(update, "proceed", finalize._arm)  # pyright: ignore[reportPrivateUsage] - the defect is to go there


@planted("asked for a lock without a record on disk")
def _asks_before_the_record_is_written(patch: pytest.MonkeyPatch) -> None:
    def proceed(now: State, phase: CheckingGates, when: Now) -> Step:
        locking = lock_duty.wanted(now, phase.mandate)
        if locking is None:
            return finalize.proceed(now, phase, when)
        task, now = take_id(now)
        asked = AcquireLock(task, locking.account, None)
        return enter(now, Locking(phase.target, phase.since, phase.mandate, task)), (asked,)

    patch.setattr(update, "proceed", proceed)


@planted("the lock was not asked for again after arming")
def _does_not_ask_for_the_lock_again(patch: pytest.MonkeyPatch) -> None:
    armed = finalize.armed

    def careless(now: State, phase: Arming, host: HostView, when: Now) -> Step:
        after, effects = armed(now, phase, host, when)
        if isinstance(after.phase, ConfirmingLock):
            return finalize.relocked(after, after.phase, LockGranted(), when)
        return after, effects

    patch.setattr(finalize, "armed", careless)


@planted("did not allow since arming")
def _skips_the_last_look(patch: pytest.MonkeyPatch) -> None:
    def careless(now: State, phase: ConfirmingLock, _: LockAnswer, when: Now) -> Step:
        return finalize.confirmed(now, RecheckingGates(phase.target, phase.since, phase.mandate, 0), (), when)

    patch.setattr(finalize, "relocked", careless)


@planted("did not allow since arming", life=193)
def _takes_the_last_look_for_a_formality(patch: pytest.MonkeyPatch) -> None:
    confirmed = finalize.confirmed

    def careless(now: State, phase: RecheckingGates, _: tuple[Verdict, ...], when: Now) -> Step:
        return confirmed(now, phase, (), when)

    patch.setattr(finalize, "confirmed", careless)


@planted("the server counts this host, and nobody owes it", life=47)
def _takes_no_answer_for_a_no(patch: pytest.MonkeyPatch) -> None:
    everything = frozenset({"lock.uncertain", "net.worker-failed", "engine.failed", *NOT_TAKEN})
    patch.setattr(finalize, "NOT_TAKEN", everything)


@planted("the lock was not granted", life=207)
def _takes_the_loss_of_the_lock_for_a_grant(patch: pytest.MonkeyPatch) -> None:
    relocked = finalize.relocked

    def careless(now: State, phase: ConfirmingLock, _: LockAnswer, when: Now) -> Step:
        return relocked(now, phase, LockGranted(), when)

    patch.setattr(finalize, "relocked", careless)


@planted("an override that stuck")
def _keeps_an_override_for_the_next_time(patch: pytest.MonkeyPatch) -> None:
    sticky = Mandate(Purpose.UPDATE, "automatic", None, frozenset({FLEET_LOCK}))

    def keeping(_state: State) -> Mandate:
        return sticky

    patch.setattr(update, "mandate_of", keeping)


@planted("the server counts this host, and nobody owes it", life=10)
def _forgets_the_lock_when_it_has_disarmed(patch: pytest.MonkeyPatch) -> None:
    disarmed = undo.disarmed

    def forgetful(now: State, phase: Disarming, host: HostView, when: Now) -> Step:
        after, effects = disarmed(now, phase, host, when)
        return replace(after, records=replace(after.records, lock=None)), effects

    patch.setattr(undo, "disarmed", forgetful)


@planted("the server counts this host, and nobody owes it", life=5)
def _does_not_greet(patch: pytest.MonkeyPatch) -> None:
    def rude(boot: BootInstance, policy: Policy, records: Records, when: Now) -> Step:
        now, effects = begin(boot, policy, records, when)
        return replace(now, lock=LockObligation(startup_release=False)), effects

    patch.setattr(random_history, "begin", rude)


@planted("unlocks before the boot was found well", life=8)
def _unlocks_without_a_look_at_the_boot(patch: pytest.MonkeyPatch) -> None:
    duty = lock_duty.duty

    def hasty(now: State) -> Duty:
        return Duty.RELEASE if duty(now) is Duty.LOOK else duty(now)

    patch.setattr(lock_duty, "duty", hasty)


@planted("unlocks before the boot was found well", life=7)
def _unlocks_as_soon_as_it_has_booted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lock_duty, "duty", _always_after_boot(lock_duty.duty))


def _always_after_boot(duty: Callable[[State], Duty]) -> Callable[[State], Duty]:
    def after_boot(now: State) -> Duty:
        record = now.records.lock
        if record is None:
            return duty(now)
        return duty(replace(now, records=replace(now.records, lock=replace(record, release=LockRelease.AFTER_BOOT))))

    return after_boot


@planted("unlocks with something else than the record says", life=17)
def _unlocks_by_the_configuration_of_the_day(patch: pytest.MonkeyPatch) -> None:
    account = lock_duty._account  # pyright: ignore[reportPrivateUsage] - what is replaced

    def by_config(now: State) -> LockAccount:
        return account(now) if now.policy.fleet_lock is None else now.policy.fleet_lock.account

    patch.setattr(lock_duty, "_account", by_config)


@planted("the settings block it|updates are disabled", life=298)
def _does_not_hear_of_new_settings_while_the_server_is_asked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(finalize, "agent_waits", _nothing)


@planted("two lock requests at once|asked for a lock|the server counts this host|two accounts", life=65)
def _does_not_wait_for_an_owed_unlock(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lock_duty, "owed", _none)


@planted("the server counts this host, and nobody owes it", life=8)
def _takes_a_failed_unlock_for_done(patch: pytest.MonkeyPatch) -> None:
    def forgetful(now: State, *_: object) -> Step:
        return lock_duty.released(now, LockReleased())

    patch.setattr(lock_duty, "failed", forgetful)


@planted("nothing will give it back soon|not settled", life=8)
def _gives_up_on_an_unlock_that_failed(patch: pytest.MonkeyPatch) -> None:
    def weary(now: State, why: str, when: Now, *_: float) -> Step:
        return replace(now, lock=replace(now.lock, task=None, retry_at=when.boot_secs + 1e6, why=why)), ()

    patch.setattr(lock_duty, "put_off", weary)


@planted("storms a server", life=1)
def _storms_a_server_that_is_down(patch: pytest.MonkeyPatch) -> None:
    def impatient(now: State, why: str, when: Now, *_: float) -> Step:
        return replace(now, lock=replace(now.lock, task=None, retry_at=when.boot_secs, why=why)), ()

    patch.setattr(lock_duty, "put_off", impatient)


@planted("no lock record|another than the one asked for", life=357)
def _does_not_see_that_another_lock_is_asked_for_now(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lock_duty, "missing", _none)


@planted("unlocks while", life=305)
def _unlocks_at_once_when_the_boot_is_well(patch: pytest.MonkeyPatch) -> None:
    def at_once(now: State, look: ProbeResult, when: Now) -> Step:
        after, effects = health_read(now, look, when)
        return (after, effects) if failing(look) else lock_duty._release(after)  # pyright: ignore[reportPrivateUsage] - the defect is to go there

    health_read = lock_duty.health_read
    patch.setattr(lock_duty, "health_read", at_once)


@planted("somebody asked and is forgotten", life=65)
def _does_not_answer_who_asked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(finalize, "reply", _nothing)


@planted("denied without evidence")
def _leaves_a_release_that_is_well(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(watch, "judge", _always_bad)


@planted("unlocks before the boot was found well")
def _gives_the_lock_back_while_the_boot_is_watched(patch: pytest.MonkeyPatch) -> None:
    def careless(now: State) -> Duty:
        known = duty(now)
        looks = isinstance(now.phase, Verifying | Paused | RollbackPending) and now.records.lock is not None
        return Duty.RELEASE if looks else known

    duty = lock_duty.duty
    patch.setattr(lock_duty, "duty", careless)


@planted("a release is left that nobody denied")
def _leaves_a_release_and_does_not_deny_it(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Records, "with_denied", _not_denied)


@planted("armed without an intent on disk")
def _forgets_the_way_back_that_was_prepared(patch: pytest.MonkeyPatch) -> None:
    def forgetful(records: Records, intent: Intent) -> Records:
        return records if intent.purpose == Purpose.ROLLBACK else replace(records, intent=intent)

    patch.setattr(Records, "opened", forgetful)


@planted("an override that stuck|not settled|is armed|assert")
def _takes_the_way_back_for_an_update(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(update, "mandate_of", _automatic)


@planted("not settled|somebody asked and is forgotten")
def _never_looks_again_at_a_host_that_is_paused(patch: pytest.MonkeyPatch) -> None:
    def blind(now: State) -> float | None:
        return None if isinstance(now.phase, Paused) else deadline(now)

    def deaf(now: State, _event: object) -> Step:
        return now, ()

    deadline = wakeups.phase_deadline
    patch.setattr(wakeups, "phase_deadline", blind)
    patch.setattr(watch, "resume_asked", deaf)


def broken_rule(seed: int) -> str | None:
    """What one life comes to."""
    chance = random.Random(seed)
    try:
        Life(Choices([chance.randrange(HIGHEST) for _ in range(MOVES_A_LIFE)])).run()
    except AssertionError as broken:
        return str(broken)
    return None


@pytest.mark.parametrize(("plant", "says", "seed"), PLANTS.values(), ids=PLANTS)
def test_a_defect_in_the_machine_is_noticed(
    plant: Plant, says: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    rules = (broken_rule(one) for one in (seed, *range(MOST_LIVES)))
    broken = next((rule for rule in rules if rule is not None), None)
    assert broken is not None, f"not noticed in {MOST_LIVES} lives"
    assert re.search(says, broken)


@pytest.mark.parametrize("seed", sorted({seed for _, _, seed in PLANTS.values()}))
def test_without_the_defect_the_same_lives_break_no_rule(seed: int) -> None:
    assert broken_rule(seed) is None
