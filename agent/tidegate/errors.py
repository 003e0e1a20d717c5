"""The project's exception, with a closed set of kinds.

A kind is stable: it is the metric label, the D-Bus error name, and what scripts compare. The message has the facts of
the case (path, line, numbers), and the remedy tells an operator what to do. Errors do not log themselves: the code that
handles them does.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ErrorKind(StrEnum):
    """The kind of an error, as ``area.fault``. Values are never renamed; new ones may be added."""

    CONFIG_INVALID = "config.invalid"
    IDENTITY_UNKNOWN = "identity.unknown"

    DISCOVERY_UNREACHABLE = "discovery.unreachable"
    DISCOVERY_REFUSED = "discovery.refused"
    DISCOVERY_NONSENSE = "discovery.nonsense"
    DISCOVERY_UNAVAILABLE = "discovery.unavailable"
    DISCOVERY_UNKNOWN_BOOTED = "discovery.unknown-booted"
    DISCOVERY_UNTRUSTED = "discovery.untrusted"

    NET_WORKER_FAILED = "net.worker-failed"

    ENGINE_UNSUPPORTED_HOST = "engine.unsupported-host"
    ENGINE_UNSUPPORTED_VERB = "engine.unsupported-verb"
    ENGINE_BAD_ARGUMENT = "engine.bad-argument"
    ENGINE_UNKNOWN_RELEASE = "engine.unknown-release"
    ENGINE_BAD_SIGNATURE = "engine.bad-signature"
    ENGINE_REMOTE_DOWN = "engine.remote-down"
    ENGINE_CORRUPT = "engine.corrupt"
    ENGINE_NO_SPACE = "engine.no-space"
    ENGINE_FOREIGN_STAGING = "engine.foreign-staging"
    ENGINE_NOT_STAGED = "engine.not-staged"
    ENGINE_NO_ROLLBACK = "engine.no-rollback"
    ENGINE_BUSY = "engine.busy"
    ENGINE_TIMEOUT = "engine.timeout"
    ENGINE_CANCELLED = "engine.cancelled"
    ENGINE_FAILED = "engine.failed"
    ENGINE_UNREACHABLE = "engine.unreachable"

    HEALTH_BAD = "health.bad"
    HEALTH_UNREADABLE = "health.unreadable"
    HEALTH_UNKNOWN_CHECK = "health.unknown-check"

    ROLLBACK_IMPOSSIBLE = "rollback.impossible"

    REBOOT_REFUSED = "reboot.refused"
    REBOOT_UNREACHABLE = "reboot.unreachable"

    LOCK_UNREACHABLE = "lock.unreachable"
    LOCK_UNCERTAIN = "lock.uncertain"
    LOCK_REFUSED = "lock.refused"
    LOCK_NONSENSE = "lock.nonsense"
    LOCK_UNAVAILABLE = "lock.unavailable"

    RECORD_UNREADABLE = "record.unreadable"
    RECORD_UNWRITABLE = "record.unwritable"

    BUS_UNREACHABLE = "bus.unreachable"
    BUS_LOST = "bus.lost"
    BUS_TIMEOUT = "bus.timeout"
    BUS_CALL_FAILED = "bus.call-failed"

    AGENT_UNREACHABLE = "agent.unreachable"
    AGENT_NOT_AUTHORISED = "agent.not-authorised"
    AGENT_BAD_REQUEST = "agent.bad-request"
    AGENT_BUSY = "agent.busy"
    AGENT_NOTHING_TO_APPLY = "agent.nothing-to-apply"
    AGENT_UNKNOWN_RELEASE = "agent.unknown-release"
    AGENT_INTERNAL = "agent.internal"

    COORDINATOR_STORE_UNAVAILABLE = "coordinator.store-unavailable"
    COORDINATOR_STORE_NONSENSE = "coordinator.store-nonsense"
    COORDINATOR_UNKNOWN_GROUP = "coordinator.unknown-group"
    COORDINATOR_NO_HOLDER = "coordinator.no-holder"
    COORDINATOR_UNREACHABLE = "coordinator.unreachable"
    COORDINATOR_REFUSED = "coordinator.refused"
    COORDINATOR_CANNOT_LISTEN = "coordinator.cannot-listen"

    TRUST_UNUSABLE = "trust.unusable"

    PUBLISH_REFUSED = "publish.refused"
    PUBLISH_FAILED = "publish.failed"


class TidegateError(Exception):
    """An expected failure. ``kind`` is for programs, ``message`` and ``remedy`` are for operators.

    ``retry_after_secs`` is how long a server asks to be left alone (``Retry-After``); None where it does not.
    """

    def __init__(self, kind: ErrorKind, message: str, remedy: str = "", retry_after_secs: float | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.remedy = remedy
        self.retry_after_secs = retry_after_secs

    def __str__(self) -> str:
        return f"{self.message} ({self.remedy})" if self.remedy else self.message

    @property
    def failure(self) -> Failure:
        """The error as a value."""
        return Failure(self.kind, self.message, self.remedy, self.retry_after_secs)


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as a value, where it is stored or passed on instead of raised."""

    kind: ErrorKind
    message: str
    remedy: str = ""
    retry_after_secs: float | None = None

    @property
    def area(self) -> str:
        """The first part of the kind, such as ``engine``."""
        return self.kind.partition(".")[0]

    def error(self) -> TidegateError:
        """The failure as an exception, to be raised."""
        return TidegateError(self.kind, self.message, self.remedy, self.retry_after_secs)
