"""What an announcement is about: the one list that the journal, the bus and the manual go by."""

from __future__ import annotations

from enum import StrEnum


class Topic(StrEnum):
    """The subject of a line in the journal, and of an ``UpdateEvent`` on the bus. The words are frozen."""

    HOST_UNREADABLE = "host-unreadable"
    CHECK_FAILED = "check-failed"
    DEAD_END = "dead-end"
    STAGED = "staged"
    WITHDRAWN = "withdrawn"
    STAGING_FAILED = "staging-failed"
    FINALIZING = "finalizing"
    CALLED_OFF = "called-off"
    GOING_DOWN = "going-down"
    REBOOT_FAILED = "reboot-failed"
    DISARM_FAILED = "disarm-failed"
    ATTEMPT_FAILED = "attempt-failed"
    FELL_BACK = "fell-back"
    VERIFYING = "verifying"
    APPLIED = "applied"
    UNHEALTHY = "unhealthy"
    PAUSED = "paused"
    RESUMED = "resumed"
    ROLLING_BACK = "rolling-back"
    LEFT_OUTSIDE = "left-outside"
    DENIED = "denied"
    ALLOWED = "allowed"
    LOCK_OWED = "lock-owed"
    LOCK_RETURNED = "lock-returned"
    LOCK_FORGOTTEN = "lock-forgotten"
