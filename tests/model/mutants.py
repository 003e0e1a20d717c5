"""Defects of the machine, planted at its door.

A mutant is a function around ``step``: it alters an event on the way in, or the records and the effects on the way out.
It knows events, effects, records and the policy, and hardly anything of the phases and files behind the door, so that
the machine can be rearranged without touching a mutant. One that remembers something is made anew for each history.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tests.fakes.builders import unhealthy
from tests.model.world import FLEET_LOCK, mandate_in
from tidegate.clock import Now
from tidegate.errors import ErrorKind, Failure
from tidegate.fleetlock.account import NOT_TAKEN, LockBusy, LockGranted, LockRelease, LockReleased
from tidegate.health.base import ProbeResult
from tidegate.health.judgement import failing
from tidegate.machine.effects import (
    AcquireLock,
    Announce,
    AskGates,
    Disarm,
    Effect,
    FindOffers,
    ReadHealth,
    ReleaseLock,
    Reply,
    Rollback,
    Task,
)
from tidegate.machine.events import (
    ApplyAsked,
    Completed,
    Errored,
    Event,
    HostView,
    RecordsUnwritable,
    Result,
    ResumeAsked,
    Tick,
)
from tidegate.machine.mandate import AUTOMATIC, Mandate
from tidegate.machine.phases.paused import Paused
from tidegate.machine.phases.starting import Starting
from tidegate.machine.state import Policy, State, Step
from tidegate.records.model import Denial, DenialCause, LockState, Outcome, Records
from tidegate.system.reboot import RebootAccepted, RebootRefused

StepFunction = Callable[[State, Event, Now], Step]
"""The machine's door: :func:`tidegate.machine.step.step`."""

Mutant = Callable[[StepFunction], StepFunction]


def unchanged(step: StepFunction) -> StepFunction:
    """Leave the machine as it is."""
    return step


# --------------------------------------------------------------------------- ways to plant a defect


@dataclass(frozen=True, slots=True)
class Taken:
    """A step that was taken: from ``before`` by ``event`` to ``after`` with ``effects``."""

    before: State
    event: Event
    after: State
    effects: tuple[Effect, ...]

    def started(self, kind: type[Task]) -> bool:
        """Whether the step started a task of ``kind``."""
        return any(isinstance(effect, kind) for effect in self.effects)


def with_events(step: StepFunction, alter: Callable[[State, Event], Event]) -> StepFunction:
    """Feed the machine what ``alter`` makes of each event."""

    def mutated(state: State, event: Event, now: Now) -> Step:
        return step(state, alter(state, event), now)

    return mutated


def with_records(step: StepFunction, alter: Callable[[Taken], Records]) -> StepFunction:
    """Keep the records that ``alter`` makes of each step."""

    def mutated(state: State, event: Event, now: Now) -> Step:
        after, effects = step(state, event, now)
        return replace(after, records=alter(Taken(state, event, after, effects))), effects

    return mutated


def with_effects(step: StepFunction, alter: Callable[[State, Event, Effect], Effect | None]) -> StepFunction:
    """Want what ``alter`` makes of each effect, given the state before the step and its event; None drops it."""

    def mutated(state: State, event: Event, now: Now) -> Step:
        after, effects = step(state, event, now)
        altered = (alter(state, event, effect) for effect in effects)
        return after, tuple(effect for effect in altered if effect is not None)

    return mutated


def with_policy(step: StepFunction, alter: Callable[[State, Event], Policy]) -> StepFunction:
    """Take each step under the policy that ``alter`` makes of the one in force, which stays in force."""

    def mutated(state: State, event: Event, now: Now) -> Step:
        other = alter(state, event)
        after, effects = step(replace(state, policy=other), event, now)
        return replace(after, policy=state.policy if after.policy is other else after.policy), effects

    return mutated


def with_mandate(step: StepFunction, alter: Callable[[Mandate], Mandate]) -> StepFunction:
    """Begin each attempt with what ``alter`` makes of its mandate."""

    def mutated(state: State, event: Event, now: Now) -> Step:
        after, effects = step(state, event, now)
        mandate = mandate_in(after)
        if mandate is None or mandate_in(state) is not None:
            return after, effects
        phase: Any = after.phase
        begun = alter(mandate)
        return replace(after, phase=replace(phase, mandate=begun)), tuple(
            replace(effect, purpose=begun.purpose, overrides=begun.overrides)
            if isinstance(effect, AskGates)
            else effect
            for effect in effects
        )

    return mutated


def answering(step: StepFunction, answer: Callable[[State, Task], Result | Failure | None]) -> StepFunction:
    """Do without the tasks for which ``answer`` has an answer, which the machine gets at once.

    The state that ``answer`` is given is the one after the step.
    """

    def mutated(state: State, event: Event, now: Now) -> Step:
        state, effects = step(state, event, now)
        if isinstance(event, RecordsUnwritable):  # another answer would want to be saved, too
            return state, effects
        left: list[Effect] = []
        for effect in effects:
            if isinstance(effect, Reply | Announce) or (found := answer(state, effect)) is None:
                left.append(effect)
                continue
            known: Event = Errored(effect.id, found) if isinstance(found, Failure) else Completed(effect.id, found)
            state, more = mutated(state, known, now)
            left.extend(more)
        return state, tuple(left)

    return mutated


def unlocking(step: StepFunction, when: Callable[[Taken], bool]) -> StepFunction:
    """Give the lock back after each step for which ``when`` holds, if there is one, whatever the host is busy with."""

    def mutated(state: State, event: Event, now: Now) -> Step:
        after, effects = step(state, event, now)
        record, task = after.records.lock, after.next_id
        if record is None or after.lock.task is not None or not when(Taken(state, event, after, effects)):
            return after, effects
        after = replace(after, next_id=task + 1, lock=replace(after.lock, task=task, retry_at=None))
        return after, (*effects, ReleaseLock(task, record.account, None))

    return mutated


def putting_off_unlocks(step: StepFunction, pause_secs: float) -> StepFunction:
    """Try again so many seconds after an unlock failed, or after the boot was not found well enough for one."""

    def mutated(state: State, event: Event, now: Now) -> Step:
        after, effects = step(state, event, now)
        if after.lock.retry_at is None or after.lock.failures == state.lock.failures:
            return after, effects
        return replace(after, lock=replace(after.lock, retry_at=now.boot_secs + pause_secs)), effects

    return mutated


def is_armed(state: State) -> bool:
    """Whether an attempt of this boot has its intent on record: it arms, or has armed."""
    intent = state.records.intent
    return intent is not None and intent.boot == state.boot


def is_rebooting(state: State) -> bool:
    """Whether logind was asked in this boot, and nothing was taken back since."""
    intent = state.records.intent
    return intent is not None and intent.boot == state.boot and intent.requested is not None


def is_locking(state: State) -> bool:
    """Whether the lock was asked for in this boot, and no answer is known."""
    record = state.records.lock
    return record is not None and record.boot == state.boot and record.state == LockState.MAYBE_HELD


def is_of_the_lock(state: State, task: int) -> bool:
    """Whether ``task`` is the unlock, or the check of the boot's health before it."""
    return task == state.lock.task


def is_probe_of_the_watch(state: State, effect: Effect) -> bool:
    """Whether ``effect`` checks the health of a boot that is being verified."""
    return isinstance(effect, ReadHealth) and not is_of_the_lock(state, effect.id)


# --------------------------------------------------------------------------- the lock is given back too early


def unlocks_while_logind_takes_the_host_down(step: StepFunction) -> StepFunction:
    """Give the lock back although a reboot was asked for."""
    return unlocking(step, lambda taken: is_rebooting(taken.after) and not taken.after.shutting_down)


def unlocks_during_a_shutdown(step: StepFunction) -> StepFunction:
    """Give the lock back although the host goes down."""
    return unlocking(step, lambda taken: taken.after.shutting_down and mandate_in(taken.after) is None)


def unlocks_before_it_has_disarmed(step: StepFunction) -> StepFunction:
    """Give the lock back while the arming is still being taken back."""
    return unlocking(step, lambda taken: taken.started(Disarm) and not taken.after.shutting_down)


def unlocks_without_a_look_at_the_boot(step: StepFunction) -> StepFunction:
    """Send the unlock where the boot's health was to be checked before it."""

    def mutated(state: State, event: Event, now: Now) -> Step:
        after, effects = step(state, event, now)
        record = after.records.lock
        if record is None:
            return after, effects
        return after, tuple(
            ReleaseLock(effect.id, record.account, None)
            if isinstance(effect, ReadHealth) and is_of_the_lock(after, effect.id)
            else effect
            for effect in effects
        )

    return mutated


def unlocks_as_soon_as_it_has_booted(step: StepFunction) -> StepFunction:
    """Take every lock for one that is given back after the boot."""

    def mutated(state: State, event: Event, now: Now) -> Step:
        record = state.records.lock
        if record is None:
            return step(state, event, now)
        hasty = replace(state.records, lock=replace(record, release=LockRelease.AFTER_BOOT))
        after, effects = step(replace(state, records=hasty), event, now)
        kept = after.records.lock
        if kept is None or kept.since != record.since:
            return after, effects
        return replace(after, records=replace(after.records, lock=replace(kept, release=record.release))), effects

    return mutated


def unlocks_at_once_when_the_boot_is_well(step: StepFunction) -> StepFunction:
    """Give the lock back as soon as the boot is found healthy, whatever the host does by then."""

    def found_well(taken: Taken) -> bool:
        match taken.event:
            case Completed(task, ProbeResult() as look):
                return is_of_the_lock(taken.before, task) and not failing(look)
            case _:
                return False

    return unlocking(step, found_well)


def gives_the_lock_back_while_the_boot_is_watched(step: StepFunction) -> StepFunction:
    """Keep no lock for a rollback."""
    return unlocking(step, lambda taken: any(is_probe_of_the_watch(taken.after, effect) for effect in taken.effects))


# --------------------------------------------------------------------------- the lock is not given back


def forgets_the_lock_when_it_has_disarmed(step: StepFunction) -> StepFunction:
    """Drop the lock record together with the intent."""

    def forgetful(taken: Taken) -> Records:
        records = taken.after.records
        called_off = is_armed(taken.before) and records.intent is None
        return replace(records, lock=None) if called_off else records

    return with_records(step, forgetful)


def does_not_greet(step: StepFunction) -> StepFunction:
    """Send no unlock at the start, where no record asks for one."""

    def mutated(state: State, event: Event, now: Now) -> Step:
        return step(replace(state, lock=replace(state.lock, startup_release=False)), event, now)

    return mutated


def takes_a_failed_unlock_for_done(step: StepFunction) -> StepFunction:
    """Forget the lock whatever the server answers."""

    def hopeful(state: State, event: Event) -> Event:
        match event:
            case Errored(task) if is_of_the_lock(state, task):
                return Completed(task, LockReleased())
            case _:
                return event

    return with_events(step, hopeful)


def gives_up_on_an_unlock_that_failed(step: StepFunction) -> StepFunction:
    """Try again in some days."""
    return putting_off_unlocks(step, 1e6)


def storms_a_server_that_is_down(step: StepFunction) -> StepFunction:
    """Try again at once."""
    return putting_off_unlocks(step, 0.0)


def takes_no_answer_for_a_no(step: StepFunction) -> StepFunction:
    """Take a pre-reboot without an answer to be one that the server has refused."""

    def hopeful(state: State, event: Event) -> Event:
        match event:
            case Errored(task, failure) if is_locking(state) and not is_of_the_lock(state, task):
                refused = failure.kind in NOT_TAKEN
                return event if refused else Errored(task, replace(failure, kind=ErrorKind.LOCK_REFUSED))
            case _:
                return event

    return with_events(step, hopeful)


def unlocks_by_the_configuration_of_the_day(step: StepFunction) -> StepFunction:
    """Give back what the configuration names, not what was taken."""

    def by_configuration(state: State, _event: Event, effect: Effect) -> Effect:
        locking = state.policy.fleet_lock
        if isinstance(effect, ReleaseLock) and locking is not None:
            return replace(effect, account=locking.account)
        return effect

    return with_effects(step, by_configuration)


# --------------------------------------------------------------------------- the lock is not taken as it should be


def does_not_ask_for_the_lock(step: StepFunction) -> StepFunction:
    """Arm without asking the lock server."""

    def granted(state: State, task: Task) -> Result | None:
        return LockGranted() if isinstance(task, AcquireLock) and not is_armed(state) else None

    return answering(step, granted)


def asks_before_the_record_is_written(step: StepFunction) -> StepFunction:
    """Ask for a lock and keep no record of it."""

    def forgetful(taken: Taken) -> Records:
        records = taken.after.records
        return replace(records, lock=None) if taken.started(AcquireLock) else records

    return with_records(step, forgetful)


def does_not_ask_for_the_lock_again(step: StepFunction) -> StepFunction:
    """Rely on a grant of before arming."""

    def granted(state: State, task: Task) -> Result | None:
        return LockGranted() if isinstance(task, AcquireLock) and is_armed(state) else None

    return answering(step, granted)


def takes_the_loss_of_the_lock_for_a_grant(step: StepFunction) -> StepFunction:
    """Ask for the lock again after arming, and go on whatever the answer."""

    def hopeful(state: State, event: Event) -> Event:
        match event:
            case Completed(task, LockBusy()) if is_armed(state):
                return Completed(task, LockGranted())
            case _:
                return event

    return with_events(step, hopeful)


def does_not_wait_for_an_owed_unlock(step: StepFunction) -> StepFunction:
    """Finalize although another lock has not been released yet."""

    def free(state: State, event: Event, now: Now) -> Step:
        released = replace(state.records, lock=None), replace(state.lock, startup_release=False)
        after, effects = step(replace(state, records=released[0], lock=released[1]), event, now)
        records = replace(after.records, lock=after.records.lock or state.records.lock)
        return replace(after, records=records, lock=state.lock), effects

    def mutated(state: State, event: Event, now: Now) -> Step:
        match event:
            case ApplyAsked() | Completed(result=tuple()) if not is_armed(state):
                return free(state, event, now)
            case Tick() if any(isinstance(effect, AskGates) for effect in free(state, event, now)[1]):
                return free(state, event, now)
            case _:
                return step(state, event, now)

    return mutated


def does_not_see_that_another_lock_is_asked_for_now(step: StepFunction) -> StepFunction:
    """Do not compare the lock that is held with the configuration before the reboot."""

    def careless(state: State, event: Event) -> Policy:
        match event:
            case Completed(result=tuple()) if is_armed(state):
                return replace(state.policy, fleet_lock=None)
            case _:
                return state.policy

    return with_policy(step, careless)


# --------------------------------------------------------------------------- the last checks before the reboot


def skips_the_last_look(step: StepFunction) -> StepFunction:
    """Do not ask the gates again after arming."""

    def nobody_waits(state: State, task: Task) -> Result | None:
        return () if isinstance(task, AskGates) and is_armed(state) else None

    return answering(step, nobody_waits)


def takes_the_last_look_for_a_formality(step: StepFunction) -> StepFunction:
    """Ask the gates again after arming, and go on whatever they say."""

    def hopeful(state: State, event: Event) -> Event:
        match event:
            case Completed(task, tuple()) if is_armed(state):
                return Completed(task, ())
            case _:
                return event

    return with_events(step, hopeful)


def does_not_hear_of_new_settings_while_the_server_is_asked(step: StepFunction) -> StepFunction:
    """Go on under the settings with which the attempt began."""

    def outdated(state: State, event: Event) -> Policy:
        match event:
            case Completed(result=LockGranted()):
                return replace(state.policy, enabled=True, blocked=None)
            case Completed(result=tuple()) if is_armed(state):
                return replace(state.policy, enabled=True, blocked=None)
            case _:
                return state.policy

    return with_policy(step, outdated)


def keeps_an_override_for_the_next_time(step: StepFunction) -> StepFunction:
    """Pass over a gate again that a person has passed over once."""
    kept: set[str] = set()

    def sticky(mandate: Mandate) -> Mandate:
        if mandate.request is not None:
            kept.update(mandate.overrides & {FLEET_LOCK})
            return mandate
        return replace(mandate, overrides=frozenset(kept))

    return with_mandate(step, sticky)


def does_not_answer_who_asked(step: StepFunction) -> StepFunction:
    """Send a person no answer once logind or the lock server has answered."""

    def silent(_state: State, event: Event, effect: Effect) -> Effect | None:
        match event:
            case Completed(result=LockGranted() | LockBusy() | RebootAccepted() | RebootRefused()):
                return None if isinstance(effect, Reply) else effect
            case _:
                return effect

    return with_effects(step, silent)


# --------------------------------------------------------------------------- what a boot is judged by


def leaves_a_release_that_is_well(step: StepFunction) -> StepFunction:
    """Take every boot that is verified to be unhealthy."""

    def gloomy(state: State, event: Event) -> Event:
        match event:
            case Completed(task, ProbeResult()) if not is_of_the_lock(state, task):
                return Completed(task, unhealthy("anything"))
            case _:
                return event

    return with_events(step, gloomy)


def leaves_a_release_and_does_not_deny_it(step: StepFunction) -> StepFunction:
    """Keep no denial."""
    return with_records(step, lambda taken: replace(taken.after.records, denied=taken.before.records.denied))


def forgets_the_way_back_that_was_prepared(step: StepFunction) -> StepFunction:
    """Keep no intent of a rollback."""

    def forgetful(taken: Taken) -> Records:
        records = taken.after.records
        return replace(records, intent=taken.before.records.intent) if taken.started(Rollback) else records

    return with_records(step, forgetful)


def takes_the_way_back_for_an_update(step: StepFunction) -> StepFunction:
    """Roll back with the mandate of an update."""
    return with_mandate(step, lambda mandate: mandate if mandate.request is not None else AUTOMATIC)


def never_looks_again_at_a_host_that_is_paused(step: StepFunction) -> StepFunction:
    """Neither check a paused host again nor let a person resume it."""

    def mutated(state: State, event: Event, now: Now) -> Step:
        if isinstance(event, ResumeAsked):
            return state, ()
        after, effects = step(state, event, now)
        if not isinstance(after.phase, Paused):
            return after, effects
        return after, tuple(effect for effect in effects if not is_probe_of_the_watch(after, effect))

    return mutated


def denies_after_a_power_cut(step: StepFunction) -> StepFunction:
    """Take a boot into another release than the armed one as the boot loader's verdict, without evidence."""

    def hasty(taken: Taken) -> Records:
        before, records = taken.before.records, taken.after.records
        if before.intent is None or records.intent is not None or not records.history:
            return records
        last = records.history[-1]
        if last.outcome != Outcome.NOT_ATTEMPTED or before.intent.boot == taken.after.boot:
            return records
        return records.with_denied(Denial(last.target, DenialCause.FELL_BACK, last.detail, last.ended_at))

    return with_records(step, hasty)


def takes_any_entry_for_a_fall_back(step: StepFunction) -> StepFunction:
    """Take an entry that the kernel has found for one that the boot loader has read."""

    def trusting(_: State, event: Event) -> Event:
        if not isinstance(event, Completed) or not isinstance(event.result, HostView):
            return event
        engine = replace(event.result.engine, booted_by_current_menu=True)
        return replace(event, result=replace(event.result, engine=engine))

    return with_events(step, trusting)


def forgets_failed_attempts(step: StepFunction) -> StepFunction:
    """Keep no attempt that came to no boot, so that none counts towards the bound."""

    def forgetful(taken: Taken) -> Records:
        records = taken.after.records
        kept = tuple(attempt for attempt in records.history if attempt.outcome != Outcome.NOT_ATTEMPTED)
        return replace(records, history=kept)

    return with_records(step, forgetful)


# --------------------------------------------------------------------------- what was begun is not taken back


def does_not_disarm(step: StepFunction) -> StepFunction:
    """Call an attempt off and leave the next boot as it is."""
    return answering(step, _as_if_disarmed)


def does_not_disarm_after_a_restart(step: StepFunction) -> StepFunction:
    """Leave the next boot as an agent left it that was killed amid an attempt."""
    careless = answering(step, _as_if_disarmed)

    def mutated(state: State, event: Event, now: Now) -> Step:
        return (careless if isinstance(state.phase, Starting) else step)(state, event, now)

    return mutated


def _as_if_disarmed(state: State, task: Task) -> Result | None:
    if not isinstance(task, Disarm) or state.host is None:
        return None
    host = state.host  # the machine does not believe an engine whose own status shows it armed
    staged = None if host.staged is None else replace(host.staged, locked=True)
    entries = (host.booted, *(entry for entry in host.entries if entry.payload != host.booted.payload))
    return HostView(replace(host, staged=staged, entries=entries), state.shutting_down, state.failed_units)


def waits_for_the_lock_server_with_everything(step: StepFunction) -> StepFunction:
    """Ask discovery for no release before the lock server has answered the unlock at the start."""

    def unreachable(state: State, task: Task) -> Failure | None:
        waiting = isinstance(task, FindOffers) and state.lock.startup_release and state.policy.fleet_lock is not None
        return Failure(ErrorKind.DISCOVERY_UNREACHABLE, "the lock server comes first") if waiting else None

    return answering(step, unreachable)
