"""Explain why the host has not rebooted: the verdict of every rule, with its reason, its times and its remedy.

Read-only by construction. Nothing here can reboot, arm or take a lock: this module reads the state, asks gates (which
has no side effect, see :mod:`tidegate.gates.base`) and makes a document.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tidegate.clock import Clock, rfc3339
from tidegate.engines.base import Deployment
from tidegate.fleetlock.account import FLEET_LOCK
from tidegate.gates.base import Allow, Gate, Question, Verdict, Wait, waits
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
"""Placeholder for the target where there is none. No gate's verdict depends on the target."""


class Explainer:
    """Asks the gates in force for their verdicts now, without acting on them."""

    def __init__(self, clock: Clock, gates: Callable[[], Sequence[Gate]], state: Callable[[], State]) -> None:
        self._clock = clock
        self._gates = gates
        self._state = state

    async def explain(self) -> dict[str, object]:
        """Ask every gate, and return the document of ``tidegate explain --json``."""
        state = self._state()
        purpose = mandate_of(state).purpose
        question = Question(target_of(state) or _ANY, purpose, self._clock.now(), noticed=state.noticed)
        verdicts = await ask_all(self._gates(), question)
        return explanation(self._state(), verdicts)


def explanation(state: State, verdicts: Sequence[Verdict]) -> dict[str, object]:
    """The document of ``tidegate explain --json``; ``verdicts`` are the gates' latest."""
    rows = gate_rows(state, verdicts)
    return {
        "schema": SCHEMA,
        "verdict": "wait" if any(row["verdict"] == "wait" for row in rows) else "allow",
        **prospect(state),
        "gates": rows,
    }


def prospect(state: State) -> Row:
    """The release that the next reboot leads to, and the purpose of that reboot.

    ``staged``: only the reboot remains to be done. ``since``: when the release began to wait for it. ``release`` is
    null if there is none, as while a boot is being verified.
    """
    release = None if state.records.verification is not None else target_of(state)
    return {
        "purpose": mandate_of(state).purpose,
        "release": version_and_payload(release),
        "staged": _is_ready(state),
        "since": rfc3339(state.phase.since) if _is_ready(state) and isinstance(state.phase, Waiting) else None,
    }


def version_and_payload(release: Release | Deployment | None) -> Row | None:
    """A release as all documents of the agent name it; null without one."""
    return None if release is None else {"version": release.version, "payload": release.payload}


def _is_ready(state: State) -> bool:
    """Whether only the reboot remains to be done."""
    match state.phase:
        case RollbackPending() | Rebooting():
            return True
        case Waiting(target=target) | Executing(target=target) | Undoing(target=target):
            return state.has_staged(target) or state.records.rollback is not None or state.stages_first
        case _:
            return False


def target_of(state: State) -> Release | None:
    """The release that the agent is working towards; while a boot is being verified, the booted one."""
    return state.phase.release(state)


def last_verdicts(state: State) -> tuple[Verdict, ...]:
    """The last answers of the gates for the release that waits now."""
    return state.phase.last_verdicts()


def waits_of(state: State) -> tuple[Wait, ...]:
    """Return the reasons against a reboot: the agent's own, and the last verdicts of the gates. No gate is asked."""
    return _waits(state, last_verdicts(state))


def gate_rows(state: State, verdicts: Sequence[Verdict]) -> list[Row]:
    """One row for each rule.

    First the rules that wait: the agent's own reasons, then the gates in their order. Then the gates that allow, and
    the fleet lock.
    """
    held = _waits(state, verdicts)
    allows = [verdict for verdict in verdicts if isinstance(verdict, Allow)]
    rows = [*(_wait_row(state, wait) for wait in held), *(_allow_row(allow) for allow in allows)]
    if state.policy.fleet_lock is not None and all(wait.gate != FLEET_LOCK for wait in held):
        rows.append(_lock_row(state))
    return rows


def _waits(state: State, verdicts: Sequence[Verdict]) -> tuple[Wait, ...]:
    """The agent's own reasons as they are now, then what the gates said; of who was not asked now, the last word."""
    own = (*_agent_waits(state), *state.phase.hindrances(state))
    said = waits((*verdicts, *_not_asked_now(state, verdicts)))
    by_gate = {wait.gate: wait for wait in (*said, *own)}
    return tuple(by_gate[gate] for gate in dict.fromkeys(wait.gate for wait in (*own, *said)))


def _agent_waits(state: State) -> tuple[Wait, ...]:
    """The agent's own reasons against a reboot. A lock in use for the attempt under way is not a pending release."""
    target = target_of(state) or _ANY
    match state.phase:
        case Executing(mandate=mandate):
            return agent_waits(state, target, mandate)
        case Rebooting() | Undoing():
            return () if state.policy.block is None else (state.policy.block,)
        case _:
            return agent_waits_before_lock(state, target, mandate_of(state))


def _not_asked_now(state: State, verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """The last verdicts of the lock server, logind and the engine: a request to them would have an effect."""
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
