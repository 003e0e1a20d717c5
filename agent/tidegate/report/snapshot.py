"""Publish the agent's state: one world-readable JSON document in ``/run/tidegate/public``.

Reading it needs neither D-Bus nor privileges nor an agent that responds; ``tidegate status`` is a view of it. The
document names the process that wrote it, so that a reader can detect a stale one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime, timedelta
from pathlib import Path

from tidegate.clock import Now, rfc3339
from tidegate.discovery.base import Deferred
from tidegate.discovery.policy import PassedOver
from tidegate.engines.base import EngineStatus, EngineTraits
from tidegate.errors import Failure
from tidegate.gates.base import Wait
from tidegate.health.judgement import CheckState
from tidegate.machine.parts import booted_release
from tidegate.machine.phases.executing import Executing
from tidegate.machine.phases.marking_good import MarkingGood
from tidegate.machine.phases.staging import Staging
from tidegate.machine.phases.verifying import Verifying
from tidegate.machine.phases.waiting import RollbackPending, Staged
from tidegate.machine.polling import poll_due
from tidegate.machine.state import State
from tidegate.records.codec import encode_attempt
from tidegate.records.model import Denial
from tidegate.report import status_file
from tidegate.report.explain import gate_rows, last_verdicts, prospect, target_of, version_and_payload, waits_of
from tidegate.report.summary import public_state, summary
from tidegate.system.atomicfile import write_visibly
from tidegate.system.boot import start_ticks

SCHEMA = 1
PUBLIC_FOLDER = Path(status_file.PUBLIC_FOLDER)
_MODE = 0o644


def snapshot(state: State, now: Now, since: datetime, writer: Mapping[str, object]) -> dict[str, object]:
    """The document of ``tidegate status --json``; see tidegate(1) for its keys.

    ``since`` is when the present state began; ``writer`` names this process. Times are RFC 3339 in UTC; null means
    unknown, or none.
    """
    history = [encode_attempt(attempt) for attempt in state.records.history]
    waits = waits_of(state)
    known = state.records.waiting
    waiting_since = None if known is None or not _awaits_reboot(state) else known.since
    return {
        "schema": SCHEMA,
        "writer": dict(writer),
        "written_at": rfc3339(now.wall),
        "state": public_state(state),
        "since": rfc3339(since),
        "summary": summary(state),
        "updates_enabled": state.policy.enabled,
        **_deployments(state.host),
        "target": version_and_payload(target_of(state)),
        "prospect": prospect(state),
        "waiting_since": waiting_since and rfc3339(waiting_since),
        "blocked_by": [wait.gate for wait in waits],
        "gates": gate_rows(state, last_verdicts(state)),
        "lock": _lock(state),
        "progress": _progress(state),
        "last_check": state.poll.checked_at and rfc3339(state.poll.checked_at),
        "next_check": _due(poll_due(state), now),
        "next_opening": _next_opening(waits),
        "dead_end": state.dead_end,
        "source_flaws": _source_flaws(state),
        "deferred": [_deferred(deferred) for deferred in state.deferred],
        "passed_over": [_passed_over(passed_over) for passed_over in state.passed_over],
        "health": _health(state, now),
        "rollback_due": _rollback_due(state),
        "stale_config": _failure(state.policy.stale),
        "last_error": _last_error(state),
        "denied": [_denial(denial) for denial in state.records.denied],
        "last_attempt": history[-1] if history else None,
        "history": history,
    }


class Publisher:
    """Writes the document whenever it has changed.

    ``host`` is the host's identity towards servers; ``follows`` gives the source and the strategies in use at an
    instant (:class:`tidegate.configured.Follows`). ``document`` is the latest document without ``written_at``, whether
    or not it could be written.
    """

    def __init__(self, folder: Path, version: str) -> None:
        self.host: Mapping[str, object] = {}
        self.follows: Callable[[datetime], Mapping[str, object]] | None = None
        self.document: Mapping[str, object] = {}
        self._path = folder / status_file.STATUS_NAME
        self._writer = {"version": version, "pid": os.getpid(), "start_ticks": start_ticks(os.getpid())}
        self._state = ""
        self._since: datetime | None = None
        self._written: Mapping[str, object] = {}

    def describe(self, state: State, now: Now) -> dict[str, object]:
        """Return the document, and keep it as the latest, without writing it."""
        follows = None if self.follows is None else dict(self.follows(now.wall))
        own = {"host": dict(self.host), "follows": follows}
        document = {**snapshot(state, now, self._state_since(state, now), self._writer), **own}
        self.document = {key: value for key, value in document.items() if key != "written_at"}
        return document

    def publish(self, state: State, now: Now) -> None:
        """Replace the document atomically, if anything but the time has changed.

        Raises:
            OSError: it could not be written; the old one is still there, and the next call tries again.
        """
        document = self.describe(state, now)
        if self.document == self._written:
            return
        write_visibly(self._path, (json.dumps(document, indent=1) + "\n").encode(), _MODE)
        self._written = self.document

    def _state_since(self, state: State, now: Now) -> datetime:
        """When the present state began. A staged release may have been waiting since before this process started."""
        if isinstance(state.phase, Staged) and public_state(state) == "staged":
            self._state, self._since = "", None
            return state.phase.since
        if self._since is None or self._state != public_state(state):
            self._state, self._since = public_state(state), now.wall
        return self._since


def _source_flaws(state: State) -> dict[str, object] | None:
    count, first = state.source_flaws
    return {"count": count, "first": list(first)} if count else None


def _awaits_reboot(state: State) -> bool:
    """Whether a release is staged or a rollback is pending, whatever the agent is doing at present."""
    staged = state.host is not None and state.host.staged is not None
    return staged or isinstance(state.phase, RollbackPending)


def _deployments(host: EngineStatus | None) -> dict[str, object]:
    if host is None:
        return {"engine": None, "traits": None, "booted": None, "staged": None, "rollback": None, "next_boot": None}
    staged = host.staged
    return {
        "engine": host.engine,
        "traits": _traits(host.traits),
        "booted": version_and_payload(host.booted),
        "staged": staged and {"version": staged.version, "payload": staged.payload, "locked": staged.locked},
        "rollback": version_and_payload(host.rollback),
        "next_boot": host.next_boot,
    }


def _traits(traits: EngineTraits) -> dict[str, object]:
    """Return the abilities by the names of :class:`.EngineTraits`; the set of kinds becomes a sorted array."""
    values: dict[str, object] = {one.name: getattr(traits, one.name) for one in fields(traits)}
    return values | {"reboot_kinds": sorted(traits.reboot_kinds)}


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
    """When the last gate opens, of those that know when they do: no reboot is possible before."""
    openings = [wait.until for wait in waits if wait.until is not None]
    return rfc3339(max(openings)) if openings else None


def _progress(state: State) -> dict[str, object] | None:
    progress = state.phase.progress if isinstance(state.phase, Staging | Executing) else None
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
    failure = _failure(trouble.failure) or {}
    return {**failure, "at": rfc3339(trouble.since), "count": trouble.count}


def _deferred(deferred: Deferred) -> dict[str, object]:
    turn_at = None if deferred.turn_at is None else rfc3339(deferred.turn_at)
    return {"release": version_and_payload(deferred.release), "reason": deferred.reason, "turn_at": turn_at}


def _passed_over(passed_over: PassedOver) -> dict[str, object]:
    return {
        "release": version_and_payload(passed_over.release),
        "cause": passed_over.cause,
        "reason": passed_over.reason,
    }


def _health(state: State, now: Now) -> dict[str, object] | None:
    """The verification of this boot; None without one, and until the host has been read after a restart."""
    verification = state.records.verification
    if verification is None or verification.boot != state.boot or state.host is None:
        return None
    end_secs = verification.began_secs + state.policy.health.monitor_secs
    verdict = "bad" if verification.bad else "good" if isinstance(state.phase, MarkingGood) else "watching"
    return {
        "release": version_and_payload(booted_release(state)),
        "verdict": verdict,
        "reason": verification.bad or (state.phase.pending if isinstance(state.phase, Verifying) else ""),
        "since": _wall_time(verification.began_secs, now),
        "until": _wall_time(end_secs, now),
        "boots": verification.boots,
        "checks": [_check(check) for check in state.phase.last_checks()],
    }


def _check(check: CheckState) -> dict[str, object]:
    return {"check": check.check, "weight": check.weight, "state": check.stage, "detail": check.detail}


def _rollback_due(state: State) -> dict[str, object] | None:
    due = state.records.rollback
    if due is None:
        return None
    return {
        "from": version_and_payload(due.origin),
        "release": version_and_payload(due.target),
        "since": rfc3339(due.since),
        "reason": due.reason,
    }


def _denial(denial: Denial) -> dict[str, object]:
    return {
        "release": version_and_payload(denial.release),
        "cause": denial.cause,
        "evidence": denial.evidence,
        "at": rfc3339(denial.at),
        "boot_id": denial.boot_id,
        "journal_cursor": denial.journal_cursor,
    }


def _due(boot_secs: float | None, now: Now) -> str | None:
    """The wall time at which something is due on the boot clock; now if it is overdue."""
    return None if boot_secs is None else _wall_time(max(boot_secs, now.boot_secs), now)


def _wall_time(boot_secs: float, now: Now) -> str:
    """A reading of the boot clock as wall time, unless the wall clock has been or will be stepped."""
    instant: datetime = now.wall + timedelta(seconds=boot_secs - now.boot_secs)
    return rfc3339(instant)
