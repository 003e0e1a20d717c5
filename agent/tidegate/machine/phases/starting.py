"""Starting: read the host, and settle the attempt that was under way.

::

    Starting --no intent, or it is settled--> Steady, or RollbackPending where a rollback is due
       |  intent of this boot --> Rebooting (the reboot was requested) or Undoing (it was not)
       |  fell_back: deny the release, make the booted one the default --> Undoing --> Steady
       |  no verdict: the same without a denial; tried again within bounds
       |  applied
       v
    Verifying
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, assert_never

from tidegate.clock import Now
from tidegate.engines.base import EngineStatus
from tidegate.errors import Failure
from tidegate.gates.base import Wait
from tidegate.gates.state import HOST
from tidegate.machine.effects import ERROR, NOTICE, WARNING, Announce, Effect, ReadHost
from tidegate.machine.events import HostView, Result
from tidegate.machine.outcome import decide_outcome, without_verdict
from tidegate.machine.parts import SWITCHING, booted_release, enter, recovered, seen, take_id, troubled
from tidegate.machine.phase import LockUse, Phase
from tidegate.machine.phases import rebooting, undoing, verifying, waiting
from tidegate.machine.phases.steady import Steady
from tidegate.machine.topics import Topic
from tidegate.records.model import Denial, DenialCause, EndCause, Ending, Intent, Outcome, RebootRequest, RollbackDue
from tidegate.release import Purpose, Release
from tidegate.system.reboot import RebootKind

if TYPE_CHECKING:
    from tidegate.machine.state import State, Step

START_RETRY_SECS = 30.0
"""Between two tries to read the host: the engine helper may come up later than the agent."""


@dataclass(frozen=True, slots=True)
class Starting(Phase):
    """The host is being read. ``task`` is None between two tries; ``retry_at`` (boot clock) is the next one."""

    word: ClassVar[str] = "verifying"
    activity: ClassVar[str] = "reading the state of the host"
    lock_use: ClassVar[LockUse] = LockUse.ATTEMPT  # nobody knows yet whether there is one

    task: int | None
    retry_at: float | None = None

    def wakeup(self, state: State) -> float | None:
        """At the next try."""
        return self.retry_at

    def due(self, state: State, now: Now) -> Step:
        """Read the host again."""
        return read_host(state)

    def awaits(self, task: int) -> bool:
        """For the host."""
        return task == self.task

    def answered(self, state: State, task: int, result: Result, now: Now) -> Step:
        """Settle the attempt that was under way, if any."""
        if not isinstance(result, HostView):
            raise self.unexpected(result)
        return _host_read(state, result, now)

    def failed(self, state: State, task: int, failure: Failure, now: Now) -> Step:
        """Without knowing the host nothing can be decided: try again."""
        first = state.trouble is None
        text = f"cannot read the host: {failure.message}"
        notes = (Announce(Topic.HOST_UNREADABLE, WARNING, text),) if first else ()
        retry = Starting(None, now.boot_secs + START_RETRY_SECS)
        return enter(troubled(state, failure, now), retry), notes

    def unsaved(self, state: State, task: int | None, failure: Failure, now: Now) -> Step:
        """Read the host again later."""
        return self.failed(state, 0 if task is None else task, failure, now)

    def release(self, state: State) -> Release | None:
        """None is known."""
        return None

    def hindrances(self, state: State) -> tuple[Wait, ...]:
        """The host has to be read."""
        why = "" if state.trouble is None else f": {state.trouble.failure.message}"
        return (Wait(HOST.name, f"the host has not been read yet{why}"),)

    def sentence(self, state: State, waits: tuple[Wait, ...]) -> str:
        """A constant: the public state of an error is "failed"."""
        return "reading the host"


def read_host(state: State) -> Step:
    """Ask for the host's account of itself; everything starts from it."""
    task, state = take_id(state)
    return enter(state, Starting(task)), (ReadHost(task),)


def _host_read(state: State, host: HostView, now: Now) -> Step:
    state = recovered(seen(state, host), *SWITCHING)
    intent = state.records.intent
    if intent is None:
        return _without_intent(state, host.engine, now)
    if intent.boot == state.boot:
        return _resume(state, intent, now)
    unasked_soft_reboot = intent.kind != RebootKind.SOFT and intent.boot.shares_kernel_with(state.boot)
    if unasked_soft_reboot and host.engine.booted.payload != intent.target.payload:
        return _soft_rebooted(state, intent, now)
    return _settle(state, intent, host.engine, now)


def _without_intent(state: State, host: EngineStatus, now: Now) -> Step:
    """An attempt without an intent changed nothing that the next boot uses. What it began in this boot is undone."""
    attempt = state.records.attempt
    if attempt is None or attempt.boot != state.boot:  # the boot has started the workload
        return _rest(replace(state, records=replace(state.records, attempt=None)), host, now)
    text = f"restarted during the update to {attempt.target.version}: undone"
    note = Announce(Topic.CALLED_OFF, NOTICE, text, attempt.target.version)
    state, effects = undoing.undo(state, undoing.Undoing(attempt.target, now.wall), now)
    if isinstance(state.phase, undoing.Undoing):
        return state, (note, *effects)
    state, effects = _rest(state, host, now)
    return state, (note, *effects)


def _resume(state: State, intent: Intent, now: Now) -> Step:
    """The agent was restarted amid an attempt, in the boot that began it."""
    if intent.requested is None and not state.shutting_down:
        state, effects = undoing.undo(state, undoing.Undoing(intent.target, now.wall), now)
        text = f"restarted before the reboot into {intent.target.version} was requested: undone"
        note = Announce(Topic.CALLED_OFF, NOTICE, text, intent.target.version)
        return state, (note, *effects)
    deadline = _request_of(intent, now).boot_secs + rebooting.REBOOT_GRACE_SECS
    return enter(state, rebooting.Rebooting(intent.target, now.wall, deadline, rebooting.STILL_UP)), ()


def _request_of(intent: Intent, now: Now) -> RebootRequest:
    """When the reboot was requested; a host that goes down for another reason counts from now."""
    return intent.requested or RebootRequest(now.wall, now.boot_secs)


def _soft_rebooted(state: State, intent: Intent, now: Now) -> Step:
    """Userspace was started anew in the old release. No boot loader has run, so there is no verdict on the target."""
    why = f"a soft-reboot kept the host in {intent.origin.version}"
    state, effects = _undone(state, intent, Ending(Outcome.NOT_ATTEMPTED, why), now)
    text = f"not in {intent.target.version}: {why}; undone"
    return state, (Announce(Topic.ATTEMPT_FAILED, WARNING, text, intent.target.version), *effects)


def _settle(state: State, intent: Intent, host: EngineStatus, now: Now) -> Step:
    """The attempt is of an earlier boot: name its outcome."""
    outcome, failure = decide_outcome(intent, host), host.finalize_failure
    match outcome:
        case Outcome.APPLIED | Outcome.REJECTED:
            return verifying.begin(replace(state, records=replace(state.records, rollback=None)), now)
        case Outcome.FELL_BACK:
            return _fell_back(state, intent, host, now)
        case Outcome.FINALIZE_FAILED:
            return _no_verdict(state, intent, Ending(outcome, "" if failure is None else failure.message), host, now)
        case Outcome.NOT_ATTEMPTED:
            return _no_verdict(state, intent, without_verdict(intent, host, state.last_boot), host, now)
        case _:
            assert_never(outcome)


def _fell_back(state: State, intent: Intent, host: EngineStatus, now: Now) -> Step:
    """The boot loader had the target to choose and took another: that is a verdict on a release that never was well."""
    target = intent.target
    evidence = f"{host.booted.version} booted instead of {target.version}, which has a boot entry"
    if state.records.watched_healthy_secs > 0 or state.records.healthy_before(target.payload):
        why = f"{evidence} and was healthy in earlier boots"
        return _no_verdict(state, intent, Ending(Outcome.FELL_BACK, why, EndCause.AFTER_HEALTHY_BOOTS), host, now)
    denial = Denial(target, DenialCause.FELL_BACK, evidence, now.wall, intent.boot.boot_id)
    records = state.records.with_denied(denial).closed(Ending(Outcome.FELL_BACK, evidence), now)
    text = f"{target.version} fell back: {evidence}; it is denied from now on"
    if intent.purpose == Purpose.ROLLBACK:
        records = replace(records, rollback=None)
        text += f"; the host stays in {host.booted.version}, which was to be left"
    note = Announce(Topic.FELL_BACK, ERROR, text, target.version)
    state, effects = _rest(replace(state, records=records), host, now)
    return state, (note, *effects)


def _no_verdict(state: State, intent: Intent, ending: Ending, host: EngineStatus, now: Now) -> Step:
    """The attempt says nothing about the release: it is made again, within bounds.

    What it left for the next boot is taken back, since no gate has been asked about that boot; but not a way back: the
    release that it leaves is not well.
    """
    version = intent.target.version
    note = Announce(Topic.ATTEMPT_FAILED, ERROR, f"{version}: {ending.outcome}: {ending.detail}", version)
    left_armed = host.next_boot == intent.target.payload and host.traits.can_disarm
    if left_armed and intent.purpose != Purpose.ROLLBACK:
        state, effects = _undone(state, intent, ending, now)
    else:
        state, effects = _rest(replace(state, records=state.records.closed(ending, now)), host, now)
    return state, (note, *effects)


def _undone(state: State, intent: Intent, ending: Ending, now: Now) -> Step:
    """Disarm the target, and end the attempt when that is verified. Until then its entry is known not to prove a thing:
    the host may be cut off once more after the disarming."""
    state = replace(state, records=state.records.opened(replace(intent, had_entry=True)))
    return undoing.undo(state, undoing.Undoing(intent.target, now.wall, closing=ending), now)


def _rest(state: State, host: EngineStatus, now: Now) -> Step:
    """No attempt is under way. The next boot must not lead into a denied release, even if others set it."""
    state, notes = _left_outside(waiting.without_lost_rollback(_left(state, host)), host, now)
    denial = None if host.next_boot == host.booted.payload else state.records.denial_of(host.next_boot)
    if denial is not None and host.traits.can_disarm:
        state, effects = undoing.disarm_denied(state, denial.release, now.wall)
        return state, (*notes, *effects)
    due = state.records.rollback or _led_elsewhere(state, host, now)
    if due is not None:
        state = replace(state, records=replace(state.records, rollback=due))
        return waiting.wait(state, due.target, due.since, (), now), notes
    return waiting.adopted(state, now) or enter(state, Steady()), notes


def _led_elsewhere(state: State, host: EngineStatus, now: Now) -> RollbackDue | None:
    """The way out of a release that evidence denies, where the next boot leads to another already: the power was cut
    before the boot loader could see that it was made the default."""
    denial = state.records.denial_of(host.booted.payload)
    back = next((one for one in host.entries if one.payload == host.next_boot != host.booted.payload), None)
    if denial is None or denial.cause == DenialCause.PERSON or back is None or not host.traits.can_rollback:
        return None
    if state.records.denial_of(back.payload) is not None:
        return None
    reason = f"{host.booted.version} is denied ({denial.cause}), and the next boot leads to {back.version}"
    return RollbackDue(booted_release(state), Release(back.version, back.payload), reason, now.wall)


def _left(state: State, host: EngineStatus) -> State:
    """A rollback is due in the release that it leaves, and nowhere else."""
    due = state.records.rollback
    if due is None or due.origin.payload == host.booted.payload:
        return state
    return replace(state, records=replace(state.records, rollback=None))


def _left_outside(state: State, host: EngineStatus, now: Now) -> tuple[State, tuple[Effect, ...]]:
    """Somebody else has left the release that the host ran last for one that it had left before: that is a verdict.

    Where the boot loader's default is still the release that was left, it may have been a choice for one boot, and the
    boot loader decides about the next one: until then the host has not settled in another.
    """
    settled, booted = state.records.settled, host.booted
    here = replace(state, records=replace(state.records, settled=booted_release(state)))
    if settled is None or settled.payload == booted.payload or not state.records.has_run(booted.payload):
        return here, ()
    text = f"{settled.version} was left for {booted.version} outside of the agent"
    if host.next_boot == settled.payload:
        note = Announce(Topic.LEFT_OUTSIDE, WARNING, f"{text}, and is still the default", settled.version)
        return state, (note,)
    denial = Denial(settled, DenialCause.PERSON, text, now.wall, state.boot.boot_id)
    state = replace(here, records=here.records.with_denied(denial))
    return state, (Announce(Topic.LEFT_OUTSIDE, WARNING, f"{text}: it is denied", settled.version),)
