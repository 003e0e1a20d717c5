"""The agent's state as everybody may read it: one JSON document in ``/run/tidegate/public``.

Reading it needs no bus, no privilege and no agent that answers; ``tidegate status`` is a view of it. The document also
names the process that wrote it, so that a reader can tell a live account from one that was left behind.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

from tidegate.atomicfile import write_visibly
from tidegate.clock import Now, rfc3339
from tidegate.engines.base import Deployment, EngineStatus
from tidegate.errors import Failure
from tidegate.gates.base import Wait
from tidegate.machine.parts import phase_name
from tidegate.machine.phases import Paused, Staged, Staging, Starting, Steady, Verifying
from tidegate.machine.polling import poll_due
from tidegate.machine.state import State
from tidegate.procfs import start_ticks
from tidegate.recordcodec import encode_attempt
from tidegate.records import Denial
from tidegate.release import Release

SCHEMA = 1
PUBLIC_FOLDER = Path("/run/tidegate/public")
STATUS_FILE = "status.json"
_MODE = 0o644


def public_state(state: State) -> str:
    """The one word for what the agent is doing."""
    if state.policy.blocked is not None and isinstance(state.phase, Steady | Staged):
        return "failed"
    if isinstance(state.phase, Steady) and state.phase.wanted is not None:
        return "available"
    return phase_name(state)


def snapshot(state: State, now: Now, writer: Mapping[str, object]) -> dict[str, object]:
    """The document. Times are RFC 3339 in UTC; what is unknown is null; new keys may be added."""
    history = [encode_attempt(attempt) for attempt in state.records.history]
    return {
        "schema": SCHEMA,
        "writer": dict(writer),
        "written_at": rfc3339(now.wall),
        "state": public_state(state),
        "summary": summary(state),
        **_deployments(state.host),
        "target": _release(target_of(state)),
        "waiting_since": rfc3339(state.phase.since) if isinstance(state.phase, Staged) else None,
        "blocked_by": [_wait(wait) for wait in waits_of(state)],
        "progress": _progress(state),
        "last_check": state.poll.checked_at and rfc3339(state.poll.checked_at),
        "next_check": _on_wall(poll_due(state), now),
        "dead_end": state.dead_end,
        "stale_config": _failure(state.policy.stale),
        "trouble": _trouble(state),
        "denied": [_denial(denial) for denial in state.records.denied],
        "last_attempt": history[-1] if history else None,
        "history": history,
    }


def target_of(state: State) -> Release | None:
    """The release that the host is on its way to."""
    match state.phase:
        case Steady(wanted=wanted):
            return wanted
        case Verifying() | Paused():
            intent = state.records.intent
            return None if intent is None else intent.target
        case phase:
            return getattr(phase, "target", None)


def waits_of(state: State) -> tuple[Wait, ...]:
    """What holds the reboot, as last seen."""
    block = state.policy.block
    verdicts = state.phase.verdicts if isinstance(state.phase, Staged) else ()
    seen = tuple(verdict for verdict in verdicts if isinstance(verdict, Wait) and verdict != block)
    return seen if block is None else (block, *seen)


def summary(state: State) -> str:
    """One line for people: what is going on and, if anything, what it waits for."""
    target = target_of(state)
    version = "?" if target is None else target.version
    waits = waits_of(state)
    if public_state(state) == "failed":
        return f"does not update: {waits[0].reason}"
    match state.phase:
        case Starting() if state.trouble is not None:
            return f"cannot read the host: {state.trouble.failure.message}"
        case Staged() if waits:
            return f"{version} is staged and waits: {waits[0].gate}: {waits[0].reason}"
        case Staging(progress=progress) if progress is not None and progress.fraction is not None:
            return f"staging {version}: {progress.fraction:.0%}"
        case Verifying(pending=pending) if pending:
            return f"verifying {version}: {pending}"
        case Paused(reason=reason):
            return f"paused in {version}: {reason}"
        case Steady(wanted=None):
            return _at_rest(state)
        case _:
            return f"{public_state(state)} {version}" if target is not None else public_state(state)


def _at_rest(state: State) -> str:
    if state.dead_end is not None:
        return f"no further updates: {state.dead_end}"
    if state.trouble is not None:
        return state.trouble.failure.message
    return "not checked yet" if state.poll.checked_at is None else "up to date"


class Publisher:
    """Writes the document whenever it says something new."""

    def __init__(self, folder: Path, version: str) -> None:
        self._path = folder / STATUS_FILE
        self._writer = {"version": version, "pid": os.getpid(), "start_ticks": start_ticks(os.getpid())}
        self._last: dict[str, object] = {}

    def publish(self, state: State, now: Now) -> None:
        """Write the document; readers see the old one or the new one.

        Raises:
            OSError: it could not be written; the old one is still there.
        """
        document = snapshot(state, now, self._writer)
        said = {key: value for key, value in document.items() if key != "written_at"}
        if said == self._last:
            return
        write_visibly(self._path, (json.dumps(document, indent=1) + "\n").encode(), _MODE)
        self._last = said


def _deployments(host: EngineStatus | None) -> dict[str, object]:
    if host is None:
        return {"engine": None, "booted": None, "staged": None, "rollback": None, "next_boot": None}
    others = [entry for entry in host.entries if entry.payload != host.booted.payload]
    staged = None if host.staged is None else {**_deployment(host.staged), "locked": host.staged.locked}
    return {
        "engine": host.engine,
        "booted": _deployment(host.booted),
        "staged": staged,
        "rollback": _deployment(others[0]) if others else None,
        "next_boot": host.next_boot,
    }


def _deployment(deployment: Deployment) -> dict[str, object]:
    return {"version": deployment.version, "payload": deployment.payload}


def _release(release: Release | None) -> dict[str, object] | None:
    return None if release is None else {"version": release.version, "payload": release.payload}


def _wait(wait: Wait) -> dict[str, object]:
    until = None if wait.until is None else rfc3339(wait.until)
    return {"gate": wait.gate, "reason": wait.reason, "until": until, "remedy": wait.remedy}


def _progress(state: State) -> dict[str, object] | None:
    progress = state.phase.progress if isinstance(state.phase, Staging) else None
    if progress is None:
        return None
    return {
        "step": progress.step,
        "fraction": progress.fraction,
        "transferred_bytes": progress.transferred_bytes,
    }


def _failure(failure: Failure | None) -> dict[str, object] | None:
    if failure is None:
        return None
    return {"kind": failure.kind, "message": failure.message, "remedy": failure.remedy}


def _trouble(state: State) -> dict[str, object] | None:
    trouble = state.trouble
    if trouble is None:
        return None
    told = _failure(trouble.failure) or {}
    return {**told, "since": rfc3339(trouble.since), "count": trouble.count}


def _denial(denial: Denial) -> dict[str, object]:
    release = _release(denial.release)
    return {"release": release, "cause": denial.cause, "evidence": denial.evidence, "at": rfc3339(denial.at)}


def _on_wall(boot_secs: float | None, now: Now) -> str | None:
    """A reading of the boot clock as the wall clock will show it, steps aside."""
    if boot_secs is None:
        return None
    instant: datetime = now.wall + timedelta(seconds=max(0.0, boot_secs - now.boot_secs))
    return rfc3339(instant)
