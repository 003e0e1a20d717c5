"""Metrics of results: attempts, health, denied releases, the lock, and errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from tidegate.errors import ErrorKind
from tidegate.jsonread import NOTHING, Document, instant, number, rows, table, text
from tidegate.metrics.shapes import OTHER, PREFIX, bounded, by_label, gauge, known, one_of, tally
from tidegate.records.model import DenialCause, LockState, Outcome
from tidegate.release import Purpose

VERDICTS = ("watching", "good", "bad")
WEIGHTS = ("required", "advisory")

MAX_CHECKS = 50
"""Bound on health checks with a series of their own, as their names come from the configuration."""

NO_LOCK = "none"


def results(snapshot: Document) -> Iterator[Metric]:
    """The outcomes of past attempts, and the conditions that result from them."""
    history = rows(snapshot, "history")
    yield _kept(history)
    yield from _attempts(history)
    yield from _health(table(snapshot, "health"))
    due = table(snapshot, "rollback_due")
    yield gauge("rollback_due", "Whether the booted release is to be rolled back", bool(due))
    since = instant(due, "since")
    yield from known(
        "rollback_due_since_timestamp_seconds", "Since when the booted release is to be rolled back", since
    )
    denied = tally(tuple(DenialCause), (text(row, "cause") for row in rows(snapshot, "denied")))
    yield by_label(
        "denied_releases", "Denied releases, which are not staged until the denial is lifted", "cause", denied
    )
    yield from _lock(snapshot)
    yield from _trouble(snapshot)


def _kept(history: Sequence[Document]) -> Metric:
    """Attempts in the history. It is truncated to 100, so this is a gauge and no counter: it can decrease."""
    doc = "Attempts in the history, which keeps the last 100"
    family = GaugeMetricFamily(f"{PREFIX}_history_attempts", doc, labels=["purpose", "outcome"])
    kept = Counter((bounded(text(row, "purpose"), _PURPOSES), _outcome(row)) for row in history)
    for purpose in (*_PURPOSES, OTHER):
        for outcome in (*_OUTCOMES, OTHER):
            family.add_metric([purpose, outcome], kept[purpose, outcome])
    return family


def _attempts(history: Sequence[Document]) -> Iterator[Metric]:
    last = history[-1] if history else NOTHING
    outcome = _outcome(last) if last else None
    yield one_of("last_attempt_outcome", "1 for the outcome of the last attempt", "outcome", _OUTCOMES, outcome)
    ended = instant(last, "ended_at")
    yield from known("last_attempt_timestamp_seconds", "When the last attempt ended", ended)
    good = [at for at, row in enumerate(history) if _is_update(row) and _outcome(row) == Outcome.APPLIED]
    since = history[good[-1] + 1 :] if good else history
    success = instant(history[good[-1]], "ended_at") if good else None
    yield from known("last_success_timestamp_seconds", "When an update last succeeded", success)
    failed = sum(_outcome(row) != Outcome.APPLIED for row in since)
    yield gauge("failed_attempts_since_success", "Failed attempts since the last success", failed)


def _is_update(attempt: Document) -> bool:
    """Whether an attempt was an update; a rollback does not count as a success."""
    return text(attempt, "purpose") != Purpose.ROLLBACK


def _outcome(attempt: Document) -> str:
    return bounded(text(attempt, "outcome"), _OUTCOMES)


def _health(health: Document) -> Iterator[Metric]:
    verdict = text(health, "verdict") or None
    yield one_of("health_verdict", "1 for the verdict on the health of this boot", "verdict", VERDICTS, verdict)
    until = instant(health, "until")
    yield from known("health_watched_until_timestamp_seconds", "When the health watch of this boot ends", until)
    doc = "Whether this check failed when it last ran"
    family = GaugeMetricFamily(f"{PREFIX}_health_check_failed", doc, labels=["check", "weight"])
    for (check, weight), failed in _checks(rows(health, "checks")).items():
        family.add_metric([check, weight], failed)
    yield family


def _checks(checks: Sequence[Document]) -> dict[tuple[str, str], bool]:
    """Whether each check has failed, by name and weight. Checks beyond the limit are combined as ``other``."""
    failed: dict[tuple[str, str], bool] = {}
    for row in checks:
        key = (text(row, "check"), bounded(text(row, "weight"), WEIGHTS))
        key = key if key in failed or len(failed) < MAX_CHECKS else (OTHER, OTHER)
        failed[key] = failed.get(key, False) or text(row, "state") == "failed"
    return failed


def _lock(snapshot: Document) -> Iterator[Metric]:
    lock = table(snapshot, "lock")
    state = text(lock, "state") if lock else NO_LOCK
    states = (NO_LOCK, *LockState)
    yield one_of("lock_state", "1 for the state of the lock", "state", states, state)
    since = instant(lock, "since")
    yield from known("lock_held_since_timestamp_seconds", "Since when a slot is or may be held", since)


def _trouble(snapshot: Document) -> Iterator[Metric]:
    stale = bool(table(snapshot, "stale_config"))
    yield gauge("config_stale", "Whether the configuration on disk is invalid and an older one is in force", stale)
    error = table(snapshot, "last_error")
    kind = {bounded(text(error, "kind"), _KINDS): error} if error else {}
    counts = {word: number(each, "count") or 1.0 for word, each in kind.items()}
    doc = "Consecutive failures of one kind without a success"
    yield by_label("failures_in_a_row", doc, "kind", counts)
    since = {word: at for word, each in kind.items() if (at := instant(each, "at")) is not None}
    yield by_label("failing_since_timestamp_seconds", "Since when they have failed", "kind", since)


_OUTCOMES = tuple(Outcome)
_PURPOSES = tuple(Purpose)
_KINDS = tuple(ErrorKind)
