"""After a boot: what came of the attempt, and whether the host is well on it.

::

    Starting --no intent, or it is settled--> Steady
       |  intent of this boot --> Rebooting (logind was asked) or Disarming (it was not)
       |  fell_back: deny the release, make the booted one the default --> Disarming --> Steady
       |  applied
       v
    Verifying --well--> mark good, close the attempt --> Steady
       |  not well, or not known in time
       v
    Paused --well after all--> Verifying
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from tidegate.clock import Now
from tidegate.engines.base import EngineStatus
from tidegate.errors import Failure
from tidegate.machine.effects import ERROR, NOTICE, WARNING, Announce, MarkGood, ReadHealth, ReadHost
from tidegate.machine.events import Health, HealthPending, Healthy, HostView, Unhealthy
from tidegate.machine.finalize import REBOOT_GRACE_SECS
from tidegate.machine.parts import SWITCHING, enter, recovered, seen, take_id, troubled
from tidegate.machine.phases import Disarming, Paused, Rebooting, Starting, Steady, Verifying
from tidegate.machine.state import State, Step
from tidegate.machine.undo import disarm
from tidegate.records import Denial, Intent, LockState, Outcome, RebootRequest

START_RETRY_SECS = 30.0
"""Between two tries to read the host: the engine helper may come up later than the agent."""

HEALTH_INTERVAL_SECS = 5.0
"""Between two looks while a boot is being verified: soon enough for a person who watches, and over in minutes."""

HEALTH_DEADLINE_SECS = 300.0
"""From the agent's start to the conclusion that a boot which is not well by now will not be."""

PAUSED_LOOK_SECS = 60.0
"""Between two looks at a boot that was found not well: a person may be mending it."""

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
    if host.finalize_failure is not None:
        return Outcome.FINALIZE_FAILED
    return Outcome.NOT_ATTEMPTED


# --------------------------------------------------------------------------- starting


def read_host(state: State) -> Step:
    """Ask for the host's account of itself; everything starts from it."""
    task, state = take_id(state)
    return enter(state, Starting(task)), (ReadHost(task),)


def host_unreadable(state: State, failure: Failure, now: Now) -> Step:
    """Without knowing the host nothing can be decided: try again."""
    first = state.trouble is None
    notes = (Announce(WARNING, f"cannot read the host: {failure.message}"),) if first else ()
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
        note = Announce(NOTICE, f"restarted before the reboot into {intent.target.version} was asked for: taken back")
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
    return state, (Announce(WARNING, f"not in {intent.target.version}: {why}; taken back"), *effects)


def _settle(state: State, intent: Intent, host: EngineStatus, now: Now) -> Step:
    """The attempt is of an earlier boot: name its outcome."""
    outcome = decide_outcome(intent, host)
    match outcome:
        case Outcome.APPLIED:
            return _verify(state, intent, now)
        case Outcome.FELL_BACK:
            return _fell_back(state, intent, host, now)
        case Outcome.FINALIZE_FAILED:
            return _came_to_nothing(state, outcome, host.finalize_failure or "", host, now)
        case Outcome.NOT_ATTEMPTED:
            lost = "the host came up without it ever becoming a boot entry (power cut, or its staging was lost)"
            return _came_to_nothing(state, outcome, lost, host, now)
        case _:
            assert_never(outcome)


def _fell_back(state: State, intent: Intent, host: EngineStatus, now: Now) -> Step:
    target = intent.target
    evidence = f"{host.booted.version} booted instead of {target.version}, which has a boot entry"
    denial = Denial(target, Outcome.FELL_BACK, f"{evidence}; boot id {state.boot.boot_id}", now.wall)
    records = state.records.with_denied(denial).closed(Outcome.FELL_BACK, evidence, now)
    state = replace(state, records=records)
    note = Announce(ERROR, f"{target.version} fell back: {evidence}; it is denied from now on")
    state, effects = _rest(state, host, now)
    return state, (note, *effects)


def _rest(state: State, host: EngineStatus, now: Now) -> Step:
    """No attempt is under way. The next boot must not lead into a denied release, whoever left it so."""
    denial = None if host.next_boot == host.booted.payload else state.records.denial_of(host.next_boot)
    if denial is None:
        return enter(state, Steady()), ()
    return disarm(state, Disarming(denial.release, now.wall, None, ()))


def _came_to_nothing(state: State, outcome: Outcome, detail: str, host: EngineStatus, now: Now) -> Step:
    intent = state.records.intent
    version = "?" if intent is None else intent.target.version
    state = replace(state, records=state.records.closed(outcome, detail, now))
    state, effects = _rest(state, host, now)
    return state, (Announce(ERROR, f"{version}: {outcome}: {detail}"), *effects)


# --------------------------------------------------------------------------- verifying


def _verify(state: State, intent: Intent, now: Now) -> Step:
    note = Announce(NOTICE, f"booted into {intent.target.version}, verifying")
    state, effects = look(state, Verifying(now.boot_secs, None))
    return state, (note, *effects)


def look(state: State, phase: Verifying) -> Step:
    """Look at the boot's health, or confirm it once it is well."""
    task, state = take_id(state)
    state = enter(state, replace(phase, task=task, retry_at=None))
    if not phase.healthy:
        return state, (ReadHealth(task),)
    assert state.records.intent is not None  # noqa: S101 - verifying is about an intent, kept until its end
    return state, (MarkGood(task, state.records.intent.target),)


def health_read(state: State, phase: Verifying, health: Health, now: Now) -> Step:
    """One look at the boot's health."""
    match health:
        case Healthy():
            return look(state, replace(phase, healthy=True, pending=""))
        case HealthPending(reason) if now.boot_secs - phase.since < HEALTH_DEADLINE_SECS:
            again = replace(phase, task=None, pending=reason, retry_at=now.boot_secs + HEALTH_INTERVAL_SECS)
            return enter(state, again), ()
        case HealthPending(reason):
            return _pause(state, f"not known to be well after {HEALTH_DEADLINE_SECS:.0f} s: {reason}", now)
        case Unhealthy(evidence):
            return _pause(state, evidence, now)
        case _:
            assert_never(health)


def health_unreadable(state: State, phase: Verifying, failure: Failure, now: Now) -> Step:
    """Not being able to look says nothing about the boot: it is a reason to look again."""
    return health_read(state, phase, HealthPending(failure.message), now)


def good(state: State, host: HostView, now: Now) -> Step:
    """The engine has taken the confirmation: the update counts."""
    intent = state.records.intent
    version = "?" if intent is None else intent.target.version
    state = recovered(seen(state, host), *SWITCHING)
    records = state.records.closed(Outcome.APPLIED, "verified", now).lock_is(LockState.RELEASE_OWED)
    state = replace(state, records=records)
    return enter(state, Steady()), (Announce(NOTICE, f"{version} is applied and verified"),)


def mark_good_failed(state: State, phase: Verifying, failure: Failure, now: Now) -> Step:
    """The boot is well and the engine could not note it: until it does, a boot loader may still fall back."""
    again = replace(phase, task=None, retry_at=now.boot_secs + START_RETRY_SECS)
    return enter(troubled(state, failure, now), again), ()


# --------------------------------------------------------------------------- paused


def look_again(state: State, phase: Paused) -> Step:
    """Has somebody mended it?"""
    task, state = take_id(state)
    return enter(state, replace(phase, task=task)), (ReadHealth(task),)


def paused_health(state: State, phase: Paused, health: Health, now: Now) -> Step:
    """Go on where it is well now; stay paused otherwise."""
    if isinstance(health, Healthy):
        return look(state, Verifying(now.boot_secs, None, healthy=True))
    return enter(state, replace(phase, task=None, look_at=now.boot_secs + PAUSED_LOOK_SECS)), ()


def _pause(state: State, reason: str, now: Now) -> Step:
    paused = Paused(reason, now.boot_secs + PAUSED_LOOK_SECS)
    return enter(state, paused), (Announce(ERROR, f"the boot is not well, updates are paused: {reason}"),)
