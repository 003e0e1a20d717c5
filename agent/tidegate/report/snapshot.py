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

from tidegate.clock import Now, rfc3339
from tidegate.discovery.base import Deferred
from tidegate.discovery.policy import PassedOver
from tidegate.engines.base import Deployment, EngineStatus
from tidegate.errors import Failure
from tidegate.gates.base import Wait
from tidegate.health.judgement import CheckState
from tidegate.machine.parts import booted_release
from tidegate.machine.phases import MarkingGood, RollbackPending, Staged, Staging, Verifying
from tidegate.machine.polling import poll_due
from tidegate.machine.state import State
from tidegate.machine.watch import checks_of
from tidegate.records.codec import encode_attempt
from tidegate.records.model import Denial
from tidegate.release import Release
from tidegate.report import status_file
from tidegate.report.explain import gate_rows, last_verdicts, prospect, target_of, waits_of
from tidegate.report.summary import public_state, summary
from tidegate.system.atomicfile import write_visibly
from tidegate.system.boot import start_ticks

SCHEMA = 1
PUBLIC_FOLDER = Path(status_file.PUBLIC_FOLDER)
_MODE = 0o644


def snapshot(state: State, now: Now, since: datetime, writer: Mapping[str, object]) -> dict[str, object]:
    """The document; ``since`` is when its state began. Times are RFC 3339 in UTC; what is unknown is null."""
    history = [encode_attempt(attempt) for attempt in state.records.history]
    waits = waits_of(state)
    known = state.records.waiting
    waiting_since = None if known is None or not _waits(state) else known.since
    return {
        "schema": SCHEMA,
        "writer": dict(writer),
        "written_at": rfc3339(now.wall),
        "state": public_state(state),
        "since": rfc3339(since),
        "summary": summary(state),
        **_deployments(state.host),
        "target": _release(target_of(state)),
        "prospect": prospect(state),
        "waiting_since": waiting_since and rfc3339(waiting_since),
        "blocked_by": [wait.gate for wait in waits],
        "gates": gate_rows(state, last_verdicts(state)),
        "lock": _lock(state),
        "progress": _progress(state),
        "last_check": state.poll.checked_at and rfc3339(state.poll.checked_at),
        "next_check": _on_wall(poll_due(state), now),
        "next_opening": _next_opening(waits),
        "dead_end": state.dead_end,
        "held_back": [_deferred(held) for held in state.deferred],
        "passed_over": [_passed_over(one) for one in state.passed_over],
        "health": _health(state, now),
        "rollback_due": _rollback_due(state),
        "stale_config": _failure(state.policy.stale),
        "last_error": _last_error(state),
        "denied": [_denial(denial) for denial in state.records.denied],
        "last_attempt": history[-1] if history else None,
        "history": history,
    }


class Publisher:
    """Writes the document whenever it says something new.

    ``host`` is who the host is to servers; ``document`` is what was to be published last, but for when that was.
    """

    def __init__(self, folder: Path, version: str) -> None:
        self.host: Mapping[str, object] = {}
        self.document: Mapping[str, object] = {}
        self._path = folder / status_file.STATUS_NAME
        self._writer = {"version": version, "pid": os.getpid(), "start_ticks": start_ticks(os.getpid())}
        self._state = ""
        self._since: datetime | None = None
        self._written: Mapping[str, object] = {}

    def publish(self, state: State, now: Now) -> None:
        """Write the document; readers see the old one or the new one.

        Raises:
            OSError: it could not be written; the old one is still there.
        """
        document = {**snapshot(state, now, self._begun(state, now), self._writer), "host": dict(self.host)}
        self.document = {key: value for key, value in document.items() if key != "written_at"}
        if self.document == self._written:
            return
        write_visibly(self._path, (json.dumps(document, indent=1) + "\n").encode(), _MODE)
        self._written = self.document

    def _begun(self, state: State, now: Now) -> datetime:
        """When the present state began; what waits has done so since before this agent was started."""
        if isinstance(state.phase, Staged) and public_state(state) == "staged":
            self._state, self._since = "", None
            return state.phase.since
        if self._since is None or self._state != public_state(state):
            self._state, self._since = public_state(state), now.wall
        return self._since


def _waits(state: State) -> bool:
    """Whether a release is staged, or the host is to leave the one that it runs: also while something else goes on."""
    staged = state.host is not None and state.host.staged is not None
    return staged or isinstance(state.phase, RollbackPending)


def _deployments(host: EngineStatus | None) -> dict[str, object]:
    if host is None:
        return {"engine": None, "booted": None, "staged": None, "rollback": None, "next_boot": None}
    staged = None if host.staged is None else {**_deployment(host.staged), "locked": host.staged.locked}
    return {
        "engine": host.engine,
        "booted": _deployment(host.booted),
        "staged": staged,
        "rollback": None if host.rollback is None else _deployment(host.rollback),
        "next_boot": host.next_boot,
    }


def _deployment(deployment: Deployment) -> dict[str, object]:
    return {"version": deployment.version, "payload": deployment.payload}


def _release(release: Release | None) -> dict[str, object] | None:
    return None if release is None else {"version": release.version, "payload": release.payload}


def _lock(state: State) -> dict[str, object] | None:
    record = state.records.lock
    if record is None:
        return None
    return {
        "server": record.account.server,
        "group": record.account.group,
        "id": record.account.id,
        "state": record.state,
        "since": rfc3339(record.since),
        "why": state.lock.why,
    }


def _next_opening(waits: tuple[Wait, ...]) -> str | None:
    """When the last of those gates opens that know when they will."""
    openings = [wait.until for wait in waits if wait.until is not None]
    return rfc3339(max(openings)) if openings else None


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


def _last_error(state: State) -> dict[str, object] | None:
    trouble = state.trouble
    if trouble is None:
        return None
    told = _failure(trouble.failure) or {}
    return {**told, "at": rfc3339(trouble.since), "count": trouble.count}


def _deferred(held: Deferred) -> dict[str, object]:
    turn_at = None if held.turn_at is None else rfc3339(held.turn_at)
    return {"release": _release(held.release), "reason": held.reason, "turn_at": turn_at}


def _passed_over(one: PassedOver) -> dict[str, object]:
    return {"release": _release(one.release), "cause": one.cause, "reason": one.reason}


def _health(state: State, now: Now) -> dict[str, object] | None:
    """The watch over this boot, while there is one; an agent that is restarted in it reads the host first."""
    watch = state.records.verification
    if watch is None or watch.boot != state.boot or state.host is None:
        return None
    end_secs = watch.began_secs + state.policy.health.monitor_secs
    verdict = "bad" if watch.bad else "good" if isinstance(state.phase, MarkingGood) else "watching"
    return {
        "release": _release(booted_release(state)),
        "verdict": verdict,
        "reason": watch.bad or (state.phase.pending if isinstance(state.phase, Verifying) else ""),
        "since": _at(watch.began_secs, now),
        "until": _at(end_secs, now),
        "boots": watch.boots,
        "checks": [_check(check) for check in checks_of(state)],
    }


def _check(check: CheckState) -> dict[str, object]:
    return {"check": check.check, "weight": check.weight, "state": check.stage, "detail": check.detail}


def _rollback_due(state: State) -> dict[str, object] | None:
    due = state.records.rollback
    if due is None:
        return None
    return {
        "from": _release(due.origin),
        "release": _release(due.target),
        "since": rfc3339(due.since),
        "reason": due.reason,
    }


def _denial(denial: Denial) -> dict[str, object]:
    release = _release(denial.release)
    return {
        "release": release,
        "cause": denial.cause,
        "evidence": denial.evidence,
        "at": rfc3339(denial.at),
        "boot_id": denial.boot_id,
        "journal_cursor": denial.journal_cursor,
    }


def _on_wall(boot_secs: float | None, now: Now) -> str | None:
    """When something that is due is: its reading of the boot clock on the wall clock, not before now."""
    return None if boot_secs is None else _at(max(boot_secs, now.boot_secs), now)


def _at(boot_secs: float, now: Now) -> str:
    """A reading of the boot clock as the wall clock shows it, steps aside."""
    instant: datetime = now.wall + timedelta(seconds=boot_secs - now.boot_secs)
    return rfc3339(instant)
