"""Snapshots as the agent writes them, and one in which there is something of everything."""

from __future__ import annotations

from datetime import UTC, datetime

Document = dict[str, object]

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC).timestamp()
"""When it is in all of them."""

REST: Document = {
    "schema": 1,
    "writer": {"version": "0.1.0", "pid": 1, "start_ticks": 2},
    "written_at": "2026-03-02T12:00:00Z",
    "state": "steady",
    "since": "2026-03-02T11:00:00Z",
    "summary": "up to date",
    "updates_enabled": True,
    "engine": "ostree",
    "booted": {"version": "1", "payload": "1" * 64},
    "staged": None,
    "rollback": None,
    "next_boot": "1" * 64,
    "target": None,
    "waiting_since": None,
    "blocked_by": [],
    "gates": [],
    "lock": None,
    "progress": None,
    "last_check": None,
    "next_check": None,
    "next_opening": None,
    "dead_end": None,
    "source_flaws": None,
    "deferred": [],
    "passed_over": [],
    "stale_config": None,
    "last_error": None,
    "denied": [],
    "health": None,
    "rollback_due": None,
    "last_attempt": None,
    "history": [],
    "host": {"group": "default", "basearch": "x86_64", "platform": "", "stream": None, "node_uuid": None},
}
"""A host with nothing to do."""

STAGED: Document = {
    **REST,
    "state": "staged",
    "since": "2026-03-02T08:00:00Z",
    "target": {"version": "2", "payload": "2" * 64},
    "staged": {"version": "2", "payload": "2" * 64, "locked": True},
    "waiting_since": "2026-03-02T08:00:00Z",
    "blocked_by": ["periodic"],
    "gates": [
        {"gate": "periodic", "verdict": "wait", "reason": "closed", "since": "2026-03-02T09:00:00Z", "until": None},
        {"gate": "inhibitors", "verdict": "allow", "reason": "", "since": None, "until": None},
    ],
    "next_opening": "2026-03-02T22:00:00Z",
}
"""A release waits for its window."""


def attempt(outcome: str, purpose: str = "update", ended: str = "2026-03-01T12:00:00Z") -> Document:
    """An attempt from 1 to 2."""
    return {
        "id": "attempt-1",
        "from": {"version": "1", "payload": "1" * 64},
        "to": {"version": "2", "payload": "2" * 64},
        "purpose": purpose,
        "reason": "automatic",
        "started_at": ended,
        "ended_at": ended,
        "outcome": outcome,
        "detail": "1 booted instead",
    }


_HISTORY = [attempt("fell_back"), attempt("applied"), attempt("not_attempted"), attempt("rejected", "manual")]

EVERYTHING: Document = {
    **STAGED,
    "rollback": {"version": "0", "payload": "0" * 64},
    "lock": {
        "server": "https://lock.example/",
        "group": "default",
        "id": "0123",
        "state": "held",
        "since": "2026-03-02T11:30:00Z",
        "why": "",
    },
    "progress": {"step": "pulling", "fraction": 0.25, "transferred_bytes": 1000},
    "last_check": "2026-03-02T11:55:00Z",
    "next_check": "2026-03-02T12:05:00Z",
    "dead_end": "the stream has ended",
    "deferred": [{"release": {"version": "3", "payload": "3" * 64}, "reason": "not yet", "turn_at": None}],
    "passed_over": [{"release": {"version": "9", "payload": "9" * 64}, "reason": "too new"}],
    "stale_config": {"kind": "config.invalid", "message": "20.toml:1: bad", "remedy": "tidegate config check"},
    "last_error": {
        "kind": "discovery.unreachable",
        "message": "no route",
        "remedy": "mend it",
        "at": "2026-03-02T11:50:00Z",
        "count": 3,
    },
    "denied": [
        {"release": {"version": "2b", "payload": "b" * 64}, "cause": "unhealthy", "evidence": "x", "at": ""},
        {"release": {"version": "2c", "payload": "c" * 64}, "cause": "unhealthy", "evidence": "x", "at": ""},
        {"release": {"version": "2d", "payload": "d" * 64}, "cause": "somebody", "evidence": "x", "at": ""},
    ],
    "health": {
        "release": {"version": "1", "payload": "1" * 64},
        "since": "2026-03-02T11:58:00Z",
        "until": "2026-03-02T12:03:00Z",
        "boots": 1,
        "verdict": "watching",
        "checks": [
            {"check": "boot-complete", "weight": "required", "state": "passed", "detail": ""},
            {"check": "web", "weight": "advisory", "state": "failed", "detail": "503"},
            {"check": "db", "weight": "required", "state": "pending", "detail": "starting"},
        ],
    },
    "rollback_due": {
        "release": {"version": "0", "payload": "0" * 64},
        "since": "2026-03-02T11:59:00Z",
        "reason": "web failed",
    },
    "last_attempt": _HISTORY[-1],
    "history": _HISTORY,
    "host": {
        "group": "workers",
        "basearch": "x86_64",
        "platform": "qemu",
        "stream": "stable",
        "node_uuid": "ab" * 16,
        "rollout_wariness": 0.5,
    },
}
"""No agent would say all of this at once; every metric has something to tell."""
