"""After a start: what the host is in, and what came of the attempt that was under way.

::

    Starting --no intent, or it is settled--> Steady, or Leaving where a rollback is due
       |  intent of this boot --> Rebooting (logind was asked) or Disarming (it was not)
       |  fell_back: deny the release, make the booted one the default --> Disarming --> Steady
       |  applied
       v
    Verifying: see .watch
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import assert_never

from tidegate.clock import Now
from tidegate.engines.base import EngineStatus, FinalizeFailure
from tidegate.errors import Failure
from tidegate.machine import watch
from tidegate.machine.effects import ERROR, NOTICE, WARNING, Announce, Effect, ReadHost
from tidegate.machine.events import HostView
from tidegate.machine.finalize import REBOOT_GRACE_SECS
from tidegate.machine.parts import SWITCHING, booted_release, enter, recovered, seen, take_id, troubled
from tidegate.machine.phases import Disarming, Rebooting, Starting, Steady
from tidegate.machine.state import State, Step
from tidegate.machine.topics import Topic
from tidegate.machine.undo import disarm
from tidegate.machine.waiting import waiting, without_vain_rollback
from tidegate.records.model import Denial, DenialCause, Intent, Outcome, RebootRequest
from tidegate.release import Purpose

STAMP_RESOLUTION = timedelta(seconds=2)
"""Of times on a FAT file system, which /boot may be; they are rounded down."""

START_RETRY_SECS = 30.0
"""Between two tries to read the host: the engine helper may come up later than the agent."""

# --------------------------------------------------------------------------- the outcome, pure


def decide_outcome(intent: Intent, host: EngineStatus) -> Outcome:
    """What became of ``intent``, seen from a later boot.

    A boot entry for the target is the evidence that it was armed and the shutdown switched to it; what is booted says
    whether it held. A power cut before that switch leaves neither entry nor stamp.
    """
    target = intent.target.payload
    if host.booted.payload == target:
        return Outcome.APPLIED
    is_default = bool(host.entries) and host.entries[0].payload == target
    has_entry = any(entry.payload == target for entry in host.entries)
    if is_default or (has_entry and not intent.had_entry):
        return Outcome.FELL_BACK
    if host.finalize_failure is not None and _reports_on(host.finalize_failure, intent):
        return Outcome.FINALIZE_FAILED
    return Outcome.NOT_ATTEMPTED


def _reports_on(failure: FinalizeFailure, intent: Intent) -> bool:
    """Whether ``failure`` may be of this attempt: not known to be of another release, or of an earlier time."""
    if failure.payload not in {None, intent.target.payload}:
        return False
    return failure.at is None or failure.at >= intent.written_at - STAMP_RESOLUTION


# --------------------------------------------------------------------------- starting


def read_host(state: State) -> Step:
    """Ask for the host's account of itself; everything starts from it."""
    task, state = take_id(state)
    return enter(state, Starting(task)), (ReadHost(task),)


def host_unreadable(state: State, failure: Failure, now: Now) -> Step:
    """Without knowing the host nothing can be decided: try again."""
    first = state.trouble is None
    text = f"cannot read the host: {failure.message}"
    notes = (Announce(Topic.HOST_UNREADABLE, WARNING, text),) if first else ()
    retry = Starting(None, now.boot_secs + START_RETRY_SECS)
    return enter(troubled(state, failure, now), retry), notes


def host_read(state: State, host: HostView, now: Now) -> Step:
    """The host told what it is in: settle the attempt that was under way, if any."""
    state = recovered(seen(state, host), *SWITCHING)
    intent = state.records.intent
    if intent is None:
        return _rest(state, host.engine, now)
    if intent.boot == state.boot:
        return _resume(state, intent, now)
    if intent.boot.shares_kernel_with(state.boot) and host.engine.booted.payload != intent.target.payload:
        return _soft_rebooted(state, intent, now)
    return _settle(state, intent, host.engine, now)


def _resume(state: State, intent: Intent, now: Now) -> Step:
    """The agent was restarted amid an attempt, in the boot that began it."""
    if intent.requested is None and not state.shutting_down:
        undo = Disarming(intent.target, now.wall, None, ())
        state, effects = disarm(state, undo)
        text = f"restarted before the reboot into {intent.target.version} was asked for: taken back"
        note = Announce(Topic.CALLED_OFF, NOTICE, text, intent.target.version)
        return state, (note, *effects)
    deadline = _request_of(intent, now).boot_secs + REBOOT_GRACE_SECS
    still_up = "the reboot was asked for, and the host was still up long after"
    return enter(state, Rebooting(intent.target, now.wall, deadline, still_up)), ()


def _request_of(intent: Intent, now: Now) -> RebootRequest:
    """When the reboot was asked for; a host that goes down for another reason counts from now."""
    return intent.requested or RebootRequest(now.wall, now.boot_secs)


def _soft_rebooted(state: State, intent: Intent, now: Now) -> Step:
    """Userspace was started anew in the old release. No boot loader has run, so there is no verdict on the target."""
    why = f"a soft-reboot kept the host in {intent.origin.version}"
    state, effects = disarm(state, Disarming(intent.target, now.wall, None, (), closing=why))
    text = f"not in {intent.target.version}: {why}; taken back"
    return state, (Announce(Topic.ATTEMPT_FAILED, WARNING, text, intent.target.version), *effects)


def _settle(state: State, intent: Intent, host: EngineStatus, now: Now) -> Step:
    """The attempt is of an earlier boot: name its outcome."""
    outcome, failure = decide_outcome(intent, host), host.finalize_failure
    match outcome:
        case Outcome.APPLIED | Outcome.REJECTED:
            return watch.begin(replace(state, records=replace(state.records, rollback=None)), now)
        case Outcome.FELL_BACK:
            return _fell_back(state, intent, host, now)
        case Outcome.FINALIZE_FAILED:
            return _came_to_nothing(state, outcome, failure.message if failure else "", host, now)
        case Outcome.NOT_ATTEMPTED:
            lost = "the host came up without it ever becoming a boot entry (power cut, or its staging was lost)"
            return _came_to_nothing(state, outcome, lost, host, now)
        case _:
            assert_never(outcome)


def _left(state: State, host: EngineStatus) -> State:
    """A rollback is due in the release that it leaves, and nowhere else."""
    due = state.records.rollback
    if due is None or due.origin.payload == host.booted.payload:
        return state
    return replace(state, records=replace(state.records, rollback=None))


def _fell_back(state: State, intent: Intent, host: EngineStatus, now: Now) -> Step:
    target = intent.target
    evidence = f"{host.booted.version} booted instead of {target.version}, which has a boot entry"
    denial = Denial(target, DenialCause.FELL_BACK, evidence, now.wall, intent.boot.boot_id)
    records = state.records.with_denied(denial).closed(Outcome.FELL_BACK, evidence, now)
    text = f"{target.version} fell back: {evidence}; it is denied from now on"
    if intent.purpose == Purpose.ROLLBACK:
        records = replace(records, rollback=None)
        text += f"; the host stays in {host.booted.version}, which was to be left"
    note = Announce(Topic.FELL_BACK, ERROR, text, target.version)
    state, effects = _rest(replace(state, records=records), host, now)
    return state, (note, *effects)


def _came_to_nothing(state: State, outcome: Outcome, detail: str, host: EngineStatus, now: Now) -> Step:
    intent = state.records.intent
    version = "?" if intent is None else intent.target.version
    state = replace(state, records=state.records.closed(outcome, detail, now))
    state, effects = _rest(state, host, now)
    return state, (Announce(Topic.ATTEMPT_FAILED, ERROR, f"{version}: {outcome}: {detail}", version), *effects)


def _rest(state: State, host: EngineStatus, now: Now) -> Step:
    """No attempt is under way. The next boot must not lead into a denied release, whoever left it so."""
    state, notes = _left_outside(without_vain_rollback(_left(state, host)), host, now)
    denial = None if host.next_boot == host.booted.payload else state.records.denial_of(host.next_boot)
    if denial is not None:
        state, effects = disarm(state, Disarming(denial.release, now.wall, None, ()))
        return state, (*notes, *effects)
    due = state.records.rollback
    if due is not None:
        return waiting(state, due.target, due.since, (), now), notes
    return enter(state, Steady()), notes


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
