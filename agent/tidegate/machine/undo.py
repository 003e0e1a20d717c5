"""Every way back from an attempt.

::

    Arming ... Requesting --a step failed, a gate waits, logind refuses--+
    Rebooting --still up at the deadline, or called off------------------+--> Disarming --> Staged
    Starting --an attempt that never got as far as its reboot------------+

The intent leaves the disk only when the engine has disarmed: until then any reboot would lead into the release. The
lock is kept as long, and owed from that moment (:mod:`.lock_duty`).
"""

from __future__ import annotations

from dataclasses import replace

from tidegate.clock import Now
from tidegate.errors import Failure
from tidegate.gates.base import Verdict
from tidegate.machine.effects import ERROR, NOTICE, Announce, Disarm, Effect
from tidegate.machine.events import HostView
from tidegate.machine.parts import SWITCHING, enter, recovered, refusal, reply, seen, take_id, troubled
from tidegate.machine.phases import Disarming, Finalizing, Rebooting, Steady
from tidegate.machine.state import State, Step
from tidegate.machine.topics import Topic
from tidegate.machine.waiting import waiting, without_vain_rollback
from tidegate.records.model import Outcome

UNDO_RETRY_SECS = 30.0
"""Between two tries to disarm: soon, because until it is done any reboot leads into a release that was called off."""


def call_off(state: State, phase: Finalizing, verdicts: tuple[Verdict, ...]) -> Step:
    """Disarm; the attempt never happened."""
    why = refusal(verdicts)
    state, effects = disarm(state, Disarming(phase.target, phase.since, None, verdicts))
    note = Announce(Topic.CALLED_OFF, NOTICE, f"called off: {why.message}", phase.target.version)
    return state, (*reply(phase.mandate.request, why), note, *effects)


def did_not_go_down(state: State, phase: Rebooting, why: str) -> Step:
    """The reboot that logind accepted has not happened: it counts as an attempt, and is taken back."""
    state, effects = disarm(state, Disarming(phase.target, phase.since, None, (), closing=why))
    text = f"expected reboot did not happen: {why}"
    return state, (Announce(Topic.REBOOT_FAILED, ERROR, text, phase.target.version), *effects)


def disarm(state: State, phase: Disarming) -> Step:
    """Ask the engine to take the arming back."""
    task, state = take_id(state)
    return enter(state, replace(phase, task=task, retry_at=None)), (Disarm(task, phase.target),)


def disarmed(state: State, phase: Disarming, host: HostView, now: Now) -> Step:
    """The next boot is the booted release again: now the intent may go."""
    state = recovered(seen(state, host), *SWITCHING)
    records = state.records
    records = (
        records.abandoned() if phase.closing is None else records.closed(Outcome.NOT_ATTEMPTED, phase.closing, now)
    )
    state = without_vain_rollback(replace(state, records=records))
    due = state.records.rollback
    if due is not None:
        return waiting(state, due.target, due.since, phase.verdicts, now), ()
    kept = host.engine.staged
    if kept is None or kept.payload != phase.target.payload or records.denial_of(kept.payload) is not None:
        return enter(state, Steady()), ()
    return waiting(state, phase.target, phase.since, phase.verdicts, now), ()


def disarm_failed(state: State, phase: Disarming, failure: Failure, now: Now) -> Step:
    """Say it loudly, and try again soon."""
    first = state.trouble is None or state.trouble.failure.kind is not failure.kind
    text = f"could not disarm {phase.target.version}, a reboot now would lead into it: {failure.message}"
    notes: tuple[Effect, ...] = (Announce(Topic.DISARM_FAILED, ERROR, text, phase.target.version),) if first else ()
    again = replace(phase, task=None, retry_at=now.boot_secs + UNDO_RETRY_SECS)
    return enter(troubled(state, failure, now), again), notes
