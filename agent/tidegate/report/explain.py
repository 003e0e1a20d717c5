"""Why has this host not rebooted: every rule that has a say, what it says, since when, until when, what would lift it.

Asking is all that happens here. Nothing in this module can be told to reboot, to arm or to take a lock: it reads the
state, asks gates (which changes nothing, see :mod:`tidegate.gates.base`) and makes a document.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tidegate.clock import Clock, rfc3339
from tidegate.fleetlock.account import FLEET_LOCK
from tidegate.gates.base import Allow, Gate, Question, Verdict, Wait
from tidegate.gates.gate_set import ask_all
from tidegate.machine.phases.executing import Executing
from tidegate.machine.phases.rebooting import Rebooting
from tidegate.machine.phases.undoing import Undoing
from tidegate.machine.phases.waiting import RollbackPending, Waiting
from tidegate.machine.state import State
from tidegate.machine.state_gates import agent_waits, agent_waits_before_lock, mandate_of
from tidegate.records.model import LockState
from tidegate.release import Release

SCHEMA = 1

Row = dict[str, object]

_ANY = Release("?", "")
"""Stands for the release that would be staged, where there is none: no gate says yes to one and no to another."""


class Explainer:
    """Asks the gates that are in force, as the strategy would, without a consequence."""

    def __init__(self, clock: Clock, gates: Callable[[], Sequence[Gate]], state: Callable[[], State]) -> None:
        self._clock = clock
        self._gates = gates
        self._state = state

    async def explain(self) -> dict[str, object]:
        """The document of ``tidegate explain --json``."""
        state = self._state()
        purpose = mandate_of(state).purpose
        question = Question(target_of(state) or _ANY, purpose, self._clock.now(), noticed=state.noticed)
        verdicts = await ask_all(self._gates(), question)
        return explanation(self._state(), verdicts)


def explanation(state: State, verdicts: Sequence[Verdict]) -> dict[str, object]:
    """What stands between the host and its next release, if there is one; ``verdicts`` are the gates' latest."""
    rows = gate_rows(state, verdicts)
    return {
        "schema": SCHEMA,
        "verdict": "wait" if any(row["verdict"] == "wait" for row in rows) else "allow",
        **prospect(state),
        "gates": rows,
    }


def prospect(state: State) -> Row:
    """What the next reboot would lead to, and why; ``staged``: there is nothing to be done for it but to reboot.

    ``since`` is when that began to wait; nothing is in prospect while a boot is watched.
    """
    release = None if state.records.verification is not None else target_of(state)
    return {
        "purpose": mandate_of(state).purpose,
        "release": None if release is None else {"version": release.version, "payload": release.payload},
        "staged": _is_ready(state),
        "since": rfc3339(state.phase.since) if _is_ready(state) and isinstance(state.phase, Waiting) else None,
    }


def _is_ready(state: State) -> bool:
    """Whether there is nothing left to be done but the way down."""
    match state.phase:
        case RollbackPending() | Rebooting():
            return True
        case Waiting(target=target) | Executing(target=target) | Undoing(target=target):
            staged = None if state.host is None else state.host.staged
            is_staged = staged is not None and staged.payload == target.payload
            return is_staged or state.records.rollback is not None or state.stages_first
        case _:
            return False


def target_of(state: State) -> Release | None:
    """The release that the host is on its way to, or is being verified in."""
    return state.phase.release(state)


def last_verdicts(state: State) -> tuple[Verdict, ...]:
    """The last answers of the gates for the release that waits now."""
    return state.phase.last_verdicts()


def waits_of(state: State) -> tuple[Wait, ...]:
    """What holds the reboot, as far as is known without asking."""
    return _waits(state, last_verdicts(state))


def gate_rows(state: State, verdicts: Sequence[Verdict]) -> list[Row]:
    """One row for each rule that has a say.

    First what waits: the agent's own reasons, then the gates in their order; then what allows; then the fleet lock.
    """
    waits = _waits(state, verdicts)
    allows = [verdict for verdict in verdicts if isinstance(verdict, Allow)]
    rows = [*(_wait_row(state, wait) for wait in waits), *(_allow_row(allow) for allow in allows)]
    if state.policy.fleet_lock is not None and all(wait.gate != FLEET_LOCK for wait in waits):
        rows.append(_lock_row(state))
    return rows


def _waits(state: State, verdicts: Sequence[Verdict]) -> tuple[Wait, ...]:
    """The agent's own reasons as they are now, then what the gates said; of who was not asked now, the last word."""
    own = (*_held(state), *state.phase.hindrances(state))
    said = [verdict for verdict in (*verdicts, *_not_asked_now(state, verdicts)) if isinstance(verdict, Wait)]
    by_gate = {wait.gate: wait for wait in (*said, *own)}
    return tuple(by_gate[gate] for gate in dict.fromkeys(wait.gate for wait in (*own, *said)))


def _held(state: State) -> tuple[Wait, ...]:
    """What the agent itself has against a reboot. A lock that is in use for one is not owed."""
    target = target_of(state) or _ANY
    match state.phase:
        case Executing(mandate=mandate):
            return agent_waits(state, target, mandate)
        case Rebooting() | Undoing():
            return () if state.policy.block is None else (state.policy.block,)
        case _:
            return agent_waits_before_lock(state, target, mandate_of(state))


def _not_asked_now(state: State, verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """The last word of the lock server, of logind, of the engine: asking them is more than a question."""
    asked = {verdict.gate for verdict in verdicts}
    return tuple(verdict for verdict in last_verdicts(state) if verdict.gate not in asked)


def _wait_row(state: State, wait: Wait) -> Row:
    waiting = state.records.waiting
    since = None if waiting is None else waiting.gates.get(wait.gate)
    times: Row = {"since": since and rfc3339(since), "until": wait.until and rfc3339(wait.until)}
    return {**_row(wait.gate, "wait", wait.reason), **times, "remedy": wait.remedy}


def _allow_row(allow: Allow) -> Row:
    return {**_row(allow.gate, "allow", allow.detail), "until": allow.until and rfc3339(allow.until)}


def _lock_row(state: State) -> Row:
    record = state.records.lock
    if record is not None and record.state == LockState.HELD:
        return {**_row(FLEET_LOCK, "allow", f"held: {record.account.place}"), "since": rfc3339(record.since)}
    return _row(FLEET_LOCK, "not_asked", "asked last, when every other gate allows")


def _row(gate: str, verdict: str, reason: str) -> Row:
    return {"gate": gate, "verdict": verdict, "reason": reason, "since": None, "until": None, "remedy": ""}
