"""What the coordinator keeps and what it answers: words that its parts share. No I/O here.

::

    http  --Call-->  service  --Order-->  combiner, one a group  --decide (lock.py, pure)-- Change -->  store
          <-Answer--          <-Answer--                         <------- swapped, or a conflict ------
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from tidegate.fleetlock.protocol import ClientParams, UpdateParams, Verb


class DenialKind(StrEnum):
    """Why a call did not get what it asked for: ``kind`` of the error object. Values are never renamed."""

    SEMAPHORE_FULL = "failed_lock_semaphore_full"
    SLOT_COOLING = "slot_cooling"
    MISSING_HEADER = "missing_header"
    INVALID_REQUEST = "invalid_request"
    UNKNOWN_GROUP = "unknown_group"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    NOT_FOUND = "not_found"
    REQUEST_TOO_LARGE = "request_too_large"
    UNAUTHORIZED = "unauthorized"
    RATE_LIMITED = "rate_limited"
    BACKEND_UNAVAILABLE = "backend_unavailable"
    INTERNAL = "internal_error"


@dataclass(frozen=True, slots=True)
class Call:
    """One well-formed request of a client. ``address`` is where it came from, for people."""

    verb: Verb
    client: ClientParams
    address: str
    update: UpdateParams | None = None


@dataclass(frozen=True, slots=True)
class ForceRelease:
    """A person frees the slot of the host ``id`` for it."""

    id: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class SyncSlots:
    """The number of slots that is written down, for other servers on the same record, is to be that of the rules.
    Nobody gets or loses a slot by it; the answer is always ``Released(held=False)``."""


Command = Call | ForceRelease | SyncSlots


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has a slot. ``since`` is None where the record came without a time that can be trusted (another server wrote
    it, or the clock was known to be wrong): flagged, and never expired on a guess. ``last_seen`` is the holder's last
    call, which is when it was last told that it may reboot; ``rival_boot_id`` is another boot id that asked under the
    same id while this one held: two hosts with one id."""

    id: str
    since: datetime | None
    last_seen: datetime | None = None
    address: str | None = None
    update: UpdateParams | None = None
    conflicting_boot_id: str | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings of a group. ``lock_ttl_secs`` None: a slot is held until it is given back or taken by a person."""

    slots: int
    lock_ttl_secs: int | None = None
    release_delay_secs: int = 0
    min_gap_secs: int = 0


@dataclass(frozen=True, slots=True)
class Granted:
    """The caller has a slot; ``renewed`` when it had one before. ``revision`` of the store in which that is written."""

    renewed: bool
    revision: int


@dataclass(frozen=True, slots=True)
class Released:
    """The caller has no slot (any more); ``held`` when it had one."""

    held: bool


@dataclass(frozen=True, slots=True)
class Denied:
    """No. ``value`` is a sentence for people; ``retry_after_secs`` is when asking again makes sense, if known."""

    kind: DenialKind
    value: str
    retry_after_secs: int | None = None


Answer = Granted | Released | Denied


@dataclass(frozen=True, slots=True)
class GroupView:
    """A group as operators see it. ``denials``: who asked lately and was told to wait, with the last denial."""

    name: str
    rules: Rules
    holders: tuple[Holder, ...]
    denials: Mapping[str, Denied] = field(default_factory=dict[str, Denied])


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One line of the audit log and of ``history``. ``what``: granted, released, expired, taken, rival (another boot id
    asked under the id of a holder). ``by`` is an address, a person or a rule."""

    at: datetime
    group: str
    id: str
    what: str
    by: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Semaphore:
    """What a store has of a group.

    ``slots`` is what other servers on the same record go by; this one goes by its rules. ``freed`` is when slots were
    given back that may have to rest, ``granted_at`` when one was last given out, ``as_of`` the latest time that anybody
    wrote down: the group's time never runs back behind it.
    """

    slots: int = 0
    holders: Mapping[str, Holder] = field(default_factory=dict[str, Holder])
    freed: tuple[datetime, ...] = ()
    granted_at: datetime | None = None
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A semaphore to be written in place of the one before it. ``touched`` are the ids whose holder is another than
    before, or no holder any more; ``happenings`` go to the history in the same instant."""

    semaphore: Semaphore
    touched: frozenset[str] = frozenset()
    audit_events: tuple[AuditEvent, ...] = ()
