"""Undoing an attempt: everything that was begun is taken back, from the records, the lock last.

::

    Executing --a step failed, a gate waits, the reboot is refused--+
    Rebooting --still up at the deadline, or called off-------------+--> Undoing --> Staged, Steady ...
    Starting --an attempt that never got as far as its reboot-------+

The parts are independent of each other: a workload starts again whatever the engine does. The intent leaves the disk
only when the engine's own status shows that the arming is undone: until then any reboot would lead into the release.
The lock is kept as long, and is to be released from that moment (:mod:`tidegate.machine.lock_duty`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from tidegate.clock import Now
from tidegate.engines.base import EngineStatus
from tidegate.errors import Failure
from tidegate.gates.base import Verdict, Wait
from tidegate.machine.effects import ERROR, Announce, Disarm, Effect, EndHandOver, ReadHost, StartWorkload
from tidegate.machine.events import HostView, Result, WorkloadDone
from tidegate.machine.parts import SWITCHING, enter, recovered, seen, take_id, troubled, without_effect
from tidegate.machine.phase import LockUse, Phase
from tidegate.machine.phases import waiting
from tidegate.machine.phases.steady import Steady
from tidegate.machine.plan import Undo, undos_of
from tidegate.machine.topics import Topic
from tidegate.records.model import Ending, Intent
from tidegate.release import Purpose, Release

if TYPE_CHECKING:
    from tidegate.machine.state import State, Step

UNDO_RETRY_SECS = 30.0
"""Between two tries: soon, because until the arming is undone any reboot leads into a release that was called off, and
until the workload runs there is an outage."""


@dataclass(frozen=True, slots=True)
class Part:
    """One undo. ``task`` is under way, or None between two tries; ``retry_at`` (boot clock) is the next one."""

    undo: Undo
    task: int | None = None
    retry_at: float | None = None


@dataclass(frozen=True, slots=True)
class Undoing(Phase):
    """The steps of an attempt at ``target`` that are still to be undone.

    ``closing``: how the attempt ends in the history; None when it was called off before it counted as one.
    """

    word: ClassVar[str] = "finalizing"
    activity: ClassVar[str] = "undoing an update that was called off"
    lock_use: ClassVar[LockUse] = LockUse.ATTEMPT

    target: Release
    since: datetime
    verdicts: tuple[Verdict, ...] = ()
    closing: Ending | None = None
    parts: tuple[Part, ...] = ()

    def wakeup(self, state: State) -> float | None:
        """At the next try of any part."""
        return min((part.retry_at for part in self.parts if part.retry_at is not None), default=None)

    def due(self, state: State, now: Now) -> Step:
        """Try again what is due."""
        effects: list[Effect] = []
        parts: list[Part] = []
        for part in self.parts:
            if part.retry_at is None or part.retry_at > now.boot_secs:
                parts.append(part)
                continue
            state, begun, effect = _begun(state, self.target, part)
            parts.append(begun)
            effects.append(effect)
        return enter(state, replace(self, parts=tuple(parts))), tuple(effects)

    def awaits(self, task: int) -> bool:
        """For each part that is under way."""
        return any(part.task == task for part in self.parts)

    def answered(self, state: State, task: int, result: Result, now: Now) -> Step:
        """A part reports success: the arming is believed to be undone when the engine's status shows it."""
        part = self._part(task)
        match part.undo, result:
            case Undo.DISARM, HostView() as host:
                state = seen(state, host)
                objection = _still_armed(state, self.target, host.engine) if host.engine.traits.can_disarm else None
                if objection is not None:
                    return self.failed(state, task, objection, now)
                return self._done(recovered(state, *SWITCHING), part, now)
            case ((Undo.START_WORKLOAD | Undo.END_HAND_OVER), WorkloadDone()):
                state = recovered(state, "workload")
                return self._done(_forgotten(state, part.undo), part, now)
            case _:
                raise self.unexpected(result)

    def failed(self, state: State, task: int, failure: Failure, now: Now) -> Step:
        """Report it with a high priority, and try again soon."""
        part = self._part(task)
        first = state.trouble is None or state.trouble.failure.kind is not failure.kind
        text = _FAILED[part.undo].format(version=self.target.version, why=failure.message)
        notes: tuple[Effect, ...] = (Announce(Topic.DISARM_FAILED, ERROR, text, self.target.version),) if first else ()
        return enter(troubled(state, failure, now), self._retried(part, now)), notes

    def unsaved(self, state: State, task: int | None, failure: Failure, now: Now) -> Step:
        """Undo the part again, since it is still on record; that changes nothing."""
        phase = self._retried(self._part(task), now) if task is not None and self.awaits(task) else self
        return enter(troubled(state, failure, now), phase), ()

    def release(self, state: State) -> Release | None:
        """The release of the attempt that was called off."""
        return self.target

    def sentence(self, state: State, waits: tuple[Wait, ...]) -> str:
        """The attempt that is being undone."""
        return f"undoing the update to {self.target.version}"

    def last_verdicts(self) -> tuple[Verdict, ...]:
        """Why it was called off."""
        return self.verdicts

    def _part(self, task: int) -> Part:
        return next(part for part in self.parts if part.task == task)

    def _retried(self, part: Part, now: Now) -> Undoing:
        again = Part(part.undo, retry_at=now.boot_secs + UNDO_RETRY_SECS)
        return replace(self, parts=tuple(again if one is part else one for one in self.parts))

    def _done(self, state: State, part: Part, now: Now) -> Step:
        left = tuple(one for one in self.parts if one is not part)
        if left:
            return enter(state, replace(self, parts=left)), ()
        return finished(state, self, now), ()


_FAILED = {
    Undo.DISARM: "could not disarm {version}, a reboot now would lead into it: {why}",
    Undo.START_WORKLOAD: "could not start the workload again after the update to {version} was called off: {why}",
    Undo.END_HAND_OVER: "could not end the hand-over after the update to {version} was called off: {why}",
}


def undo(state: State, phase: Undoing, now: Now) -> Step:
    """Take back what the records say was begun; the parts of ``phase`` are found out here."""
    parts = tuple(map(Part, _begun_undos(state)))
    return _undo(state, replace(phase, parts=parts)) if parts else (finished(state, phase, now), ())


def disarm_denied(state: State, target: Release, since: datetime) -> Step:
    """Take a denied release off the next boot where somebody else left it: no attempt of the agent is under way."""
    return _undo(state, Undoing(target, since, parts=(Part(Undo.DISARM),)))


def finished(state: State, phase: Undoing, now: Now) -> State:
    """End the attempt: remove its intent, unless the engine cannot take the arming back."""
    closing, intent = phase.closing, state.records.intent
    records = state.records if closing is None else state.records.closed(closing, now)
    stays = intent is not None and _stays_armed(state, intent.target)
    kept = _kept(intent, known_by_id=closing is not None) if intent is not None and stays else None
    records = replace(records, intent=kept, attempt=None)
    state = waiting.without_lost_rollback(replace(state, records=records))
    due = state.records.rollback
    if due is not None:
        return waiting.wait(state, due.target, due.since, phase.verdicts, now)
    if not still_at_hand(state, phase.target):
        return enter(state, Steady())
    return waiting.wait(state, phase.target, phase.since, phase.verdicts, now)


def _kept(intent: Intent, *, known_by_id: bool) -> Intent:
    """The intent of what stays armed; under an id of its own where an attempt is in the history under the first."""
    return replace(intent, id=f"{intent.id}-armed" if known_by_id else intent.id, requested=None)


def still_at_hand(state: State, target: Release) -> bool:
    """Whether ``target`` is staged, armed for good, or of an order that stages it only after the gates."""
    return state.has_staged(target) or not state.stages_first or _stays_armed(state, target)


def _stays_armed(state: State, target: Release) -> bool:
    host = state.host
    if host is None or host.traits.can_disarm or host.booted.payload == target.payload:
        return False
    return target.payload in (host.next_boot, *(entry.payload for entry in host.entries[:1]))


def _begun_undos(state: State) -> tuple[Undo, ...]:
    """Return the undos that the records ask for: an attempt of an older agent has an intent alone."""
    attempt = state.records.attempt
    here = () if attempt is None or attempt.boot != state.boot else undos_of(attempt.begun)
    rest = tuple(undo for undo in here if undo in (Undo.START_WORKLOAD, Undo.END_HAND_OVER))
    return rest if state.records.intent is None else (*rest, Undo.DISARM)


def _forgotten(state: State, undone: Undo) -> State:
    """Without the steps that ``undone`` has taken back."""
    attempt = state.records.attempt
    if attempt is None:
        return state
    begun = tuple(step for step in attempt.begun if undone not in undos_of((step,)))
    return replace(state, records=replace(state.records, attempt=replace(attempt, begun=begun)))


def _undo(state: State, phase: Undoing) -> Step:
    effects: list[Effect] = []
    parts: list[Part] = []
    for part in phase.parts:
        state, begun, effect = _begun(state, phase.target, part)
        parts.append(begun)
        effects.append(effect)
    return enter(state, replace(phase, parts=tuple(parts))), tuple(effects)


def _begun(state: State, target: Release, part: Part) -> tuple[State, Part, Effect]:
    task, state = take_id(state)
    match part.undo:
        case Undo.START_WORKLOAD:
            effect: Effect = StartWorkload(task)
        case Undo.END_HAND_OVER:
            effect = EndHandOver(task)
        case _ if state.host is not None and not state.host.traits.can_disarm:
            effect = ReadHost(task)  # whether it is armed decides about the intent
        case _:
            stray = _stray(state)
            effect = Disarm(task, target if stray is None else Release("?", stray))
    return state, Part(part.undo, task), effect


def _stray(state: State) -> str | None:
    """The payload that the next boot leads to where a rollback of this boot was led elsewhere by the engine; else None.

    Of an update it is not asked: what else is staged meanwhile is somebody else's.
    """
    attempt, host = state.records.attempt, state.host
    if host is None or attempt is None or attempt.boot != state.boot or attempt.purpose != Purpose.ROLLBACK:
        return None
    expected = (host.booted.payload, attempt.target.payload, attempt.next_boot)
    return None if host.next_boot in expected else host.next_boot


def _still_armed(state: State, target: Release, host: EngineStatus) -> Failure | None:
    """Why the arming is not undone, by the engine's own status: it may report success and have done nothing."""
    if host.next_boot == host.booted.payload or host.next_boot not in (target.payload, _stray(state)):
        return None
    return without_effect(f"the next boot leads to {host.next_boot}")
